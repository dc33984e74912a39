"""The login log: the session check and registering logins."""

import logging
import sys
from functools import partial

from werkzeug.exceptions import HTTPException

from odoo import api, fields, models
from odoo.http import request
from odoo.tools import SQL
from odoo.tools.sql import create_index

from . import session_store
from .client import get_client
from .request_state import get_request_state
from .transaction import call_in_new_transaction, is_readonly

_logger = logging.getLogger(__name__)

END_REASONS = [
    ("newer_login", "Ended by a newer login"),
    ("administrator", "Ended by an administrator"),
    ("logged_out", "Logged out"),
    ("expired", "Expired"),
    # not of a session: the entry that *End all sessions* adds, which ends all older ones
    ("end_all", "End of all sessions"),
]

# Both conditions of the session check. Sorted by -id, the order of the index "newest" and of no other: for a user
# without exclusive entries, PostgreSQL would otherwise walk the primary key through all entries of other users. With
# EXISTS, it may read the whole table. A plain string: every request asks, and composing an SQL object takes time.
CHECK = """
    SELECT own.end_reason, own.id < (
           SELECT newer.id FROM op_single_session_login newer
            WHERE newer.user_id = own.user_id AND newer.exclusive ORDER BY -newer.id LIMIT 1)
      FROM op_single_session_login own
     WHERE own.identifier = %s
"""


