from odoo import api, models
from odoo.http import SessionExpiredException


class BusBus(models.Model):
    _inherit = "bus.bus"

    @api.model
    def _poll(self, channels, last=0, ignore_ids=None):
        """Close the websocket of a user whose session has none any more.

        Core checks a session at a delivery only if it has a user (``_dispatch_bus_notifications`` in
        ``odoo.addons.bus.websocket``). Whoever holds the cookie of an ended session can have a new one
        saved under its id, by opening the login page. Only users have the channel that is a partner alone
        (``ir.websocket._build_bus_channel_list``): guests of ``mail`` may have one for a partner's presence.
        Re-read both at migration.
        """
        if self.env.uid is None and any(len(channel) == 3 and channel[1] == "res.partner" for channel in channels):
            raise SessionExpiredException("The websocket is that of a session that has ended")
        return super()._poll(channels, last, ignore_ids)
