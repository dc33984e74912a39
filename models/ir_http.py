from odoo import api, models
from odoo.http import request

from . import parameters, session_store


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _authenticate(cls, endpoint):
        """Leave sessions alone on the status route; elsewhere remember which session the request came with.

        Core checks the session here, whatever the route's ``auth``: it writes devices, legacy
        tokens and rotated sessions, and calls ``Session.logout`` on what it refuses. Re-read it
        at migration.
        """
        if endpoint.routing.get("single_session_status"):
            cls._auth_method_none()
            return
        session = request.session
        was_logged_in = bool(session.uid)
        super()._authenticate(endpoint)
        request.single_session_identifier = session_store.get_identifier(session.sid) if session.uid else None
        if was_logged_in and not session.uid and cls._is_ended(session):
            cls._keep_cookie(session)

    @classmethod
    def _serve_fallback(cls):
        """Refuse ended sessions where core serves pages without asking whether the session is valid.

        ``Request._serve_ir_http_fallback`` does so for what no route matches: attachments, website
        pages and the page for what is not found. Re-read it at migration.
        """
        session = request.session
        if session.uid and cls._is_ended(session):
            session.logout(keep_db=True)
            cls._keep_cookie(session)
            request.env = api.Environment(request.env.cr, None, session.context)
            cls._auth_method_public()
        return super()._serve_fallback()

    @classmethod
    def _post_dispatch(cls, response):
        """Give a browser another cookie between the password and the second factor if its session has ended.

        Whoever holds the ended cookie too would be asked for the second factor alone. Core renews the
        cookie when the login is complete.
        """
        session = request.session
        if session.get("pre_uid") and not session.uid and cls._is_ended(session):
            session.should_rotate = True
        return super()._post_dispatch(response)

    @classmethod
    def _is_ended(cls, session):
        return request.env["op.single.session.login"]._is_ended(session.sid)

    @classmethod
    def _keep_cookie(cls, session):
        """Let the browser of a session that was refused keep the cookie it has.

        ``Session.logout`` would give it another one, unless the session's file is gone. The status
        route knows the ended session by the old one; and where the person has just logged in again
        in the same browser, a late answer would take the new one away.
        """
        session.should_rotate = session.is_dirty = False

    def session_info(self):
        return self._add_single_session_info(super().session_info())

    @api.model
    def get_frontend_session_info(self):
        return self._add_single_session_info(super().get_frontend_session_info())

    @api.model
    def _add_single_session_info(self, session_info):
        """Give the pages of logged-in users what the browser's service needs."""
        if request.session.uid:
            session_info["op_single_session_login"] = {
                "db": self.env.cr.dbname,
                "poll_interval": parameters.get_poll_interval(self.env),
            }
        return session_info

    @classmethod
    def _get_translation_frontend_modules_name(cls):
        # asked by http_routing alone, which comes with the first module that has a page for portal users
        return [*super()._get_translation_frontend_modules_name(), "op_single_session_login"]
