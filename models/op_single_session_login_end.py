"""Ending sessions, recording ends, the cleanup after the commit, and the vacuum.

The session check needs nothing that is recorded after a newer login: that is for people to read.
"""

import logging
from datetime import timedelta
from functools import partial

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.http import request
from odoo.tools import SQL

from odoo.addons.base.models.res_users import check_identity

from . import devices, parameters, session_store
from .client import get_ip_address
from .request_state import get_request_state
from .transaction import call_in_new_transaction

_logger = logging.getLogger(__name__)

# How many ends one cleanup records. The next cleanup or the vacuum records the rest.
LIMIT = 10_000
# The next exclusive entry of the user of the entry "own". It sorts by -id: see CHECK.
NEXT_EXCLUSIVE = SQL(
    """
    SELECT newer.id FROM op_single_session_login newer
     WHERE newer.user_id = own.user_id AND newer.exclusive AND -newer.id < -own.id ORDER BY -newer.id DESC LIMIT 1
    """
)


def show_notification(message):
    """Return an action that shows a message and reloads the records of the page."""
    params = {"type": "success", "message": message, "next": {"type": "ir.actions.client", "tag": "soft_reload"}}
    return {"type": "ir.actions.client", "tag": "display_notification", "params": params}


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

        :param address: the IP address that they were ended from, None if it is unknown or they expired
        """
        first = self[0]
        by = first.ended_by_user_id.id or None, first.ended_by_login_id.id or None, address
        what = "Single session: ENDED count=%d user=%d reason=%s by_user=%s by_login=%s address=%s"
        _logger.info(what, len(self), first.user_id.id, first.end_reason, *by)

    # ------------------------------------------------------------
    # Ending sessions in the current transaction
    # ------------------------------------------------------------

    @api.model
    def _check_administrator(self):
        """Make sure that the current user may end sessions.

        :raise AccessError: if the current user is not in the *Access Rights* group
        """
        if not self.env.user.has_group("base.group_erp_manager"):
            raise AccessError(_('Only users in the "Access Rights" group can end sessions.'))

    def action_end(self):
        """End those of these sessions that are open.

        :return: an action that asks for the administrator's password, or shows how many sessions were ended
        :raise AccessError: if the current user is not in the *Access Rights* group
        :raise UserError: if the administrator's current session is among them, or none is open
        """
        return self._get_endable()._end_by_administrator()

    @check_identity
    def _end_by_administrator(self):
        entries = self._get_endable()  # once more: a newer login may have come before the password
        entries._end("administrator", get_ip_address(request.httprequest.remote_addr))
        return show_notification(_("Sessions ended: %(count)d", count=len(entries)))

    def _get_endable(self):
        self._check_administrator()
        state = get_request_state()
        if state and state.identifier in self.mapped("identifier"):
            raise UserError(_("Your current session can't be ended here. Log out instead."))
        entries = self.filtered(lambda entry: not entry.end_reason)
        if not entries:
            raise UserError(_("None of the selected sessions is still active."))
        return entries

    @api.model
    def _end_all(self, users):
        """End all sessions of users: add an entry for each user, like a login that opens no session."""
        address = get_ip_address(request.httprequest.remote_addr)
        now = fields.Datetime.now()
        for user in users:
            values = {"user_id": user.id, "exclusive": True, "login_date": now, "ip_address": address}
            end = {"end_reason": "end_all", "end_date": now, "ended_by_user_id": self.env.uid}
            entry = self._insert_newest({**values, **end})
            self.env.cr.postcommit.add(partial(call_in_new_transaction, entry._clean_up))

    @api.model
    def _end_others(self, users):
        """End the sessions of users except the current one, as a new password or *Log out from all devices* does.

        Odoo refuses them anyway: this is for the log, and for the pages.
        """
        state = get_request_state()
        condition = SQL(
            "user_id = ANY(%s) AND identifier IS DISTINCT FROM %s", users.ids, state.identifier if state else None
        )
        # sudo - op.single.session.login: those who may change a password may end the sessions that it ends
        for user, entries in self.sudo()._find_open(condition).grouped("user_id").items():
            by_administrator = self.env.user != user and self.env.user.has_group("base.group_erp_manager")
            entries._end("administrator" if by_administrator else "logged_out", None)

    def _end(self, reason, address):
        """End these sessions in the current transaction.

        :param str reason: one that refuses them
        :param address: see ``_notify_ended``
        """
        values = {"end_reason": reason, "end_date": fields.Datetime.now(), "ended_by_user_id": self.env.uid}
        # sudo - op.single.session.login: users may not write the login log
        self.sudo()._record_end(address, **values)

    def _record_end(self, address, **values):
        if not self:
            return
        self.write(values)
        self.flush_recordset(values)
        clean_up = partial(call_in_new_transaction, self._clean_up_ended, values["end_reason"], address)
        self.env.cr.postcommit.add(clean_up)

    @api.model
    def _find_open(self, condition):
        """Return and lock at most LIMIT entries without an end that meet a condition.

        Skip those that others have locked: they are about to record an end, too. NO KEY: an entry that ended others
        can be locked while these come to refer to it.
        """
        query = "SELECT id FROM op_single_session_login own WHERE end_reason IS NULL AND %s LIMIT %s"
        self.env.cr.execute(SQL(query + " FOR NO KEY UPDATE SKIP LOCKED", condition, LIMIT))
        return self.browse(id_ for [id_] in self.env.cr.fetchall())

    # ------------------------------------------------------------
    # After the commit
    # ------------------------------------------------------------

    def _clean_up_ended(self, reason, address):
        """Delete these sessions, mark their devices and notify their pages, if the end was committed.

        Rolling back a savepoint undoes the end, but not this call after the commit.

        :param str reason: the reason that was recorded
        """
        self._read_committed()
        ended = self.exists().filtered(lambda entry: entry.end_reason == reason)
        for user, entries in ended.grouped("user_id").items():
            entries._delete_sessions()
            if reason in ("newer_login", "administrator"):
                # Odoo checks the session of each websocket that gets the message, and closes those of ended ones
                # with 4001.
                self.env["bus.bus"]._sendone(user.partner_id, "op_single_session_login/ended", {})
            self.env.cr.postcommit.add(partial(call_in_new_transaction, entries._notify_ended, address))

    def _delete_sessions(self):
        """Delete the files of these sessions, if the store has files, and mark their devices as revoked."""
        identifiers = self.mapped("identifier")
        session_store.delete(identifiers, self.env.cr.dbname)
        devices.revoke(self.env, identifiers)

    def _clean_up(self, lost_identifier=None):
        """Record the ends of the sessions that this login or *End all sessions* has ended, if it was committed.

        :param lost_identifier: of the session that the browser's cookie named, if the store no longer had it
        """
        self._read_committed()
        login = self.exists()
        login._record_replaced()
        if login and lost_identifier:
            self._record_lost(lost_identifier, lost_identifier)
        if login.exclusive:
            self._record_older(SQL("user_id = %s AND id < %s", login.user_id.id, login.id))

    def _record_replaced(self):
        """Record that the session that the browser had before this login was logged out, of whichever user it was.

        :return: its entries
        """
        condition = SQL("identifier = %s AND id < %s", self.replaced_identifier or None, self.id or None)
        replaced = self._find_open(condition)
        replaced._record_logged_out(ended_by_login_id=self.id if replaced.user_id == self.user_id else False)
        return replaced

    def _record_logged_out(self, **values):
        values.update(end_reason="logged_out", end_date=fields.Datetime.now(), ended_by_user_id=self.user_id[:1].id)
        self._record_end(None, **values)

    @api.model
    def _clean_up_left(self, identifier, refused_identifier=None):
        """Record that a browser has logged out, or that Odoo has refused its session, since the user's login changed.

        After a logout, the session is refused if a late request saves it again.

        :param refused_identifier: the identifier that the store would have the session under, if Odoo refused it
        """
        self._read_committed()
        if refused_identifier:
            self._record_lost(identifier, refused_identifier)
        else:
            self._find_open(SQL("identifier = %s", identifier))._record_logged_out()

    @api.model
    def _record_lost(self, identifier, stored_identifier):
        """Record that a session has expired if its browser can no longer use it and the store does not have it.

        This does not refuse the session. On 19.0, a browser may send the id that its session had before a rotation,
        and anyone may send half of an id with another half.

        :param str stored_identifier: the identifier that the store would have it under
        """
        if not session_store.find_existing([stored_identifier], self.env.cr.dbname):
            entries = self._find_open(SQL("identifier = %s", identifier))
            entries._record_end(None, end_reason="expired", end_date=fields.Datetime.now())

    @api.model
    def _record_older(self, condition):
        """Record the ends of sessions that a newer exclusive entry has ended.

        With simultaneous logins, the login that runs the cleanup is not always the one that ended a session.

        :param condition: SQL that the entries must meet
        """
        older = self._find_open(SQL("%s AND (%s) IS NOT NULL", condition, NEXT_EXCLUSIVE))
        for newer, entries in older._group_by_newer():
            ended = entries - newer._record_replaced()
            known = ended._filter_known()
            by = {"ended_by_login_id": newer.id, "end_date": newer.login_date}
            if newer.end_reason == "end_all":
                by.update(end_reason="administrator", ended_by_user_id=newer.ended_by_user_id.id)
            else:
                by.update(end_reason="newer_login", ended_by_user_id=newer.user_id.id)
            known._record_end(newer.ip_address, **by)
            (ended - known)._record_end(None, end_reason="expired", end_date=newer.login_date)

    def _group_by_newer(self):
        """Return the next exclusive entries of the users of these entries, each with those that come before it."""
        query = "SELECT own.id, (%s) FROM op_single_session_login own WHERE own.id = ANY(%s)"
        self.env.cr.execute(SQL(query, NEXT_EXCLUSIVE, self.ids))
        newer = dict(self.env.cr.fetchall())
        return [(self.browse(id_), entries) for id_, entries in self.grouped(lambda entry: newer[entry.id]).items()]

    def _filter_known(self):
        """Return the entries whose sessions are in the store, or were used within their lifetime on any machine."""
        recently = fields.Datetime.now() - session_store.get_lifetime(self.env)
        used = devices.find_used_since(self, recently)
        known = set(session_store.find_existing(self.mapped("identifier"), self.env.cr.dbname, used))
        return self.filtered(lambda entry: entry.identifier in known)

    @api.model
    def _read_committed(self):
        # Cleanups of simultaneous logins meet at the same entries. Without a snapshot, they skip each other's
        # instead of failing.
        self.env.cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")

    # ------------------------------------------------------------
    # The vacuum
    # ------------------------------------------------------------

    @api.autovacuum
    def _gc_logins(self):
        """Record the ends that are missing, and delete the entries that ended longer ago than the retention time.

        A session with a bond stays refused without its entry. If a cleanup writes the same entries meanwhile,
        PostgreSQL stops the vacuum, and the next one does its work.
        """
        now = fields.Datetime.now()
        self._record_older(SQL("TRUE"))
        # No machine seems to have them anymore. If one comes back, it is not refused.
        unused = self._find_open(SQL("login_date < %s", now - session_store.get_lifetime(self.env)))
        (unused - unused._filter_known())._record_end(None, end_reason="expired", end_date=now)
        limit = now - timedelta(days=parameters.get_retention_days(self.env))
        self.env.cr.execute("DELETE FROM op_single_session_login WHERE end_date < %s", [limit])
