from odoo import api, models
from odoo.http import request


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _serve_fallback(cls):
        """Refuse ended sessions where core serves pages without asking whether the session is valid.

        ``Request._serve_ir_http_fallback`` does so for what no route matches: attachments, website
        pages and the page for what is not found. Re-read it at migration.
        """
        session = request.session
        if session.uid and request.env["op.single.session.login"]._is_ended(session.sid):
            session.logout(keep_db=True)
            request.env = api.Environment(request.env.cr, None, session.context)
            cls._auth_method_public()
        return super()._serve_fallback()
