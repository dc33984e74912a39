import hashlib
import logging
import re
import sys
import time
from datetime import timedelta
from functools import partial
from ipaddress import ip_address

from werkzeug.exceptions import HTTPException

from odoo import SUPERUSER_ID, _, api, fields, models
from odoo.http import request, root
from odoo.tools import SQL, consteq
from odoo.tools.misc import format_datetime

from . import parameters, session_store

_logger = logging.getLogger(__name__)

# How long the answer to a login may take to bring the browser its new cookie.
COOKIE_DELAY = timedelta(minutes=1)

# Where the name that werkzeug gives a browser or a platform needs more than a capital letter.
NAMES = {
    "chromeos": "ChromeOS",
    "ipad": "iPad",
    "iphone": "iPhone",
    "macos": "macOS",
    "msie": "Internet Explorer",
}


def in_new_transaction(env, method, *arguments):
    """Call a method of the login log in a transaction of its own; never raise: the request must not fail.

    :return: what the method returns; None if it failed
    """
    try:
        if getattr(env.cr, "readonly", False):  # 17.0 has no such cursors
            env.cr.rollback()  # its locks would keep the other transaction waiting
        with env.registry.cursor() as cr:
            return getattr(api.Environment(cr, SUPERUSER_ID, {})["op.single.session.login"], method)(*arguments)
    except Exception:
        _logger.warning("Single session: FAILED %s", method, exc_info=True)
        return None


