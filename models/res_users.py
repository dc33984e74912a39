import time

from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import consteq

from odoo.addons.base.models.res_users import check_identity

from . import parameters, session_store
from .op_single_session_login_end import show_notification
from .request_state import get_request_state


class ResUsers(models.Model):
    _inherit = "res.users"

    allow_multiple_sessions = fields.Boolean(
        copy=False,
        groups="base.group_erp_manager",
        help="If checked, the user can be logged in from several browsers or devices at the same time. "
        "Otherwise, each new login ends the user's other sessions.",
    )
    login_session_count = fields.Integer(
        "Login Sessions", compute="_compute_login_session_count", groups="base.group_erp_manager"
    )
    session_note = fields.Char(compute="_compute_session_note", groups="base.group_erp_manager")

    def _compute_login_session_count(self):
        log = self.env["op.single.session.login"]
        for user in self:
            domain = [("user_id", "=", user._origin.id), ("end_reason", "!=", "end_all")]
            user.login_session_count = log.search_count(domain)

    def _compute_session_note(self):
        """Explain it where the bypass does not decide whether a user may have several sessions."""
        # Odoo's auth_oauth keeps one token per user, and computes each session's token from it. OCA's
        # auth_oauth_multi_token keeps one token per login in another field.
        has_one_token = "oauth_uid" in self._fields and "oauth_access_token_ids" not in self._fields
        includes_portal_users = parameters.includes_portal_users(self.env)
        for user in self:
            user.session_note = False
            if has_one_token and user.oauth_uid:
                user.session_note = _(
                    "This user logs in with OAuth: Odoo ends the other sessions at each OAuth login, "
                    "even if this option is checked."
                )
            elif user.share and not includes_portal_users:
                user.session_note = _(
                    "This user is not an internal user: a login does not end the user's other sessions, even if this "
                    "option is not checked (system parameter op_single_session_login.portal_users)."
                )

    # ------------------------------------------------------------
    # The bypass
    # ------------------------------------------------------------

    def _has_single_session(self):
        """Return whether a login of this user ends the user's other sessions."""
        is_included = not self.share or parameters.includes_portal_users(self.env)
        return is_included and not self.allow_multiple_sessions

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
    # Ends
    # ------------------------------------------------------------

    def action_end_all_sessions(self):
        """End all sessions of these users on any machine.

        :return: an action that asks for the administrator's password, or shows the number of users
        :raise AccessError: if the current user is not in the *Access Rights* group, or may not read these users
        :raise UserError: if the current user is one of them
        """
        self._check_end_all_sessions()
        return self._end_all_sessions()

    @check_identity
    def _end_all_sessions(self):
        self._check_end_all_sessions()
        # sudo - op.single.session.login: users may not write the login log
        self.env["op.single.session.login"].sudo()._end_all(self)
        return show_notification(_("Users whose sessions were ended: %(count)d", count=len(self)))

    def _check_end_all_sessions(self):
        self.env["op.single.session.login"]._check_administrator()
        self.read(["login"])
        if self.env.user in self:
            raise UserError(_("Your current session can't be ended here. Log out instead."))

    def _set_password(self):
        # Odoo refuses the other sessions. On 17.0, "Log out from all devices" sets the same password again.
        result = super()._set_password()
        self.env["op.single.session.login"]._end_others(self)
        return result

    def _action_revoke_all_devices(self):
        # "Log out from all devices", 18.0 and later
        action = super()._action_revoke_all_devices()
        self.env["op.single.session.login"]._end_others(self)
        return action

    # ------------------------------------------------------------
    # Logins
    # ------------------------------------------------------------

    def _compute_session_token(self, sid):
        """Refuse ended sessions, and register logins.

        Core asks for the token at every HTTP request that a route matches, websocket message and
        bus delivery (``check_session`` in ``odoo.service.security``), when it finalizes a login (``Session.finalize``
        in ``odoo.http``), and with the final session id when it opens the session
        (``FilesystemSessionStore.rotate``), whatever the login path, with or without a database in the cookie.
        At migration, re-read those three. ``ir.http``, ``ir.websocket`` and ``bus.bus`` check again, since another
        addon may cache the token.
        """
        state = get_request_state()
        if self._is_refused(sid, state):
            return False
        token = super()._compute_session_token(sid)
        if state and state.opens_session(self, sid):
            self.env["op.single.session.login"]._register_login(self, sid)
        return token

    def _is_refused(self, sid, state):
        session = state and state.session
        if not state or session.sid != sid:
            # of a websocket, or a copy of the session for a report
            return self.env["op.single.session.login"]._is_ended(session_store.get_identifier(sid))
        if session.uid != self.id:
            # Session.finalize asks before it changes the user
            state.has_finalized |= not session.uid or session.should_rotate
            return False
        if session.db != self.env.cr.dbname:
            return False  # 17.0 asks the wrong database when a request logs in to another one
        return not state.has_logged_in and state.is_ended(self.env)

    @api.model
    def _is_session_valid(self, session, sid):
        """Return whether core would accept a session. Unlike ``check_session``, this never logs out.

        :param session: the session or its values
        :param str sid: its id
        """
        if not session.get("uid") or session.get("deletion_time", float("inf")) <= time.time():
            return False
        token = self.browse(session["uid"])._compute_session_token(sid)
        return bool(token) and consteq(token, session.get("session_token") or "")
