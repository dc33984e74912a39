"""What the addon knows about the current request and its session."""

from odoo.http import request

from .session_store import BOND, identify
from .transaction import is_readonly


class RequestState:
    """The session that the current request came with, and what has happened to it since."""

    def __init__(self, session):
        self.session = session
        self.sid = session.sid
        self.db = session.db
        self.uid = session.uid  # the user that it came with; None if the session is refused
        self.had_user = bool(session.uid)
        self.identifier, self.has_bond = identify(session)
        self.is_named = session.sid == request.httprequest.cookies.get("session_id")
        self.is_new = session.is_new  # the store does not have it
        self.hidden = None  # the session's values, while other addons must not see them
        self.has_finalized = False
        self.is_registered = False
        self.login = None  # the entry, if the request's transaction has added it
        self._is_ended = None
        self._is_replica = None  # whether a replica said so; None before the answer

    def is_ended(self, env):
        """Return whether the session that came has ended, as ``_is_ended`` of the login log does.

        It asks the login log once, and once more if a replica has answered, which may lag: then it asks the primary.
        """
        if self._is_replica is None or (self._is_replica and not is_readonly(env.cr)):
            self._is_replica = is_readonly(env.cr)
            self._is_ended = env["op.single.session.login"]._is_ended(self.identifier, self.has_bond)
        return self._is_ended

    @property
    def has_left_session(self):
        """Whether the browser came with an open session, and Odoo has saved another one in its place."""
        was_open = self.had_user and not self._is_ended and not self.hidden
        session = self.session
        return was_open and session.can_save and session.sid != self.sid and session.get(BOND) != self.identifier

    def discard_unsaved_login(self):
        login, self.login = self.login, None
        if login and not login.env.cr.closed:
            login._discard_unless_stored(self.session)

    @property
    def has_logged_in(self):
        """Whether a user has logged in during the request.

        Either Odoo has finalized the session, or it came without a user that Odoo accepts and has one now: some addons
        set the user and the token themselves. A program that sends no cookie logs in for one request only. A browser
        may have no cookie either, but sends ``Sec-Fetch-Mode`` (over HTTPS and to localhost).
        """
        if not self.session.uid or self.has_finalized:
            return bool(self.session.uid)
        return not self.uid and (self.is_named or "Sec-Fetch-Mode" in request.httprequest.headers)

    def opens_session(self, user, sid):
        """Return whether a login has given the session its final id. Some addons keep the old one at first."""
        session = self.session
        is_final = session.sid == sid != self.sid and session.uid == user.id and session.db == user.env.cr.dbname
        return is_final and self.has_logged_in and not self.is_registered


def get_request_state():
    """Return the state of the current request; None outside a request.

    ``retrying`` (in ``odoo.service.model``) loads the session anew and repeats the request, which gets a new state.
    """
    if not request:
        return None
    current = request._get_current_object()  # each look at the proxy takes time, and every request asks
    state = getattr(current, "single_session", None)
    if state is None or state.session is not current.session:
        state = current.single_session = RequestState(current.session)
    return state