class LoginSession(models.Model):
    """The login register: one row for each completed login, ordered by id.

    A session is ended when its own row is revoked or its user has a newer exclusive row.
    Logins only insert rows: simultaneous ones never wait for one another, and exactly one
    of them, the one with the highest id, survives.
    """

    _name = "op.single.session.login"
    _description = "Login Session"
    _log_access = False
    _order = "id desc"
    _rec_name = "browser"

    user_id = fields.Many2one("res.users", required=True, ondelete="cascade")
    identifier = fields.Char("Session Identifier", required=True)
    exclusive = fields.Boolean(help="This login ended the user's other sessions.")
    revoked = fields.Boolean(help="This session is over, whether there is a newer login or not.")
    revoked_date = fields.Datetime("Revoked On", help="When an administrator ended this session.")
    revoked_by_id = fields.Many2one("res.users", help="The administrator who ended this session.")
    logged_out = fields.Boolean(help="The user has logged out of this session.")
    swept = fields.Boolean("Ended by a Login", help="A newer login found this session alive and ended it.")
    login_date = fields.Datetime("Since", required=True, default=fields.Datetime.now)
    browser = fields.Char()
    platform = fields.Char()
    ip_address = fields.Char("IP Address")
    replaced_identifier = fields.Char(help="The session of the same browser that this login took the place of.")
    sent_digest = fields.Char(
        help="Digest of the session id that the browser sent: logins that share it are one browser's."
    )

    def init(self):
        # The gate is asked at every request: both halves of its query are answered by an index alone. The second
        # is in descending order, which no other index has: of a user without exclusive logins, PostgreSQL might
        # else read all rows of the others, the newest first.
        # Ended pages ask for the login that ended them, of a user who may have had thousands since.
        self.env.cr.execute("""
            CREATE INDEX IF NOT EXISTS op_single_session_login_identifier_idx
                ON op_single_session_login (identifier) INCLUDE (user_id, id, revoked);
            CREATE INDEX IF NOT EXISTS op_single_session_login_newest_idx
                ON op_single_session_login (user_id, (-id)) INCLUDE (id) WHERE exclusive;
            CREATE INDEX IF NOT EXISTS op_single_session_login_user_idx
                ON op_single_session_login (user_id, id);
            CREATE INDEX IF NOT EXISTS op_single_session_login_replaced_idx
                ON op_single_session_login (replaced_identifier) WHERE replaced_identifier IS NOT NULL;
        """)
        self._mend_sequence()

    # ------------------------------------------------------------
    # The gate
    # ------------------------------------------------------------

    @api.model
    def _is_ended(self, sid):
        """Tell whether a session is over.

        :param str sid: the whole session id
        :return: True if it is, False if it may live, None if the register does not know it
        """
        return self._is_identifier_ended(session_store.get_identifier(sid))

    @api.model
    def _is_identifier_ended(self, identifier):
        self.env.cr.execute(
            """
            SELECT bool_or(own.revoked IS TRUE OR own.id < coalesce((
                       SELECT newer.id
                         FROM op_single_session_login newer
                        WHERE newer.user_id = own.user_id AND newer.exclusive
                     ORDER BY -newer.id
                        LIMIT 1
                   ), 0))
              FROM op_single_session_login own
             WHERE own.identifier = %s
            """,
            [identifier],
        )
        return self.env.cr.fetchone()[0]

    # ------------------------------------------------------------
    # The login
    # ------------------------------------------------------------

    @api.model
    def _register_login(self, user, sid):
        """Enter the login that the current request completes.

        It takes effect with the commit of the request's transaction. If that is rolled back,
        nobody's session ends and the session of the login is refused.

        :param user: the ``res.users`` record that logs in
        :param str sid: the whole id of the session that the login opens
        """
        if self._is_to_be_committed():
            login = self._insert_login(user, sid)
            self.env.cr.precommit.add(partial(login._refuse_unless_stored, sid))
            return
        self.env.cr.rollback()  # its locks would keep the other transaction waiting
        with self.env.registry.cursor() as cr:
            self._insert_login(user.with_env(user.env(cr=cr)), sid)

    @api.model
    def _is_to_be_committed(self):
        """Tell whether what the current request writes is kept when it saves its session.

        Not after ``werkzeug.exceptions.abort(response)``: ``Request._serve_db`` (19.0) takes that for
        a good answer and saves the session, but leaves the transaction uncommitted. Nor in a transaction
        that may only read, in which 18.0, where it has a replica, opens the session of a JSON login.
        """
        if getattr(self.env.cr, "readonly", False):  # 17.0 has no such cursors
            return False
        exception = sys.exc_info()[1]
        return not (isinstance(exception, HTTPException) and exception.code is None)

    @api.model
    def _insert_login(self, user, sid):
        env = user.env
        # sudo - op.single.session.login: nobody may write the login log, it is written for them
        logins = env["op.single.session.login"].sudo()
        values = logins._prepare_login(user, sid)
        logins._mend_sequence()
        if values["exclusive"]:
            logins._adopt_devices(user)
        login = logins._insert([values])
        # sudo - res.users: whoever logs in, on whatever path
        partner = user.sudo().partner_id
        env.cr.postcommit.add(partial(in_new_transaction, env, "_sweep", login.id, values, partner.id))
        env.cr.prerollback.add(partial(self._discard_session, request.session, sid))
        env.cr.postrollback.add(partial(in_new_transaction, env, "_refuse", values))
        return login

    @api.model
    def _insert(self, rows):
        """Add entries that have no value but the given ones.

        Not by ``create``: it asks ``ir.default`` and the context for the values of all other columns, which any
        user may set for himself, and runs whatever other addons do there.

        :param list rows: of dicts, all with the same keys
        :return: the entries
        """
        if not rows:
            return self.browse()
        self.env.cr.execute(
            SQL(
                "INSERT INTO op_single_session_login (%s) VALUES %s RETURNING id",
                SQL(", ").join(map(SQL.identifier, rows[0])),
                SQL(", ").join(tuple(row.values()) for row in rows),
            )
        )
        return self.browse(id_ for [id_] in self.env.cr.fetchall())

    @api.model
    def _mend_sequence(self):
        """Let the next login have the highest id: it would be refused in favor of an older one.

        In a database that was replicated or restored in part, a sequence may be behind its rows.
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

    @api.model
    def _discard_session(self, session, sid):
        """Make the session of a login unusable before its transaction is rolled back, whatever the database does.

        The session is in the store, and an error page would save it once more.

        :param session: the session of the request
        :param str sid: its id when the login was registered
        """
        if session.sid == sid:
            session_store.discard(session)

    def _refuse_unless_stored(self, sid):
        """Let a login end nobody whose session was not saved: the person would be left without any.

        ``FilesystemSessionStore.save`` does not fail where it may not write the file. Core saves the
        session before it commits the transaction.

        :param str sid: the whole id of the session
        """
        if not root.session_store.get(sid).get("uid"):
            self.write({"exclusive": False, "revoked": True})
            self.flush_recordset()  # 17.0 and 18.0 have flushed before they call this
            _logger.warning(
                "Single session: a login of user %d ends nobody, its session was not saved", self.user_id.id
            )

    @api.model
    def _prepare_login(self, user, sid):
        httprequest = request.httprequest
        return {
            "user_id": user.id,
            "identifier": session_store.get_identifier(sid),
            "login_date": fields.Datetime.now(),
            # sudo - res.users: the person who logs in may not read the box
            "exclusive": not user.sudo().allow_multiple_sessions,
            "browser": self._get_name(httprequest.user_agent.browser),
            "platform": self._get_name(httprequest.user_agent.platform),
            "ip_address": self._get_ip_address(httprequest.remote_addr),
            "replaced_identifier": self._get_replaced_identifier(),
            "sent_digest": self._get_sent_digest(),
        }

    @api.model
    def _get_replaced_identifier(self):
        # nothing of ours runs at the beginning of a request without a database
        arrival = getattr(request, "single_session_arrival", None)
        return session_store.get_identifier(arrival.sid) if arrival and arrival.uid and not arrival.is_ended else None

    @api.model
    def _get_sent_digest(self):
        # not the identifier: administrators who read it could pass for that browser
        sid = request.httprequest.cookies.get("session_id", "")
        return hashlib.sha256(sid.encode()).hexdigest() if root.session_store.is_valid_key(sid) else None

    @api.model
    def _get_name(self, name):
        """Return the name of a browser or a platform as people write it, None if it is unknown."""
        return NAMES.get(name, name.capitalize()) if name else None

    @api.model
    def _get_ip_address(self, text):
        """Return the IP address in what a proxy or a socket says of the client; None if there is none.

        With ``proxy_mode`` a client may get any text through. Some proxies add a port, IPv6 addresses
        a zone, and a socket for both protocols writes IPv4 addresses as IPv6 ones.
        """
        text = text or ""
        with_port = re.fullmatch(r"\[(.*)\](?::\d+)?|([\d.]+):\d+", text)
        if with_port:
            text = with_port[1] or with_port[2]
        try:
            address = ip_address(text.partition("%")[0])
        except ValueError:
            return None
        return str(getattr(address, "ipv4_mapped", None) or address)

    @api.model
    def _refuse(self, values):
        """Refuse the session of a login whose transaction was rolled back, should it come back.

        :param dict values: the row that was rolled back
        """
        if not self.env["res.users"].browse(values["user_id"]).exists():
            return  # created by that very transaction (LDAP, sign up): no token without a user
        self._insert([dict(values, exclusive=False, revoked=True)])
        _logger.info(
            "Single session: REFUSED 1 for user %d (login from %s not completed)",
            values["user_id"],
            values["ip_address"] or "an unknown address",
        )

    # ------------------------------------------------------------
    # Sessions that a program opened without a cookie
    # ------------------------------------------------------------

    @api.model
    def _reserve_id(self):
        """Return the id that a session gets should it ever be used again: no login after it may be older."""
        self.env.cr.execute("SELECT nextval('op_single_session_login_id_seq')")
        return self.env.cr.fetchone()[0]

    @api.model
    def _import_session(self, uid, sid, id_):
        """Add an entry that ends nobody, for a session that has come back.

        :param int uid: the user's id
        :param str sid: the whole session id
        :param int id_: the id that was reserved when the session was opened
        :return: as ``_is_ended``
        """
        self.env.cr.execute(
            SQL(
                """
                INSERT INTO op_single_session_login (id, user_id, identifier, login_date)
                     VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING
                """,
                *(id_, uid, session_store.get_identifier(sid), fields.Datetime.now()),
            )
        )
        return self._is_ended(sid)

    # ------------------------------------------------------------
    # After the login
    # ------------------------------------------------------------

    @api.model
    def _sweep(self, login_id, values, partner_id):
        """Clean up after a login: delete files, mark devices, wake websockets.

        :param int login_id: id of the row of the login
        :param dict values: what was entered into it
        :param int partner_id: id of the partner of its user
        """
        # Sweeps of simultaneous logins meet at the same device rows: without a snapshot they
        # pass one another instead of failing.
        self.env.cr.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        identifiers = self._find_ended(login_id, values["user_id"])
        if not identifiers:
            return
        replaced = {values["replaced_identifier"]} & set(identifiers)  # core itself has deleted its file
        existing = self._discard(identifiers)
        self._mark_swept([*existing, *replaced])
        if set(identifiers) != replaced:  # the own browser need not be told
            self._wake_websockets(partner_id)
        if existing:
            _logger.info(
                "Single session: ENDED %d for user %d (login from %s)",
                len(existing),
                values["user_id"],
                values["ip_address"] or "an unknown address",
            )

    @api.model
    def _find_ended(self, login_id, user_id):
        """Return the identifiers of the sessions that a login ended.

        What older logins ended was theirs to sweep. A newer login may have been unable to see this
        one when it swept, hence the upper bound.
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT DISTINCT identifier
                  FROM op_single_session_login
                 WHERE user_id = %(user)s
                   AND id < (SELECT max(id) FROM op_single_session_login WHERE user_id = %(user)s AND exclusive)
                   AND id >= coalesce(
                       (SELECT max(id) FROM op_single_session_login
                         WHERE user_id = %(user)s AND exclusive AND id < %(login)s), 0)
                """,
                user=user_id,
                login=login_id,
            )
        )
        return [identifier for [identifier] in self.env.cr.fetchall()]

    @api.model
    def _discard(self, identifiers):
        """Delete the files of sessions and mark their devices; return those that had a file."""
        existing = session_store.delete(identifiers, self.env.cr.dbname)
        self._revoke_devices(identifiers)
        return existing

    @api.model
    def _wake_websockets(self, partner_id):
        # Core checks the session of a websocket that a message is for, and closes it with 4001.
        self.env["bus.bus"]._sendone(self.env["res.partner"].browse(partner_id), "op_single_session_login/ended", {})

    @api.model
    def _mark_swept(self, identifiers):
        """Remember for administrators which sessions a login has ended: the others were over before."""
        self._tick("op_single_session_login", "swept", "identifier", identifiers)

    @api.model
    def _mark_logged_out(self, identifier):
        """Refuse a session that its user has logged out of, and remember why."""
        self.env.cr.execute(
            SQL(
                """
                UPDATE op_single_session_login SET revoked = TRUE, logged_out = TRUE
                 WHERE identifier = %s AND revoked IS NOT TRUE
                """,
                identifier,
            )
        )

    @api.model
    def _tick(self, table, column, key, identifiers):
        """Tick rows of sessions, but for those that another sweep is about to tick."""
        if identifiers:
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE %(table)s SET %(column)s = TRUE WHERE id IN (
                           SELECT id FROM %(table)s
                            WHERE %(key)s IN %(identifiers)s AND %(column)s IS NOT TRUE
                              FOR UPDATE SKIP LOCKED)
                    """,
                    table=SQL.identifier(table),
                    column=SQL.identifier(column),
                    key=SQL.identifier(key),
                    identifiers=tuple(identifiers),
                )
            )

    # ------------------------------------------------------------
    # What the person is told
    # ------------------------------------------------------------

    @api.model
    def _get_status(self, session):
        """Tell how the session of the current request stands, without touching it.

        :param session: the session as the store has it, unchecked
        :rtype: dict
        """
        if self._is_alive(session):
            return {"state": "alive"}
        login = self._find_told(request.httprequest.cookies.get("session_id"))
        if login:
            return {"state": "ended", "message": login.with_context(lang=login.user_id.lang)._describe_end()}
        return {"state": "none"}

    @api.model
    def _is_alive(self, session):
        """Tell whether core would accept a session, without what else ``check_session`` does."""
        if not session.uid or session.get("deletion_time", float("inf")) <= time.time():
            return False
        token = self.env["res.users"].browse(session.uid)._compute_session_token(session.sid)
        return bool(token) and consteq(token, session.session_token or "")

    @api.model
    def _find_told(self, sid):
        """Return the login whose session a newer login or an administrator ended, for the person to be told.

        The tabs of a browser may hear of the login that took the place of its session before its new
        cookie arrives: to them that is no end. Whoever still comes with the old one later is another
        browser, with a stolen cookie or with its owner's. Nor is it one that a double click on *Log in*
        makes two logins, which replace the same session.

        :param sid: what a browser sent as its session id, which may be anything
        :return: no login if the session lives, is unknown or went another way
        """
        if not sid or not root.session_store.is_valid_key(sid):
            return self.browse()
        self.env.cr.execute(
            SQL(
                """
                SELECT own.id
                  FROM op_single_session_login own
             LEFT JOIN LATERAL (
                       SELECT id, login_date, sent_digest
                         FROM op_single_session_login
                        WHERE user_id = own.user_id AND exclusive AND -id < -own.id
                     ORDER BY -id DESC
                        LIMIT 1
                       ) newer ON TRUE
                 WHERE own.identifier = %(identifier)s AND (
                       own.revoked_date IS NOT NULL
                    OR own.revoked IS NOT TRUE AND newer.id IS NOT NULL
                   AND (newer.sent_digest = own.sent_digest
                        AND newer.login_date - own.login_date <= %(delay)s) IS NOT TRUE
                   AND NOT EXISTS (
                       SELECT FROM op_single_session_login login
                        WHERE login.user_id = own.user_id AND login.id > own.id
                          AND login.replaced_identifier = %(identifier)s AND login.login_date > %(lately)s))
              ORDER BY newer.id
                 LIMIT 1
                """,
                identifier=session_store.get_identifier(sid),
                delay=COOKIE_DELAY,
                lately=fields.Datetime.now() - COOKIE_DELAY,
            )
        )
        # sudo - op.single.session.login: the holder of the ended session's cookie may know
        return self.sudo().browse(self.env.cr.fetchone())

    def _describe_end(self):
        """Say in the person's time zone when an administrator ended this session, or which login did.

        Never from which address.

        :rtype: str
        """
        # isolated: each keeps its own direction in a sentence that is written from right to left
        if self.revoked_date:
            date = f"\u2068{self._format(self.revoked_date)}\u2069"
            return _("It was ended by an administrator: %(date)s.", date=date)
        newer = self.newer_login_id
        parts = filter(None, [newer._get_device_name(), self._format(newer.login_date)])
        details = ", ".join(f"\u2068{part}\u2069" for part in parts)
        return _("Your account was signed in on another device: %(details)s.", details=details)

    def _format(self, date):
        # the cookie may say anything: an unknown time zone is taken for UTC
        timezone = self.user_id.tz or request.httprequest.cookies.get("tz") or "UTC"
        return format_datetime(self.env, date, tz=timezone)

    def _get_device_name(self):
        """Return the login's browser and platform as far as they are known, as in ``Firefox (Linux)``."""
        names = [name for name in (self.browser, self.platform) if name]
        return f"{names[0]} ({names[1]})" if len(names) == 2 else "".join(names)

    # ------------------------------------------------------------
    # Odoo's own devices (18.0 and later)
    # ------------------------------------------------------------

    @api.model
    def _adopt_devices(self, user):
        """Enter the user's sessions that the register does not know, for the login to end them.

        Such are logins that a worker took while the addon was being installed. Temporary
        sessions for reports leave no device. Where a store makes shorter ids than core's (on 18.0 OCA's
        ``session_db`` and Mangono's ``redis_session_store``), devices hold whole ones of 40 characters,
        which must not get into the register.
        """
        if "res.device.log" not in self.env:
            return
        self.env.cr.execute(
            SQL(
                """
                SELECT DISTINCT ON (device_identifier)
                       device_identifier, coalesce(first_activity, now() AT TIME ZONE 'UTC'),
                       browser, platform, ip_address
                  FROM res_device_log device, left(
                       session_identifier, CASE length(session_identifier) WHEN 42 THEN 42 WHEN 40 THEN 20 END
                       ) device_identifier
                 WHERE user_id = %s AND revoked IS NOT TRUE AND device_identifier IS NOT NULL AND NOT EXISTS (
                       SELECT FROM op_single_session_login login
                        WHERE login.identifier = device_identifier)
                """,
                user.id,
            )
        )
        self._insert(
            [
                {
                    "user_id": user.id,
                    "identifier": identifier,
                    "login_date": date,
                    "browser": self._get_name(browser),
                    "platform": self._get_name(platform),
                    "ip_address": ip_address,
                }
                for identifier, date, browser, platform, ip_address in self.env.cr.fetchall()
            ]
        )

    @api.model
    def _revoke_devices(self, identifiers):
        """Mark the devices of ended sessions as revoked, as core's own revocation does."""
        if "res.device.log" in self.env:
            whole_ids = self._find_whole_ids([text for text in identifiers if len(text) == 20])
            self._tick("res_device_log", "revoked", "session_identifier", [*identifiers, *whole_ids])

    @api.model
    def _find_whole_ids(self, identifiers):
        """Return what devices hold of sessions with short ids, of which core stores all."""
        if not identifiers:
            return []
        self.env.cr.execute(
            """
            SELECT session_identifier
              FROM res_device_log
             WHERE user_id IN (SELECT user_id FROM op_single_session_login WHERE identifier = ANY(%(identifiers)s))
               AND length(session_identifier) = 40 AND left(session_identifier, 20) = ANY(%(identifiers)s)
            """,
            {"identifiers": identifiers},
        )
        return [whole_id for [whole_id] in self.env.cr.fetchall()]

    # ------------------------------------------------------------
    # Sessions older than the addon, rows past their use
    # ------------------------------------------------------------

    @api.model
    def _adopt_stored_sessions(self):
        """Enter the sessions in the store, for the first login of their user to end them."""
        sessions = dict(session_store.iter_logged_in(self.env.cr.dbname))
        users = set(self.env["res.users"].browse(set(sessions.values())).exists().ids)
        now = fields.Datetime.now()
        self._insert(
            [
                {"user_id": uid, "identifier": identifier, "login_date": now}
                for identifier, uid in sessions.items()
                if uid in users
            ]
        )

    @api.autovacuum
    def _gc_logins(self):
        """Delete the rows that can decide nothing any more.

        Ended sessions stay refused for the retention time: one that comes back, from a backup say, must still
        find the row that refuses it. The newest exclusive row of a user stays for good: it refuses the others.
        """
        retention = timedelta(days=parameters.get_retention_days(self.env))
        limit = fields.Datetime.now() - max(retention, 2 * session_store.get_lifetime(self.env))
        self.env.cr.execute(
            SQL(
                """
                DELETE FROM op_single_session_login WHERE id IN (
                       SELECT own.id
                         FROM op_single_session_login own
                    LEFT JOIN (
                              SELECT user_id, max(id) AS id
                                FROM op_single_session_login
                               WHERE exclusive AND login_date < %(limit)s
                            GROUP BY user_id
                              ) newest USING (user_id)
                        WHERE coalesce(own.revoked_date, own.login_date) < %(limit)s
                          AND (own.id < newest.id OR own.revoked AND own.exclusive IS NOT TRUE))
                """,
                limit=limit,
            )
        )
        self._gc_gone(limit)

    @api.model
    def _gc_gone(self, limit):
        """Delete the rows of sessions that no login has ended and that are gone by themselves."""
        self.env.cr.execute(
            SQL(
                """
                SELECT id, identifier
                  FROM op_single_session_login own
                 WHERE login_date < %s AND exclusive IS NOT TRUE AND revoked IS NOT TRUE AND NOT EXISTS (
                       SELECT FROM op_single_session_login newer
                        WHERE newer.user_id = own.user_id AND newer.exclusive AND -newer.id < -own.id)
                """,
                limit,
            )
        )
        rows = dict(self.env.cr.fetchall())
        existing = set(session_store.find_existing(rows.values(), self.env.cr.dbname))
        existing.update(self._find_used_lately())
        self.browse(row for row, identifier in rows.items() if identifier not in existing).unlink()

    @api.model
    def _find_used_lately(self):
        """Return the identifiers of sessions that may live in the folder of another machine."""
        if "res.device.log" not in self.env:
            return []
        # core writes a session's activity once in an hour
        limit = fields.Datetime.now() - 2 * session_store.get_lifetime(self.env)
        self.env.cr.execute(
            SQL("SELECT DISTINCT session_identifier FROM res_device_log WHERE last_activity > %s", limit)
        )
        return [identifier for [identifier] in self.env.cr.fetchall()]
