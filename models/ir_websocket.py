from odoo import models
from odoo.http import SessionExpiredException, request

from odoo.addons.bus.websocket import wsrequest

from . import session_store
from .bus_bus import SESSION_CHANNEL


class IrWebsocket(models.AbstractModel):
    _inherit = "ir.websocket"

    @classmethod
    def _authenticate(cls):
        """Refuse an ended session even where an addon caches the answer of ``_compute_session_token``."""
        session = wsrequest.session
        if session.uid and wsrequest.env["op.single.session.login"]._is_ended(session.sid):
            raise SessionExpiredException("The session of the websocket has ended")
        return super()._authenticate()

    def _build_bus_channel_list(self, channels):
        """Let ``bus.bus._poll`` know whose session a websocket is.

        The channel is a tuple, and clients can ask for strings only: nobody but the server names a session.
        """
        channels = super()._build_bus_channel_list(channels)
        req = request or wsrequest
        if req and req.session.uid:
            channels.append((self.env.cr.dbname, SESSION_CHANNEL, session_store.get_identifier(req.session.sid)))
        return channels
