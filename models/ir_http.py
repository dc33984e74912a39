from functools import partial

from odoo import api, models
from odoo.http import request

from . import parameters, session_store
from .request_state import get_request_state
from .transaction import call_in_new_transaction

STATUS_PATH = "/op_single_session_login/status"


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    # ------------------------------------------------------------
    # At the beginning of a request
    # ------------------------------------------------------------

    @classmethod
    def _match(cls, path_info):
        """Refuse an ended session before any route or page sees it.

        ``Request._serve_db`` calls this first: for routes, for paths without a route (attachments, website
        pages), and for the error pages of both. Read that method again at migration.
        """
        cls._check_single_session()
        return super()._match(path_info)

    @classmethod
    def _authenticate(cls, endpoint):
        """Refuse an ended session again: ``retrying`` loads the session anew before it repeats this call.

        The token alone would not refuse it: another addon's override of ``_compute_session_token`` may be cached.
        """
        state = cls._check_single_session()
        try:
            return super()._authenticate(endpoint)
        finally:
            state.uid = state.uid and request.session.uid  # core refuses sessions too

    @classmethod
    def _check_single_session(cls):
        """Remove the user from a session that has ended, and from that of a status request.

        Other addons would treat a status request as activity.
        """
        state = get_request_state()
        session = state.session
        if not state.uid:
            return state
        is_ended = state.is_ended(request.env)
        if is_ended or request.httprequest.path == STATUS_PATH:
            state.uid = None
            state.hidden = None if is_ended else dict(session)
            session_store.make_anonymous(session)
            request.env = api.Environment(request.env.cr, None, session.context)
        elif not state.has_bond and not session.get("_trace_disable"):  # not a report's
            cls._bond(session, state.identifier)
        return state

    @classmethod
    def _bond(cls, session, identifier):
        """Give an entry to a session that no login has registered, so that the next login of its user ends it."""
        if not request.env["res.users"]._is_session_valid(session, session.sid):
            return
        import_sessions = request.env["op.single.session.login"]._import_sessions
        if call_in_new_transaction(import_sessions, {identifier: session.uid}):
            session[session_store.BOND] = identifier

    # ------------------------------------------------------------
    # At its end
    # ------------------------------------------------------------

    @classmethod
    def _post_dispatch(cls, response):
        """Register logins that keep their session id, and follow what Odoo does with the session."""
        state = get_request_state()
        if cls._needs_new_id(state):
            state.session.should_rotate = True
        result = super()._post_dispatch(response)
        cls._follow_session(state)
        return result

    @classmethod
    def _needs_new_id(cls, state):
        session = state.session
        if session.get("pre_uid") and not session.uid:
            # Between the password and the second factor: another holder of the ended session's cookie
            # would only need the second factor.
            return request.env["op.single.session.login"]._is_ended(session_store.get_identifier(session.sid))
        if not state.has_logged_in or state.is_registered or not session.can_save:
            return False
        return request.env["res.users"]._is_session_valid(session, session.sid)

    @classmethod
    def _follow_session(cls, state):
        """Record what has become of the session that the request came with, after Odoo has saved its successor."""
        if state.login:
            state.discard_unsaved_login()
        elif state.has_left_session:
            clean_up = request.env["op.single.session.login"]._clean_up_left
            refused = None if state.uid else session_store.get_identifier(state.sid)
            request.env.cr.postcommit.add(partial(call_in_new_transaction, clean_up, state.identifier, refused))

    # ------------------------------------------------------------
    # Data for pages
    # ------------------------------------------------------------

    def session_info(self):
        # a JSON login without a database in the cookie has saved its session, and calls no other method of this model
        state = get_request_state()
        if state:
            state.discard_unsaved_login()
        return self._add_single_session_info(super().session_info())

    @api.model
    def get_frontend_session_info(self):
        return self._add_single_session_info(super().get_frontend_session_info())

    @api.model
    def _add_single_session_info(self, session_info):
        """Add what the service in the browser needs, for logged-in users."""
        if request.session.uid:
            # sudo - op.single.session.login: users may know which of their own sessions they ended
            log = self.env["op.single.session.login"].sudo()
            session_info["op_single_session_login"] = {
                "db": self.env.cr.dbname,
                "poll_interval": parameters.get_poll_interval(self.env),
                **log._describe_login(session_store.identify(request.session)[0]),
            }
        return session_info

    @classmethod
    def _get_translation_frontend_modules_name(cls):
        # only http_routing calls this, which the first module with portal pages installs
        return [*super()._get_translation_frontend_modules_name(), "op_single_session_login"]
