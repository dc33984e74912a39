"""What happens after the commit that ends sessions, and at night. The session check depends on none of it."""

import logging
from datetime import timedelta
from functools import partial

from odoo import api, fields, models
from odoo.tools import SQL, groupby

from . import devices, parameters, session_store
from .op_single_session_login import IS_ENDED_BY_NEWER, NEXT_EXCLUSIVE, call_in_new_transaction

_logger = logging.getLogger(__name__)

# Ends that one cleanup writes. The rest is refused anyway; the next cleanup or the vacuum writes it.
LIMIT = 10_000


class OpSingleSessionLogin(models.Model):
    _inherit = "op.single.session.login"

    # ------------------------------------------------------------
    # Hook
    # ------------------------------------------------------------

    def _notify_ended(self, address):
        """Log that sessions have ended. Override this to send a mail, call a webhook or keep an audit record.

        The addon calls it after the commit, in a transaction of its own, with entries that share their ``user_id``,
        ``end_reason``, ``ended_by_login_id`` and ``ended_by_user_id``. An error is logged and harms nothing::

            def _notify_ended(self, address):
                super()._notify_ended(address)
                if self[0].end_reason == "newer_login":
                    template = self.env.ref("my_module.mail_template_session_ended")
                    template.send_mail(self[0].id)

        :param address: the IP address that the end came from, None if it is unknown or they expired
        """
        first = self[0]
        _logger.info(
            "Single session: ENDED count=%d user=%d reason=%s by_user=%s by_login=%s address=%s",
            len(self),
            first.user_id.id,
            first.end_reason,
            first.ended_by_user_id.id or None,
            first.ended_by_login_id.id or None,
            address,
        )

    # ------------------------------------------------------------
    # After a login
    # ------------------------------------------------------------

    def _clean_up(self):
        """Clean up after this login or *End all sessions*: write the ends of older sessions."""
        self._read_committed()
        self._end_older(self.user_id)

    @api.model
    def _end_older(self, users):
        """Write the ends of sessions that a newer exclusive entry has ended, delete their files and notify their pages.

        With simultaneous logins, the login that runs the cleanup is not always the one that ended a session.

        :param users: whose sessions; an empty recordset for those of all users
        """
        for newer, ended in self._find_ended(users).items():
            replaced = ended.filtered(lambda entry, newer=newer: entry.identifier == newer.replaced_identifier)
            known = (ended - replaced)._filter_known() | replaced
            by = {"ended_by_login_id": newer.id, "end_date": newer.login_date}
            if newer.identifier:
                by.update(end_reason="newer_login", ended_by_user_id=newer.user_id.id)
            else:
                by.update(end_reason="administrator", ended_by_user_id=newer.ended_by_user_id.id)
            known._end(newer.ip_address, **by)
            (ended - known)._end(None, end_reason="expired", end_date=newer.login_date)
            if ended - replaced:  # the browser of a replaced session has the new one
                self._notify_pages(newer.user_id)

    @api.model
    def _find_ended(self, users):
        """Return the entries without an end that a newer exclusive entry has ended, by the next such entry.

        It skips entries that another cleanup is about to write.

        :rtype: dict
        """
        # User by user, with the newest exclusive entry first: of a user without one, no other entry is read.
        # NO KEY: an entry that ended others can be locked while these come to refer to it.
        self.env.cr.execute(
            SQL(
                """
                SELECT own.id, newer.id
                  FROM res_users
                  JOIN LATERAL (
                       SELECT id FROM op_single_session_login entry
                        WHERE entry.user_id = res_users.id AND entry.exclusive ORDER BY -entry.id LIMIT 1
                       ) newest ON TRUE
                  JOIN op_single_session_login own
                    ON own.user_id = res_users.id AND own.id < newest.id AND own.end_reason IS NULL
                  JOIN LATERAL (%(newer)s) newer ON TRUE
                 WHERE %(users)s
              ORDER BY newer.id, own.id
                 LIMIT %(limit)s
                   FOR NO KEY UPDATE OF own SKIP LOCKED
                """,
                limit=LIMIT,
                newer=NEXT_EXCLUSIVE,
                users=SQL("res_users.id = ANY(%s)", users.ids) if users else SQL("TRUE"),
            )
        )
        found = groupby(self.env.cr.fetchall(), key=lambda row: row[1])
        return {self.browse(newer): self.browse(id_ for id_, _newer in rows) for newer, rows in found}

    @api.model
    def _read_committed(self):
        # Cleanups of simultaneous logins meet at the same entries. Without a snapshot, they skip each other's
        # instead of failing.
        self.env.cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")

    def _end(self, address, **values):
        """Write the end of these sessions and delete them.

        :param address: see ``_notify_ended``
        :param values: ``end_reason``, ``end_date`` and what ended the sessions
        """
        if not self:
            return
        self.write(values)
        self.flush_recordset(values)
        self._delete_sessions()
        self.env.cr.postcommit.add(partial(call_in_new_transaction, self._notify_ended, address))

    def _delete_sessions(self):
        """Delete the files of these sessions, if the store has files, and mark their devices as revoked."""
        identifiers = self.mapped("identifier")
        session_store.delete(identifiers, self.env.cr.dbname)
        devices.revoke(self.env, identifiers)

    def _filter_known(self):
        """Return the entries whose sessions are in the store, or were used within their lifetime on any machine."""
        identifiers = self.mapped("identifier")
        lately = fields.Datetime.now() - session_store.get_lifetime(self.env)
        used = devices.find_used_since(self.env, lately, identifiers)
        known = set(session_store.find_existing(identifiers, self.env.cr.dbname, used))
        return self.filtered(lambda entry: entry.identifier in known)

    @api.model
    def _notify_pages(self, user):
        # Odoo checks the session of each websocket that gets the message, and closes those of ended ones with 4001.
        self.env["bus.bus"]._sendone(user.partner_id, "op_single_session_login/ended", {})

    # ------------------------------------------------------------
    # Sessions that no login ends
    # ------------------------------------------------------------

    @api.model
    def _end_logged_out(self, identifier):
        """Write that a user has logged out, and refuse the session in case a late request saves it again."""
        self._read_committed()
        entries = self._lock(SQL("identifier = %s", identifier))
        entries._end_by_user("logged_out", entries.user_id)

    @api.model
    def _end_others(self, uids, kept_identifier, before_id, by_uid):
        """Write the ends of the sessions that a new password or *Log out from all devices* ends.

        :param list uids: the ids of the users
        :param str kept_identifier: the identifier of the current session, which goes on
        :param int before_id: entries with this id or a higher one belong to later logins
        :param int by_uid: the id of the user who did it
        """
        self._read_committed()
        by = self.env["res.users"].browse(by_uid)
        entries = self._lock(SQL("user_id = ANY(%s) AND id < %s AND NOT %s", uids, before_id, IS_ENDED_BY_NEWER))
        ended = entries.filtered(lambda entry: entry.identifier != kept_identifier)
        for user, of_user in ended.grouped("user_id").items():
            is_administrator = by != user and by.has_group("base.group_erp_manager")
            of_user._end_by_user("administrator" if is_administrator else "logged_out", by)

    def _end_by_user(self, reason, user):
        values = {"refused": True, "end_reason": reason, "end_date": fields.Datetime.now()}
        self._end(None, **values, ended_by_user_id=user.id)

    @api.model
    def _lock(self, condition):
        """Return and lock the entries without an end that meet a condition. Skip those that others have locked."""
        self.env.cr.execute(
            SQL(
                """
                SELECT id FROM op_single_session_login own
                 WHERE own.end_reason IS NULL AND %s ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
                """,
                condition,
            )
        )
        return self.browse(id_ for [id_] in self.env.cr.fetchall())

    # ------------------------------------------------------------
    # The vacuum
    # ------------------------------------------------------------

    @api.autovacuum
    def _gc_logins(self):
        """Write the ends that are missing, and delete the entries that can decide nothing anymore.

        Entries of ended sessions stay for the retention time: a session that comes back, for example from a backup,
        must still be refused. The newest exclusive entry of a user stays: it refuses the older sessions. If a cleanup
        writes the same entries meanwhile, PostgreSQL stops the vacuum, and the next one does its work.
        """
        self._end_older(self.env["res.users"])
        self._end_expired()
        retention = timedelta(days=parameters.get_retention_days(self.env))
        limit = fields.Datetime.now() - max(retention, 2 * session_store.get_lifetime(self.env))
        self.env.cr.execute(
            SQL(
                """
                DELETE FROM op_single_session_login own
                 WHERE own.end_date < %s AND (own.exclusive IS NOT TRUE OR %s)
                """,
                limit,
                IS_ENDED_BY_NEWER,
            )
        )

    @api.model
    def _end_expired(self):
        """Write the ends of sessions that no machine seems to have anymore. One that comes back is not refused."""
        now = fields.Datetime.now()
        unused = self._lock(SQL("login_date < %s", now - session_store.get_lifetime(self.env)))
        (unused - unused._filter_known())._end(None, end_reason="expired", end_date=now)
