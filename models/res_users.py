import time
from functools import partial

from odoo import _, api, fields, models
from odoo.http import request
from odoo.tools import consteq

from . import session_store
from .op_single_session_login import call_in_new_transaction
from .op_single_session_login_action import show_notification


class ResUsers(models.Model):
    _inherit = "res.users"

    allow_multiple_sessions = fields.Boolean(
        copy=False,
        groups="base.group_erp_manager",
        help="If checked, the user can be logged in on several browsers or devices at once. "
        "Otherwise, each new login ends the user's other sessions.",
    )
    login_session_count = fields.Integer(
        "Login Sessions", compute="_compute_login_session_count", groups="base.group_erp_manager"
    )
    logs_in_with_oauth = fields.Boolean(
        "Logs in with OAuth", compute="_compute_logs_in_with_oauth", groups="base.group_erp_manager"
    )

    def _compute_login_session_count(self):
        log = self.env["op.single.session.login"]
        for user in self:
            user.login_session_count = log.search_count(
                [("user_id", "=", user._origin.id), ("identifier", "!=", False)]
            )

    def _compute_logs_in_with_oauth(self):
        # Odoo's auth_oauth keeps one token per user, and computes each session's token from it. OCA's
        # auth_oauth_multi_token keeps one token per login in another field.
        has_one_token = "oauth_uid" in self._fields and "oauth_access_token_ids" not in self._fields
        for user in self:
            user.logs_in_with_oauth = has_one_token and bool(user.oauth_uid)

    # ------------------------------------------------------------
    # The bypass
    # ------------------------------------------------------------

    def action_allow_multiple_sessions(self):
        return self._set_allow_multiple_sessions(True)

    def action_require_single_session(self):
        return self._set_allow_multiple_sessions(False)

    def _set_allow_multiple_sessions(self, allow):
        """Check or uncheck the bypass of these users, and show how many were changed."""
        changed = self.filtered(lambda user: user.allow_multiple_sessions != allow)
        changed.allow_multiple_sessions = allow
        return show_notification(_("Users updated: %(count)d", count=len(changed)))

    @api.model
    def _add_missing_default_values(self, values):
        # No defaults for the bypass: where users are created with sudo (portal invitation, sign-up), a default from
        # the context or from ir.default would bypass the field's groups.
        return super()._add_missing_default_values({"allow_multiple_sessions": False, **values})

    # ------------------------------------------------------------
    # Logins and ends
    # ------------------------------------------------------------

    def _compute_session_token(self, sid):
        """Refuse ended sessions, and register logins.

        Core asks for the token at every HTTP request that a route matches, websocket message and
        bus delivery (``check_session`` in ``odoo.service.security``), and with the final session id when it
        opens a session for a completed login (``FilesystemSessionStore.rotate`` in ``odoo.http``),
        whatever the login path, with or without a database in the cookie. At migration, re-read
        those two. ``ir.http``, ``ir.websocket`` and ``bus.bus`` check again, since another addon may cache the
        token.
        """
        log = self.env["op.single.session.login"]
        arrival = getattr(request, "single_session_arrival", None) if request else None
        if arrival and arrival.sid == sid:
            # Checked already, once a request. If it came without a user, the request is about to log in, and its
            # session gets a new id.
            is_ended = arrival.is_ended
        else:
            is_ended = log._is_ended(session_store.get_identifier(sid))
            if is_ended is None and self._is_opening_session(sid):
                log._register_login(self, sid)
        return False if is_ended else super()._compute_session_token(sid)

    def _is_opening_session(self, sid):
        """Return whether the current request opens the session with this id for this user.

        Its id is then another than the one that the browser sent. An external API call has no session. After a
        password without its second factor, the session has no user. ``/web/become`` makes no new id.
        """
        if not request or request.session.uid != self.id or request.session.sid != sid:
            return False
        if request.session.db != self.env.cr.dbname:
            return False  # 17.0 asks the wrong database when a request logs in to another one
        # when 19.0 changes the id of an open session, it keeps the identifier
        sent_sid = request.httprequest.cookies.get("session_id", "")
        return session_store.get_identifier(sent_sid) != session_store.get_identifier(sid)

    @api.model
    def _is_session_valid(self, session):
        """Return whether core would accept a session. Unlike ``check_session``, this never logs out."""
        if not session.uid or session.get("deletion_time", float("inf")) <= time.time():
            return False
        token = self.browse(session.uid)._compute_session_token(session.sid)
        return bool(token) and consteq(token, session.session_token or "")

    def _set_password(self):
        # Odoo refuses the other sessions. On 17.0, "Log out from all devices" gives the same password once more.
        result = super()._set_password()
        self._end_other_sessions()
        return result

    def _action_revoke_all_devices(self):
        # "Log out from all devices", 18.0 and later
        action = super()._action_revoke_all_devices()
        self._end_other_sessions()
        return action

    def _end_other_sessions(self):
        """Write, after the commit, the ends of all sessions of these users except the current one."""
        if not self.ids:
            return  # a new user that is not saved yet
        log = self.env["op.single.session.login"]
        # logins that are registered from now on use the new password
        before_id = log._reserve_id()
        kept = session_store.get_identifier(request.session.sid) if request else None
        end = partial(call_in_new_transaction, log._end_others, self.ids, kept, before_id, self.env.uid)
        self.env.cr.postcommit.add(end)
