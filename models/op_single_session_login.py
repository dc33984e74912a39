"""The login log: the session check and registering logins."""

import hashlib
import logging
import sys
from functools import partial

from werkzeug.exceptions import HTTPException

from odoo import SUPERUSER_ID, api, fields, models
from odoo.http import request, root
from odoo.tools import SQL

from . import session_store
from .client import get_client

_logger = logging.getLogger(__name__)

END_REASONS = [
    ("newer_login", "Ended by a newer login"),
    ("administrator", "Ended by an administrator"),
    ("logged_out", "Logged out"),
    ("expired", "Expired"),
    ("incomplete", "Incomplete login"),
]

# The next exclusive entry of the user of the entry "own". It sorts by -id, the order of the index "newest" and of no
# other: for a user without such entries, PostgreSQL would otherwise walk the primary key through all entries of other
# users.
NEXT_EXCLUSIVE = SQL(
    """
    SELECT *
      FROM op_single_session_login newer
     WHERE newer.user_id = own.user_id AND newer.exclusive AND -newer.id < -own.id
  ORDER BY -newer.id DESC
     LIMIT 1
    """
)
# Not EXISTS, which PostgreSQL may turn into a join over all entries.
IS_ENDED_BY_NEWER = SQL("(SELECT id FROM (%s) newer) IS NOT NULL", NEXT_EXCLUSIVE)


def call_in_new_transaction(method, *arguments):
    """Call a method of records in a transaction of its own, as the superuser; never raise.

    For what must not fail the request, especially after its commit or rollback.

    :param method: a bound method
    :return: what the method returns; None if it failed
    """
    records = method.__self__
    try:
        if getattr(records.env.cr, "readonly", False):  # 17.0 has no such cursors
            records.env.cr.rollback()  # its locks would make the other transaction wait
        with records.env.registry.cursor() as cr:
            return method.__func__(records.with_env(api.Environment(cr, SUPERUSER_ID, {})), *arguments)
    except Exception:
        _logger.warning("Single session: FAILED %s", method.__name__, exc_info=True)
        return None


