"""What administrators of users see of the login register, and how they end a session."""

import logging
from functools import partial

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.http import request
from odoo.tools import SQL

from odoo.addons.base.models.res_users import check_identity

from . import session_store
from .login_session import in_new_transaction

_logger = logging.getLogger(__name__)

STATES = [
    ("active", "Active"),
    ("newer_login", "Ended by a newer login"),
    ("administrator", "Ended by an administrator"),
    ("gone", "Signed out or expired"),
    ("refused", "Login not completed"),
]


def notify(message):
    """Return the action that shows a message and reloads what is shown."""
    return {
        "type": "ir.actions.client",
        "tag": "display_notification",
        "params": {
            "type": "success",
            "message": message,
            "next": {"type": "ir.actions.client", "tag": "soft_reload"},
        },
    }


class LoginSession(models.Model):
    _inherit = "op.single.session.login"

    state = fields.Selection(STATES, compute="_compute_state", search="_search_state")
    newer_login_id = fields.Many2one(
        "op.single.session.login",
        compute="_compute_newer_login_id",
        help="The next login of the user that ends the others.",
    )
    ended_date = fields.Datetime("Ended On", compute="_compute_ended")
    ended_by = fields.Char(compute="_compute_ended", help="The newer login, or the administrator.")

    @api.depends("browser", "platform", "ip_address")
    def _compute_display_name(self):
        for login in self:
            details = filter(None, [login._get_device_name(), login.ip_address])
            login.display_name = ", ".join(details) or str(login.id)

    @api.depends("revoked", "revoked_date", "logged_out", "swept")
    def _compute_state(self):
        existing = set(session_store.find_existing(self.mapped("identifier"), self.env.cr.dbname))
        for login in self:
            login.state = login._get_state(existing)

    def _get_state(self, existing):
        if self.logged_out:
            return "gone"
        if self.revoked:
            return "administrator" if self.revoked_date else "refused"
        if self.swept:
            return "newer_login"
        return "active" if self.identifier in existing and not self.newer_login_id else "gone"

    def _compute_newer_login_id(self):
        self.env.cr.execute(
            SQL(
                """
                SELECT own.id, (
                       SELECT id
                         FROM op_single_session_login
                        WHERE user_id = own.user_id AND exclusive AND -id < -own.id
                     ORDER BY -id DESC
                        LIMIT 1)
                  FROM op_single_session_login own
                 WHERE id = ANY(%s)
                """,
                self.ids,
            )
        )
        newer = dict(self.env.cr.fetchall())
        for login in self:
            login.newer_login_id = newer.get(login.id)

    @api.depends("state", "revoked_date", "revoked_by_id")
    def _compute_ended(self):
        for login in self:
            newer = login.newer_login_id if login.state == "newer_login" else self.browse()
            login.ended_date = login.revoked_date or newer.login_date
            login.ended_by = login.revoked_by_id.display_name or newer.display_name

    # ------------------------------------------------------------
    # Searching
    # ------------------------------------------------------------

    @api.model
    def _search_state(self, operator, value):
        values = value if operator in ("in", "not in") else [value]  # up to 18.0 also a single one
        states = [state for state, _label in STATES if (state in values) == (operator in ("in", "="))]
        active = self._find_active() if {"active", "gone"} & {*states} else []
        domains = {
            "active": [("id", "in", active)],
            "newer_login": ["&", ("revoked", "=", False), ("swept", "=", True)],
            "administrator": ["&", ("revoked", "=", True), ("revoked_date", "!=", False)],
            "gone": [
                *("|", ("logged_out", "=", True)),
                *("&", "&", ("revoked", "=", False), ("swept", "=", False), ("id", "not in", active)),
            ],
            "refused": [
                *("&", "&", ("revoked", "=", True), ("revoked_date", "=", False), ("logged_out", "=", False)),
            ],
        }
        none = [("id", "in", [])]
        return ["|"] * len(states) + none + [term for state in states for term in domains[state]]

    @api.model
    def _find_active(self):
        """Return the ids of the logins whose sessions are active: few, of however many rows."""
        self.flush_model(["revoked", "swept"])
        self.env.cr.execute(
            """
            SELECT own.id, own.identifier
              FROM op_single_session_login own
         LEFT JOIN (
                   SELECT user_id, max(id) AS id FROM op_single_session_login WHERE exclusive GROUP BY user_id
                   ) newest USING (user_id)
             WHERE own.id >= coalesce(newest.id, 0) AND own.revoked IS NOT TRUE AND own.swept IS NOT TRUE
            """
        )
        identifiers = dict(self.env.cr.fetchall())
        existing = set(session_store.find_existing(identifiers.values(), self.env.cr.dbname))
        return [login for login, identifier in identifiers.items() if identifier in existing]

    # ------------------------------------------------------------
    # Ending
    # ------------------------------------------------------------

    def action_end(self):
        """End those of these sessions that are active.

        :return: an action that asks for the administrator's password or says how many were ended
        :raise AccessError: for anybody but administrators of users
        :raise UserError: if the administrator's own session is among them, or none is active
        """
        return self._get_endable()._end()

    @check_identity
    def _end(self):
        logins = self._get_endable()  # once more: a newer login may have come before the password
        # sudo - op.single.session.login: nobody may edit the register by hand
        logins.sudo().write({"revoked": True, "revoked_date": fields.Datetime.now(), "revoked_by_id": self.env.uid})
        arguments = logins.ids, self.env.uid, self._get_ip_address(request.httprequest.remote_addr)
        self.env.cr.postcommit.add(partial(in_new_transaction, self.env, "_sweep_revoked", *arguments))
        return notify(_("Sessions ended: %(count)d", count=len(logins)))

    def _get_endable(self):
        if not self.env.user.has_group("base.group_erp_manager"):
            raise AccessError(_("Only administrators of users may end sessions."))
        if request and session_store.get_identifier(request.session.sid) in self.mapped("identifier"):
            raise UserError(_("One of these is the session you are using now. Sign out to end it."))
        logins = self.filtered(lambda login: login.state == "active")
        if not logins:
            raise UserError(_("None of these sessions is active any more."))
        return logins

    @api.model
    def _sweep_revoked(self, ids, uid, address):
        """Clean up after an administrator has ended sessions, as after a login.

        :param list ids: of the logins that opened the sessions
        :param int uid: id of the administrator
        :param str address: the administrator's IP address, perhaps None
        """
        self.env.cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        logins = self.browse(ids).exists()
        self._discard(logins.mapped("identifier"))
        for user in logins.user_id:
            self._wake_websockets(user.partner_id.id)
            count = len(logins.filtered(lambda login, user=user: login.user_id == user))
            _logger.info(
                "Single session: ENDED %d for user %d (by user %d from %s)",
                count,
                user.id,
                uid,
                address or "an unknown address",
            )
