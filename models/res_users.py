from odoo import _, api, fields, models
from odoo.http import request

from . import session_store
from .login_session_administration import notify


class ResUsers(models.Model):
    _inherit = "res.users"

    allow_multiple_sessions = fields.Boolean(
        copy=False,
        groups="base.group_erp_manager",
        help="Ticked: the user may be logged in from several browsers and devices at the same time.\n"
        "Not ticked: each new login ends the user's other sessions.",
    )

    login_session_count = fields.Integer(
        "Login Sessions", compute="_compute_login_session_count", groups="base.group_erp_manager"
    )
    signs_in_with_oauth = fields.Boolean(
        "Signs in with OAuth", compute="_compute_signs_in_with_oauth", groups="base.group_erp_manager"
    )

    def _compute_login_session_count(self):
        logins = self.env["op.single.session.login"]
        for user in self:
            user.login_session_count = logins.search_count([("user_id", "=", user._origin.id)])

    def _compute_signs_in_with_oauth(self):
        for user in self:
            user.signs_in_with_oauth = "oauth_uid" in self._fields and bool(user.oauth_uid)

    def action_allow_multiple_sessions(self):
        return self._set_allow_multiple_sessions(True)

    def action_disallow_multiple_sessions(self):
        return self._set_allow_multiple_sessions(False)

    def _set_allow_multiple_sessions(self, allow):
        """Tick or untick the box of these users, and say for how many that was a change."""
        changed = self.filtered(lambda user: user.allow_multiple_sessions != allow)
        changed.allow_multiple_sessions = allow
        return notify(_("Users changed: %(count)d", count=len(changed)))

    @api.model
    def _add_missing_default_values(self, values):
        # No defaults for the box: from the context or from ir.default they would get past the field's
        # groups wherever users are created with sudo (portal invitation, sign up).
        return super()._add_missing_default_values({"allow_multiple_sessions": False, **values})

    def _compute_session_token(self, sid):
        """Refuse ended sessions and register new ones.

        Core asks for the token at every HTTP request that a route matches, websocket message and
        bus delivery (``check_session`` in ``odoo.service.security``), and with the final session id when it
        opens a session for a completed login (``FilesystemSessionStore.rotate`` in ``odoo.http``),
        whatever the login path, with or without a database in the cookie. At migration, re-read
        those two. What an addon that caches the token would let through, ``ir.http``, ``ir.websocket``
        and ``bus.bus`` refuse.
        """
        logins = self.env["op.single.session.login"]
        arrival = getattr(request, "single_session_arrival", None) if request else None
        if arrival and arrival.sid == sid:
            # Asked already, once a request. If it came without a user, nothing has ended that the request could
            # go on with: it is about to log in, and its session gets a new id.
            is_ended = arrival.is_ended
        else:
            is_ended = logins._is_ended(sid)
            if is_ended is None and self._is_opening_session(sid):
                logins._register_login(self, sid)
        return False if is_ended else super()._compute_session_token(sid)

    def _is_opening_session(self, sid):
        """Return whether the current request opens the session with this id for this user.

        Its id is then neither the one that the browser sent nor the one that the request began with. External API
        calls have no session, a password without the second factor no user in it, and ``/web/become`` no new id.
        """
        if not request or request.session.uid != self.id or request.session.sid != sid:
            return False
        if request.session.db != self.env.cr.dbname:
            return False  # 17.0 asks the wrong database when the request is on another one
        # 19.0 keeps the identifier where it changes the id of an open session
        sent_sid = request.httprequest.cookies.get("session_id", "")
        return session_store.get_identifier(sent_sid) != session_store.get_identifier(sid)