class OpSingleSessionLogin(models.Model):
    """The login log: an entry for each completed login, ordered by id.

    Imported sessions, logins that failed, and *End all sessions* have entries too. A session has ended when its
    entry is refused or its user has a newer exclusive entry. A login changes no older entry: simultaneous logins
    never wait for one another, and exactly one of them, the one with the highest id, survives. Why and when a
    session ended is written after the commit, for users to read. The session check never depends on it.
    """

    _name = "op.single.session.login"
    _description = "Login Session"
    _log_access = False
    _order = "id desc"
    _rec_names_search = ["user_id", "browser", "platform", "ip_address"]

    user_id = fields.Many2one("res.users", required=True, ondelete="cascade")
    identifier = fields.Char(
        "Session Identifier", help="First half of the session id. Empty where an administrator ended all sessions."
    )
    exclusive = fields.Boolean(help="This entry ends the user's older sessions.")
    refused = fields.Boolean(help="This session has ended, whether there is a newer login or not.")
    login_date = fields.Datetime(required=True)
    browser = fields.Char()
    platform = fields.Char()
    ip_address = fields.Char("IP Address")
    replaced_identifier = fields.Char(help="The session of the same browser that this login took the place of.")
    sent_digest = fields.Char(
        help="Digest of the session id that the browser sent. Logins that share it are one browser's."
    )
    end_reason = fields.Selection(END_REASONS, help="Why the session ended. Empty as long as it is open.")
    end_date = fields.Datetime()
    ended_by_login_id = fields.Many2one("op.single.session.login", "Ended by Login", ondelete="set null")
    ended_by_user_id = fields.Many2one("res.users", "Ended by User", ondelete="set null")

    def init(self):
        # identifier: the session check, at every request. newest: see NEXT_EXCLUSIVE. user: lists.
        # open: the cleanup after a login. replaced: the status of a session that its own browser has replaced.
        self.env.cr.execute("""
            CREATE INDEX IF NOT EXISTS op_single_session_login_identifier_idx
                ON op_single_session_login (identifier) INCLUDE (user_id, id, refused);
            CREATE INDEX IF NOT EXISTS op_single_session_login_newest_idx
                ON op_single_session_login (user_id, (-id)) WHERE exclusive;
            CREATE INDEX IF NOT EXISTS op_single_session_login_user_idx
                ON op_single_session_login (user_id, id);
            CREATE INDEX IF NOT EXISTS op_single_session_login_open_idx
                ON op_single_session_login (user_id, id) WHERE end_reason IS NULL;
            CREATE INDEX IF NOT EXISTS op_single_session_login_replaced_idx
                ON op_single_session_login (replaced_identifier) WHERE replaced_identifier IS NOT NULL;
            CREATE INDEX IF NOT EXISTS op_single_session_login_ended_by_idx
                ON op_single_session_login (ended_by_login_id) WHERE ended_by_login_id IS NOT NULL;
        """)
        self._mend_sequence()

    # ------------------------------------------------------------
    # The session check
    # ------------------------------------------------------------

    @api.model
    def _is_ended(self, identifier):
        """Return whether a session has ended.

        ``res.users``, ``ir.http``, ``ir.websocket`` and ``bus.bus`` ask this before they accept a session.

        :param str identifier: see ``session_store.get_identifier``
        :return: True if it has ended, False if it is open, None if it has no entry in the login log
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT bool_or(own.refused IS TRUE OR %s)
                  FROM op_single_session_login own
                 WHERE own.identifier = %s
                """,
                IS_ENDED_BY_NEWER,
                identifier,
            )
        )
        return self.env.cr.fetchone()[0]

    # ------------------------------------------------------------
    # Registering a login
    # ------------------------------------------------------------

    @api.model
    def _register_login(self, user, sid):
        """Add the entry of the login that the current request completes.

        The entry takes effect with the commit of the request's transaction. If that is rolled back, no session
        ends and the session of the login is refused. If Odoo would not commit the request, the entry has a
        transaction of its own, and takes effect at once.

        :param user: the ``res.users`` record that logs in
        :param str sid: the whole id of the session that the login opens
        """
        if self._will_be_committed():
            entry = self._insert_login(user, sid)
            self.env.cr.precommit.add(partial(entry._refuse_unless_stored, sid))
            return
        # Odoo would discard what it has written, and its locks would make the other transaction wait
        self.env.cr.rollback()
        with self.env.registry.cursor() as cr:
            self._insert_login(user.with_env(user.env(cr=cr)), sid)

    @api.model
    def _will_be_committed(self):
        """Return whether Odoo commits what the current request writes when it saves the session.

        Not after ``werkzeug.exceptions.abort(response)``: ``Request._serve_db`` (19.0) saves the session as after
        a good answer, but does not commit the transaction. Not in a transaction that may only read either: 18.0
        with a replica opens the session of a JSON login in one.
        """
        if getattr(self.env.cr, "readonly", False):  # 17.0 has no such cursors
            return False
        exception = sys.exc_info()[1]
        return not (isinstance(exception, HTTPException) and exception.code is None)

    @api.model
    def _insert_login(self, user, sid):
        cr = user.env.cr
        # sudo - op.single.session.login: users may not write the login log
        log = user.env["op.single.session.login"].sudo()
        values = log._prepare_login(user, sid)
        log._mend_sequence()
        if values["exclusive"]:
            log._import_devices(user)
        entry = log._insert([values])
        cr.postcommit.add(partial(call_in_new_transaction, entry._clean_up))
        cr.prerollback.add(partial(session_store.delete_login, request.session, sid))
        cr.postrollback.add(partial(call_in_new_transaction, log._register_incomplete, values))
        return entry

    @api.model
    def _prepare_login(self, user, sid):
        # at a request without a database, ir.http._match is not called
        arrival = getattr(request, "single_session_arrival", None)
        sent_sid = request.httprequest.cookies.get("session_id") or None
        if sent_sid and not root.session_store.is_valid_key(sent_sid):
            sent_sid = None
        return {
            "user_id": user.id,
            "identifier": session_store.get_identifier(sid),
            # sudo - res.users: the user may not read it
            "exclusive": not user.sudo().allow_multiple_sessions,
            "login_date": fields.Datetime.now(),
            **get_client(request.httprequest),
            "replaced_identifier": arrival and arrival.open_identifier,
            # not the identifier: an administrator who reads it could imitate that browser
            "sent_digest": sent_sid and hashlib.sha256(sent_sid.encode()).hexdigest(),
        }

    @api.model
    def _insert(self, rows):
        """Add entries with the given values only.

        Not by ``create``: it takes the values of all other columns from ``ir.default`` and the context, which any
        user may set, and runs the code of other addons.

        :param list rows: dicts, all with the same keys
        :return: the new entries; not those whose id exists already
        """
        if not rows:
            return self.browse()
        self.env.cr.execute(
            SQL(
                "INSERT INTO op_single_session_login (%s) VALUES %s ON CONFLICT DO NOTHING RETURNING id",
                SQL(", ").join(map(SQL.identifier, rows[0])),
                SQL(", ").join(tuple(row.values()) for row in rows),
            )
        )
        return self.browse(id_ for [id_] in self.env.cr.fetchall())

    @api.model
    def _mend_sequence(self):
        """Make sure that the next login gets the highest id. Otherwise an older entry would refuse it.

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

    def _refuse_unless_stored(self, sid):
        """Make a login end no session if its own session was not saved: the user would have none left.

        ``FilesystemSessionStore.save`` raises no error where it may not write the file. Odoo saves the session
        before it commits the transaction.

        :param str sid: the whole id of the session
        """
        if root.session_store.get(sid).get("uid"):
            return
        self.write({"exclusive": False, "refused": True, "end_reason": "incomplete", "end_date": self.login_date})
        self.flush_recordset()  # 17.0 and 18.0 flush before they call this method
        _logger.warning("Single session: UNSAVED user=%d: the login ends no session", self.user_id.id)

    @api.model
    def _register_incomplete(self, values):
        """Refuse the session of a login whose transaction was rolled back, should it come back.

        :param dict values: the values of the entry that was rolled back
        """
        if not self.env["res.users"].browse(values["user_id"]).exists():
            return  # the same transaction had created the user (LDAP, sign-up): without a user there is no token
        ended = {"exclusive": False, "refused": True, "end_reason": "incomplete", "end_date": values["login_date"]}
        self._insert([{**values, **ended}])
        _logger.info("Single session: REFUSED user=%(user_id)d address=%(ip_address)s: incomplete login", values)
