from functools import partial
from typing import NamedTuple

from odoo import api, models
from odoo.http import Session, get_default_session, request, root

from . import parameters, session_store
from .op_single_session_login import call_in_new_transaction

# Key in a session that a program opened without a cookie: the id of its entry, should the session come back.
RESERVED_ID = "op_single_session_login_id"


class Arrival(NamedTuple):
    """The session of a request as it arrived, before anything could log in or out."""

    session: Session
    sid: str
    uid: int | None
    is_ended: bool | None

    @property
    def open_identifier(self):
        """The identifier of the session that the browser is logged in with, None if it is not logged in."""
        return session_store.get_identifier(self.sid) if self.uid and not self.is_ended else None


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    # ------------------------------------------------------------
    # At the beginning of a request
    # ------------------------------------------------------------

    @classmethod
    def _match(cls, path_info):
        """Refuse an ended session before any other code sees it; hide the session of a status request.

        ``Request._serve_db`` calls this first: for routes, for what no route matches (attachments, website
        pages), and for the error pages of both. Read that method again at migration.
        """
        cls._check_single_session()
        rule, arguments = super()._match(path_info)
        if rule.endpoint.routing.get("single_session_status") and not cls._is_hidden():
            cls._hide_session()
        return rule, arguments

    @classmethod
    def _authenticate(cls, endpoint):
        """Refuse an ended session again: ``retrying`` loads the session anew before it repeats this call.

        The token alone would not refuse it: another addon's override of ``_compute_session_token`` may be cached.
        """
        cls._check_single_session()
        if endpoint.routing.get("single_session_status") and not cls._is_hidden():
            cls._hide_session()
        result = super()._authenticate(endpoint)
        request.single_session_authenticated = True
        return result

    @classmethod
    def _check_single_session(cls):
        """Record the session as it came, and remove its user if it has ended."""
        session = request.session
        if cls._get_arrival() or cls._is_hidden():
            return
        is_ended = cls._is_ended(session) if session.uid else None
        request.single_session_arrival = Arrival(session, session.sid, session.uid, is_ended)
        request.single_session_authenticated = False
        if is_ended:
            session_store.make_anonymous(session)
            # The browser keeps its cookie. The status route knows the ended session by it. And if the user has just
            # logged in again in the same browser, a late answer would replace the new cookie.
            session.is_dirty = False
            request.env = api.Environment(request.env.cr, None, session.context)

    @classmethod
    def _get_arrival(cls):
        """Return the arrival of the current session; None if ``retrying`` has loaded the session anew."""
        arrival = getattr(request, "single_session_arrival", None)
        return arrival if arrival and arrival.session is request.session else None

    @classmethod
    def _is_ended(cls, session):
        log, identifier = request.env["op.single.session.login"], session_store.get_identifier(session.sid)
        is_ended = log._is_ended(identifier)
        if is_ended is None and session.get(RESERVED_ID):
            # if this fails, the session goes on without an entry until its next request
            is_ended = call_in_new_transaction(log._import_session, session.uid, identifier, session[RESERVED_ID])
        return is_ended

    @classmethod
    def _hide_session(cls):
        """Show the session to the status route only: other addons would take the request for activity."""
        session = request.session
        request.single_session_asked = session
        request.session = root.session_store.new()
        request.session.update(get_default_session(), db=session.db, context=dict(session.context))
        request.session.can_save = False
        request.single_session_hidden_by = request.session
        request.env = api.Environment(request.env.cr, None, request.session.context)

    @classmethod
    def _is_hidden(cls):
        return request.session is getattr(request, "single_session_hidden_by", None)

    # ------------------------------------------------------------
    # At its end
    # ------------------------------------------------------------

    @classmethod
    def _post_dispatch(cls, response):
        """Give the session a new id where core does not: the login needs an entry of its own."""
        session = request.session
        if cls._has_logged_in_by_itself(session):
            if request.httprequest.cookies.get("session_id") == session.sid:
                session.should_rotate = True
            else:
                session[RESERVED_ID] = call_in_new_transaction(request.env["op.single.session.login"]._reserve_id)
        elif session.get("pre_uid") and not session.uid and cls._is_ended(session):
            # Between the password and the second factor: another holder of the ended session's cookie
            # would only need the second factor.
            session.should_rotate = True
        return super()._post_dispatch(response)

    @classmethod
    def _has_logged_in_by_itself(cls, session):
        """Return whether the request has logged in a user without a new session id, as some addons do.

        They set the session's user and token. If the browser sent the id, its session gets a new one. Programs
        that send no cookie log in for one request. Most of them never return with the cookie that they get.
        """
        arrival = cls._get_arrival()
        return (
            arrival
            and not arrival.uid
            and session.uid
            and session.sid == arrival.sid
            and session.can_save
            and not session.should_rotate
            and request.env["res.users"]._is_session_valid(session)
        )

    @classmethod
    def _post_logout(cls):
        """Record that the user has logged out: a later login elsewhere did not end this session.

        Odoo also calls this for sessions that it refuses, before it has authenticated the request.
        """
        result = super()._post_logout()
        arrival = cls._get_arrival()
        if arrival and arrival.open_identifier and request.single_session_authenticated:
            end = request.env["op.single.session.login"]._end_logged_out
            request.env.cr.postcommit.add(partial(call_in_new_transaction, end, arrival.open_identifier))
        return result

    # ------------------------------------------------------------
    # Data for pages
    # ------------------------------------------------------------

    def session_info(self):
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
                "ended_by_login": log._describe_ended_by(session_store.get_identifier(request.session.sid)),
            }
        return session_info

    @classmethod
    def _get_translation_frontend_modules_name(cls):
        # only http_routing calls this, which the first module with portal pages installs
        return [*super()._get_translation_frontend_modules_name(), "op_single_session_login"]
