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

# Logins and the newest login of their user that ends others: a join, which PostgreSQL looks up once for each user.
LOGINS = SQL("""
    op_single_session_login own
    LEFT JOIN LATERAL (
         SELECT id FROM op_single_session_login WHERE user_id = own.user_id AND exclusive ORDER BY -id LIMIT 1
         ) newest ON TRUE
""")
# As far as the register knows: of what is active to it, the store tells what is gone.
STATE = SQL("""
    CASE WHEN own.revoked_date IS NOT NULL THEN 'administrator'
         WHEN own.revoked THEN 'refused'
         WHEN own.swept THEN 'newer_login'
         WHEN own.id < newest.id THEN 'gone'
         ELSE 'active' END
""")


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
    several_a_day = fields.Boolean(
        "Several Logins a Day",
        store=False,
        search="_search_several_a_day",
        help="The user has logged in several times on that day.",
    )

    @api.depends("browser", "platform", "ip_address")
    def _compute_display_name(self):
        for login in self:
            details = filter(None, [login._get_device_name(), login.ip_address])
            login.display_name = ", ".join(details) or str(login.id)

    @api.depends("revoked", "revoked_date", "swept")
    def _compute_state(self):
        condition = SQL("own.id = ANY(%s)", self.ids)
        state = self._get_state_sql(condition)
        self.env.cr.execute(SQL("SELECT own.id, %s FROM %s WHERE %s", state, LOGINS, condition))
        states = dict(self.env.cr.fetchall())
        for login in self:
            login.state = states.get(login.id)

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

    @api.model
    def _get_state_sql(self, condition):
        """Return the expression of the state of ``LOGINS``, after a look into the store.

        :param SQL condition: which of them it is for
        :rtype: SQL
        """
        self.flush_model(["revoked", "revoked_date", "swept"])
        self.env.cr.execute(
            SQL("SELECT own.id, own.identifier FROM %s WHERE %s AND %s = 'active'", LOGINS, condition, STATE)
        )
        identifiers = dict(self.env.cr.fetchall())
        existing = set(session_store.find_existing(list(set(identifiers.values()))))
        gone = [login for login, identifier in identifiers.items() if identifier not in existing]
        return SQL("CASE WHEN own.id = ANY(%s) THEN 'gone' ELSE %s END", gone, STATE)

    # ------------------------------------------------------------
    # Searching
    # ------------------------------------------------------------

    @api.model
    def _search_state(self, operator, value):
        # up to 18.0 also a single value
        values = value if operator in ("in", "not in") else [value]
        states = [state for state, _label in STATES if state in values]
        state = self._get_state_sql(SQL("TRUE"))
        found = SQL("SELECT own.id FROM %s WHERE %s = ANY(%s)", LOGINS, state, states)
        return self._search_ids(found, operator in ("in", "="))

    @api.model
    def _search_several_a_day(self, operator, value):
        """Find the logins of users who logged in several times on the same day, in the administrator's time zone.

        Neither logins that were not completed count, nor sessions that are older than the addon, which have no address.
        """
        found = SQL(
            """
            SELECT unnest(array_agg(id))
              FROM op_single_session_login
             WHERE ip_address IS NOT NULL AND (revoked IS NOT TRUE OR revoked_date IS NOT NULL)
          GROUP BY user_id, date_trunc('day', login_date AT TIME ZONE 'UTC' AT TIME ZONE %s)
            HAVING count(*) > 1
            """,
            self.env.user.tz or "UTC",
        )
        is_wanted = True in value if operator in ("in", "not in") else bool(value)
        return self._search_ids(found, is_wanted == (operator in ("in", "=")))

    @api.model
    def _search_ids(self, found, positive):
        query = self._search([])
        query.add_where(SQL("op_single_session_login.id %s (%s)", SQL("IN" if positive else "NOT IN"), found))
        return [("id", "in", query)]

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
        self.env.cr.postcommit.add(partial(in_new_transaction, self.env.registry, "_sweep_revoked", *arguments))
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
            _logger.info("Single session: ENDED %d for user %d (by user %d from %s)", count, user.id, uid, address)
