from datetime import timedelta
from functools import partial
from unittest.mock import patch

from odoo import fields, http
from odoo.exceptions import AccessError
from odoo.tests.common import TransactionCase, new_test_user, tagged

from odoo.addons.op_single_session_login.controllers import status

from .common import get_identifier

RETENTION = 90  # days, by default
INCOMPLETE = {"refused": True, "end_reason": "incomplete"}


@tagged("post_install", "-at_install")
class TestLoginLog(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = new_test_user(cls.env, "ada")
        cls.logins = cls.env["op.single.session.login"]

    def add(self, sid, user=None, days_ago=0, **values):
        values = {"user_id": (user or self.user).id, "identifier": get_identifier(sid), **values}
        date = fields.Datetime.now() - timedelta(days=days_ago)
        if "end_reason" in values:
            values.setdefault("end_date", date)
        return self.logins.create(dict(values, login_date=date))

    def test_access_rights(self):
        login = self.add("old.....")
        for groups in ("base.group_user", "base.group_portal", "base.group_erp_manager", "base.group_system"):
            own = login.with_user(new_test_user(self.env, groups, groups=groups))
            if groups in ("base.group_user", "base.group_portal"):
                with self.assertRaises(AccessError):
                    own.read(["user_id"])
            else:
                self.assertEqual(own.user_id, self.user)
            with self.assertRaises(AccessError):
                own.write({"refused": True})
            with self.assertRaises(AccessError):
                own.create({"user_id": self.user.id, "identifier": "x"})
            with self.assertRaises(AccessError):
                own.unlink()

    def test_deleted_with_its_user(self):
        login = self.add("old.....")
        self.user.unlink()
        self.assertFalse(login.exists())

    def test_ended_by_a_newer_exclusive_login_only(self):
        self.assertIsNone(self.logins._is_ended("one."))
        self.add("one.....", exclusive=True)
        self.assertIs(self.logins._is_ended("one."), False)
        self.add("two.....")
        self.add("three...", new_test_user(self.env, "bob"), exclusive=True)
        self.assertIs(self.logins._is_ended("one."), False)
        self.add("four....", exclusive=True)
        self.assertIs(self.logins._is_ended("one."), True)
        self.assertIs(self.logins._is_ended("two."), True)
        self.assertIs(self.logins._is_ended("four"), False)

    def test_refused(self):
        self.add("one.....", exclusive=True, refused=True)
        self.assertIs(self.logins._is_ended("one."), True)

    def test_check_is_one_query(self):
        with self.assertQueryCount(1):
            self.assertIs(self.logins._is_ended("unknown"), None)

    def test_queries_use_indexes(self):
        sid = http.root.session_store.new().sid
        self.add(sid)
        self.env.cr.execute(
            """
            INSERT INTO op_single_session_login (user_id, identifier, login_date, exclusive, replaced_identifier)
            SELECT %s, md5(i::text), now(), i %% 2 = 0, md5((i - 1)::text) FROM generate_series(1, 20000) i
        """,
            [self.user.id],
        )
        self.env.cr.execute("ANALYZE op_single_session_login")
        is_ended, find_end = self.logins._is_ended, partial(status.find_end, self.env)
        identifier = get_identifier(sid)
        self.assertIs(self._assert_answered_by_indexes(is_ended, identifier, "identifier", "newest"), True)
        self.assertTrue(self._assert_answered_by_indexes(find_end, sid, "replaced", "newest")[0])

    def _assert_answered_by_indexes(self, method, argument, *indexes):
        queries = []
        cursor = type(self.env.cr)
        with patch.object(cursor, "execute", self._recorder(queries, cursor.execute)):
            result = method(argument)
        [query] = queries
        self.env.cr.execute("EXPLAIN " + query)
        plan = "\n".join(line for [line] in self.env.cr.fetchall())
        self.assertNotIn("Seq Scan", plan)
        for index in indexes:
            self.assertIn(f"op_single_session_login_{index}_idx", plan)
        return result

    @staticmethod
    def _recorder(queries, execute):
        def recorder(cr, query, params=None, **options):
            queries.append(cr.mogrify(query, params).decode())
            return execute(cr, query, params, **options)

        return recorder

    def store_session(self):
        session = http.root.session_store.new()
        session["db"] = self.env.cr.dbname
        http.root.session_store.save(session)
        self.addCleanup(http.root.session_store.delete, session)
        return session

    def test_vacuum_keeps_entries_that_can_decide(self):
        days = RETENTION
        forgotten = self.add("long ago", days_ago=days + 3, exclusive=True)
        survivor = self.add("newest..", days_ago=days + 2, exclusive=True)
        bob = new_test_user(self.env, "bob")
        ended_lately = self.add("bob old.", bob, days_ago=days + 2, exclusive=True)
        bob_newest = self.add("bob new.", bob, days_ago=1, exclusive=True)
        cleo = new_test_user(self.env, "cleo")
        one_of_several = self.add("cleo old", cleo, days_ago=days + 2)
        cleo_newest = self.add("cleo new", cleo, days_ago=1, exclusive=True)
        never_completed = self.add("refused.", bob, days_ago=days + 1, **INCOMPLETE)
        refused_lately = self.add("refused2", bob, days_ago=days - 1, **INCOMPLETE)
        self.logins._gc_logins()
        self.assertEqual(
            (forgotten | survivor | ended_lately | bob_newest | never_completed | refused_lately).exists(),
            survivor | ended_lately | bob_newest | refused_lately,
        )
        self.assertEqual(
            (one_of_several | cleo_newest).exists(), one_of_several | cleo_newest, "it must still be refused"
        )

    def test_vacuum_keeps_recent_ends_by_an_administrator(self):
        """A session may end long after its login."""
        lately, long_ago = (
            self.add(
                http.root.session_store.new().sid,
                days_ago=2 * RETENTION,
                refused=True,
                end_reason="administrator",
                end_date=fields.Datetime.now() - timedelta(days=days),
            )
            for days in (1, RETENTION + 1)
        )
        newest = self.add("newest..", new_test_user(self.env, "bob"), days_ago=2 * RETENTION, exclusive=True)
        newest.write({"refused": True, "end_reason": "administrator", "end_date": newest.login_date})
        self.logins._gc_logins()
        self.assertEqual((lately | long_ago | newest).exists(), lately | newest)

    def test_vacuum_respects_the_retention_time(self):
        older = self.add("older...", days_ago=31, exclusive=True)
        old = self.add("old.....", days_ago=29, exclusive=True)
        self.add("newest..", days_ago=28, exclusive=True)
        self.env["ir.config_parameter"].set_param("op_single_session_login.retention_days", "30")
        self.logins._gc_logins()
        self.assertEqual((older | old).exists(), older | old, "what ended it is not old enough")
        self.env["ir.config_parameter"].set_param("op_single_session_login.retention_days", "27")
        self.logins._gc_logins()
        self.assertEqual((older | old).exists(), self.logins)

    def test_vacuum_of_many_entries(self):
        """The session check has the same result for each entry that is left. Only those that can decide are left."""
        now = fields.Datetime.now()
        users = [new_test_user(self.env, f"user{number}").id for number in range(10)]
        self.env.cr.execute(
            """
            INSERT INTO op_single_session_login
                        (user_id, identifier, login_date, exclusive, refused, end_reason, end_date)
            SELECT user_id, identifier, login_date, exclusive, refused,
                   CASE WHEN refused THEN 'incomplete' WHEN newer_date IS NOT NULL THEN 'newer_login' END,
                   CASE WHEN refused THEN login_date ELSE newer_date END
              FROM (
                   SELECT *, min(login_date) FILTER (WHERE exclusive) OVER (
                          PARTITION BY user_id ORDER BY i DESC
                          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newer_date
                     FROM (
                          SELECT i, (%(users)s)[1 + i %% 10] AS user_id,
                                 left(repeat(md5(i::text), 2), 42) AS identifier,
                                 %(now)s - (20000 - i) * interval '1000 seconds' AS login_date,
                                 -- the second user may hold several sessions, the third could until lately
                                 i %% 10 NOT IN (1, 2) AND i %% 7 != 0 OR i %% 10 = 2 AND i > 18000 AS exclusive,
                                 i %% 11 = 0 AS refused
                            FROM generate_series(1, 20000) i
                          ) logins
                   ) ends
          ORDER BY i
        """,
            {"users": users, "now": now},
        )
        self.env.cr.execute("ANALYZE op_single_session_login")
        self.env.cr.execute(
            """
            CREATE TEMPORARY TABLE expected ON COMMIT DROP AS
            SELECT *, end_date IS NOT NULL AS is_ended,
                   -- long enough ended; the newest that ends others stays
                   end_date < %(now)s - interval '90 days' AND (exclusive IS NOT TRUE OR id < newest) AS is_deleted
              FROM (
                   SELECT *, max(id) FILTER (WHERE exclusive) OVER (PARTITION BY user_id) AS newest
                     FROM op_single_session_login WHERE user_id = ANY(%(users)s)
                   ) logins
        """,
            {"users": users, "now": now},
        )
        with patch.object(fields.Datetime, "now", return_value=now):
            self.logins._gc_logins()
        self.env.cr.execute(
            """
            SELECT count(*) FILTER (WHERE is_deleted), count(*) FILTER (WHERE NOT is_deleted),
                   count(*) FILTER (WHERE is_deleted AND login.id IS NOT NULL),
                   count(*) FILTER (WHERE NOT is_deleted AND login.id IS NULL)
              FROM expected LEFT JOIN op_single_session_login login USING (id)
        """
        )
        deleted, kept, left, lost = self.env.cr.fetchone()
        self.assertEqual((left, lost), (0, 0), "entries left that decide nothing, entries lost that do")
        self.assertGreater(min(deleted, kept), 6000)
        self.env.cr.execute("SELECT identifier, is_ended FROM expected WHERE NOT is_deleted AND id % 97 = 0")
        for identifier, is_ended in self.env.cr.fetchall():
            self.assertIs(self.logins._is_ended(identifier), is_ended, identifier)

    def test_vacuum_respects_the_lifetime_of_sessions(self):
        self.env["ir.config_parameter"].set_param("sessions.max_inactivity_seconds", RETENTION * 24 * 3600)
        ended = self.add("old.....", days_ago=2 * RETENTION - 1, exclusive=True)
        self.add("newest..", days_ago=2 * RETENTION - 2, exclusive=True)
        self.logins._gc_logins()
        self.assertTrue(ended.exists())

    def test_expired_sessions(self):
        """The vacuum writes the ends of sessions that are no longer stored."""
        session = self.store_session()
        stored = self.add(session.sid, days_ago=8)
        gone = self.add(http.root.session_store.new().sid, days_ago=8)
        recent = self.add(http.root.session_store.new().sid, days_ago=6)
        self.logins._gc_logins()
        self.assertEqual([entry.end_reason for entry in (stored, gone, recent)], [False, "expired", False])
        self.assertLess(fields.Datetime.now() - gone.end_date, timedelta(minutes=1))
        gone.end_date -= timedelta(days=RETENTION + 1)
        gone.flush_recordset()
        self.logins._gc_logins()
        self.assertEqual((stored | gone | recent).exists(), stored | recent)

    def test_sessions_in_the_folder_of_another_machine_are_open_while_used(self):
        if "res.device.log" not in self.env:
            self.skipTest("not in this Odoo: devices")
        used, unused = (self.add(http.root.session_store.new().sid, days_ago=20) for _ in range(2))
        for login, days in ((used, 1), (unused, 8)):
            self.env["res.device.log"].create(
                {
                    "session_identifier": login.identifier,
                    "user_id": self.user.id,
                    "last_activity": fields.Datetime.now() - timedelta(days=days),
                }
            )
        self.assertEqual((used | unused).mapped("is_active"), [True, False])
        self.logins._gc_logins()
        self.assertEqual((used | unused).mapped("end_reason"), [False, "expired"])

    def test_vacuum_writes_missing_ends(self):
        """A killed cleanup writes no ends. The vacuum does: the next exclusive login ended them, not the newest."""
        session = self.store_session()
        first = self.add(session.sid, exclusive=True, days_ago=3)
        between = self.add("between.", days_ago=2)
        second = self.add("second..", exclusive=True, days_ago=1)
        third = self.add("third...", exclusive=True)
        self.logins._gc_logins()
        self.assertEqual(
            [(entry.end_reason, entry.ended_by_login_id) for entry in (first, between, second, third)],
            [("newer_login", second), ("expired", self.logins), ("expired", self.logins), (False, self.logins)],
        )
        self.assertEqual((first.end_date, first.ended_by_user_id), (second.login_date, self.user))
