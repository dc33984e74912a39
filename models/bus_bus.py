from odoo import api, models
from odoo.http import SessionExpiredException

# Second element of the channel that names the session of a websocket. See ir.websocket.
SESSION_CHANNEL = "op_single_session_login"


class BusBus(models.Model):
    _inherit = "bus.bus"

    @api.model
    def _poll(self, channels, last=0, ignore_ids=None):
        """Deliver nothing to the websocket of an ended session; Odoo then closes it with 4001.

        Core itself checks a session at a delivery only if it has a user (``_dispatch_bus_notifications`` in
        ``odoo.addons.bus.websocket``). The holder of the cookie of an ended session can have a session
        without a user saved under its id, by opening the login page. Re-read that function at migration.
        """
        for channel in channels:
            names_session = isinstance(channel, tuple) and len(channel) == 3 and channel[1] == SESSION_CHANNEL
            if names_session and self.env["op.single.session.login"]._is_ended(channel[-1], True):
                raise SessionExpiredException("The session of the websocket has ended")
        return super()._poll(channels, last, ignore_ids)
