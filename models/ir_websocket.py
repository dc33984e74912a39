from odoo import models
from odoo.http import SessionExpiredException, request

from odoo.addons.bus.websocket import wsrequest

from .bus_bus import SESSION_CHANNEL
from .session_store import BOND, identify


class IrWebsocket(models.AbstractModel):
    _inherit = "ir.websocket"

    @classmethod
    def _authenticate(cls):
        """Refuse an ended session even if an addon caches the answer of ``_compute_session_token``."""
        session = wsrequest.session
        if session.uid and wsrequest.env["op.single.session.login"]._is_ended(*identify(session)):
            raise SessionExpiredException("The session of the websocket has ended")
        return super()._authenticate()

    def _build_bus_channel_list(self, channels):
        """Add a channel that tells ``bus.bus._poll`` the session of the websocket.

        The channel is a tuple, and clients can only ask for strings: only the server can name a session.
        """
        channels = super()._build_bus_channel_list(channels)
        req = request or wsrequest
        # without a request in a test of Odoo
        if req and req.session.uid and req.session.get(BOND):
            channels.append((self.env.cr.dbname, SESSION_CHANNEL, req.session[BOND]))
        return channels