class OpSingleSessionLogin(models.Model):
    """The login log: an entry for each completed login, ordered by id.

    The session of a login carries the identifier of its entry, its bond. A session has ended if its entry has a reason
    that refuses it, if the entry's user has a newer exclusive entry, or if the session has a bond and no entry.
    A login changes no older entry: simultaneous logins never wait for one another, and exactly one of them, the one
    with the highest id, survives. A session that no login has registered gets an entry at its first request, which
    ends no other session. Why and when a login ended a session is recorded after the commit, for people to read.
    """

    _name = "op.single.session.login"
    _description = "Login Session"
    _log_access = False
    _order = "id desc"
    _rec_names_search = ["user_id", "browser", "platform", "ip_address"]

    user_id = fields.Many2one("res.users", required=True, ondelete="cascade")
    identifier = fields.Char(
        "Session Identifier",
        index=True,
        help="The part of the session ID that Odoo stores. It does not give access to the session.",
    )
    exclusive = fields.Boolean(help="This entry ends the user's older sessions.")
    login_date = fields.Datetime(required=True)
    browser = fields.Char()
    platform = fields.Char()
    ip_address = fields.Char("IP Address")
    replaced_identifier = fields.Char(help="The session of the same browser that this login replaced.")
    end_reason = fields.Selection(END_REASONS, help="Why the session ended. Empty while the session is open.")
    end_date = fields.Datetime()
    ended_by_login_id = fields.Many2one(
        "op.single.session.login", "Ended by Login", ondelete="set null", index="btree_not_null"
    )
    ended_by_user_id = fields.Many2one("res.users", "Ended by User", ondelete="set null")

    def init(self):
        # create_index asks first whether the index exists: CREATE INDEX IF NOT EXISTS locks the table even then, and
        # logins during an update would wait for it. newest: see CHECK. user: lists. open: the cleanup after a login.
        table = self._table
        create_index(self.env.cr, f"{table}_newest_idx", table, ["user_id", "(-id)"], where="exclusive")
        create_index(self.env.cr, f"{table}_user_idx", table, ["user_id", "id"])
        create_index(self.env.cr, f"{table}_open_idx", table, ["user_id", "id"], where="end_reason IS NULL")
        self._mend_sequence()

    # ------------------------------------------------------------
    # The session check
    # ------------------------------------------------------------

    @api.model
    def _is_ended(self, identifier, is_bond=False):
        """Return whether a session has ended.

        ``res.users``, ``ir.http``, ``ir.websocket`` and ``bus.bus`` ask this before they accept a session.

        :param str identifier: see ``session_store.identify``
        :param bool is_bond: whether the session itself has it
        :return: True if it has ended, False if it is open, None if it has neither a bond nor an entry
        """
        self.env.cr.execute(CHECK, [identifier])
        entries = self.env.cr.fetchall()
        if entries:  # a session that seems to have expired may come back
            return any(is_older or reason not in (None, "expired") for reason, is_older in entries)
        if not is_bond:
            return None
        if is_readonly(self.env.cr):
            # a replica may not have the entry yet
            return call_in_new_transaction(self._is_ended, identifier, is_bond) is not False
        return True  # rolled back, forgotten after the retention time, or newer than a restored backup

    # ------------------------------------------------------------
    # Registering a login
    # ------------------------------------------------------------

    @api.model
    def _register_login(self, user, sid):
        """Add the entry of the login that the current request completes, and bond the session to it.

        The entry takes effect with the commit of the request's transaction. If that is rolled back, no session
        ends, and the session of the login is refused: its entry is missing. If Odoo would not commit the request, the
        entry has a transaction of its own, and takes effect at once.

        :param user: the ``res.users`` record that logs in
        :param str sid: the whole id of the session that the login opens
        """
        state = get_request_state()
        state.is_registered = True
        if self._will_be_committed():
            # If the user's password has changed since the transaction began, PostgreSQL makes Odoo try the login
            # again. SKIP LOCKED: a login never waits.
            self.env.cr.execute("SELECT FROM res_users WHERE id = %s FOR SHARE SKIP LOCKED", [user.id])
            state.login = self._insert_login(user, sid)
        else:
            # Odoo would discard what it has written, and its locks would make the other transaction wait
            self.env.cr.rollback()
            with self.env.registry.cursor() as cr:
                self._insert_login(user.with_env(user.env(cr=cr)), sid)
        request.session[session_store.BOND] = session_store.get_identifier(sid)

    @api.model
    def _will_be_committed(self):
        """Return whether Odoo commits what the current request writes when it saves the session.

        Not after ``werkzeug.exceptions.abort(response)``: ``Request._serve_db`` (19.0) saves the session as after
        a normal answer, but does not commit the transaction. Not in a read-only transaction either: 18.0
        with a replica opens the session of a JSON login in one.
        """
        exception = sys.exc_info()[1]
        is_aborted = isinstance(exception, HTTPException) and exception.code is None
        return not is_aborted and not is_readonly(self.env.cr)

    @api.model
    def _insert_login(self, user, sid):
        state = get_request_state()
        # sudo - op.single.session.login: users may not write the login log
        log = user.env["op.single.session.login"].sudo()
        login = log._insert_newest(log._prepare_login(user, sid))
        # The session that the cookie names, if the store has lost it. With half an id, anyone can make such a cookie.
        lost = state.identifier if state.is_named and state.is_new else None
        user.env.cr.postcommit.add(partial(call_in_new_transaction, login._clean_up, lost))
        return login

    @api.model
    def _prepare_login(self, user, sid):
        is_same_database = get_request_state().db == self.env.cr.dbname
        return {
            "user_id": user.id,
            "identifier": session_store.get_identifier(sid),
            # sudo - res.users: the user may not read it
            "exclusive": user.sudo()._has_single_session(),
            "login_date": fields.Datetime.now(),
            **get_client(request.httprequest),
            # the session keeps it between the password and the second factor
            "replaced_identifier": request.session.get(session_store.BOND) if is_same_database else None,
        }

    @api.model
    def _insert(self, values):
        """Add an entry with the given values only.

        Not by ``create``: it takes the values of all other columns from ``ir.default`` and the context, which any
        user may set, and runs the code of other addons.

        :return: the new entry, empty if its id is taken; and the user's newest exclusive entry before it
        """
        query = """
            INSERT INTO op_single_session_login (%s) VALUES %s ON CONFLICT DO NOTHING RETURNING id, (
                   SELECT id FROM op_single_session_login WHERE user_id = %s AND exclusive ORDER BY -id LIMIT 1)
        """
        columns = SQL(", ").join(map(SQL.identifier, values))
        self.env.cr.execute(SQL(query, columns, tuple(values.values()), values["user_id"]))
        entry, newest = self.env.cr.fetchone() or (None, None)
        return self.browse(entry), self.browse(newest)

    @api.model
    def _insert_newest(self, values):
        """Add an entry that is newer than all entries of its user: otherwise it would be refused at once."""
        entry, newest = self._insert(values)
        if not entry or (newest.id and newest.id > entry.id):
            entry.unlink()
            self._mend_sequence()
            entry, _newest = self._insert(values)
        return entry

    @api.model
    def _mend_sequence(self):
        """Make sure that the next login gets the highest id.

        In a database that was replicated or partly restored, a sequence may be behind its rows.
        """
        self.env.cr.execute(
            """
            SELECT setval('op_single_session_login_id_seq', newest.id)
              FROM (SELECT max(id) AS id FROM op_single_session_login) newest, op_single_session_login_id_seq
             WHERE newest.id > last_value
            """
        )
        if self.env.cr.rowcount:
            _logger.error("Single session: MENDED the sequence of the login log, it was behind its rows")

    def _discard_unless_stored(self, session):
        """Delete this entry if the session of its login was not saved: the user would have no session left.

        ``FilesystemSessionStore.save`` raises no error where it may not write the file.

        :param session: the session of the current request, after Odoo has saved it
        """
        if not session_store.is_stored(session):
            _logger.warning("Single session: UNSAVED user=%d: the login ends no session", self.user_id.id)
            self.unlink()

    # ------------------------------------------------------------
    # Sessions that no login has registered
    # ------------------------------------------------------------

    @api.model
    def _import_sessions(self, sessions):
        """Add entries for sessions that no login has registered, so that the next login of their users ends them.

        :param dict sessions: user ids by session identifier; left out are those that have an entry or whose user does
            not exist
        :return: True
        """
        self.env.cr.execute(
            """
            INSERT INTO op_single_session_login (user_id, identifier, login_date)
            SELECT res_users.id, session.identifier, now() AT TIME ZONE 'UTC'
              FROM unnest(%s::int[], %s::varchar[]) session (user_id, identifier)
              JOIN res_users ON res_users.id = session.user_id
             WHERE NOT EXISTS (
                   SELECT FROM op_single_session_login entry WHERE entry.identifier = session.identifier)
            """,
            [list(sessions.values()), list(sessions)],
        )
        return True

    @api.model
    def _import_stored_sessions(self):
        """Add entries for the sessions in the store that are older than the addon."""
        self._import_sessions(dict(session_store.iter_logged_in(self.env.cr.dbname)))
