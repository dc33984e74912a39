from datetime import timedelta
from unittest.mock import patch

from odoo import fields, http
from odoo.exceptions import AccessError
from odoo.tests.common import TransactionCase, new_test_user, tagged

from .common import get_identifier

RETENTION = 90  # days, by default


@tagged("post_install", "-at_install")
class TestRegister(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = new_test_user(cls.env, "ada")
        cls.logins = cls.env["op.single.session.login"]

    def add(self, sid, user=None, days_ago=0, **values):
        values = {"user_id": (user or self.user).id, "identifier": get_identifier(sid), **values}
        return self.logins.create(dict(values, login_date=fields.Datetime.now() - timedelta(days=days_ago)))

    def test_only_managers_read_it_and_nobody_writes_it(self):
        login = self.add("old.....")
        for groups in ("base.group_user", "base.group_portal", "base.group_erp_manager", "base.group_system"):
            own = login.with_user(new_test_user(self.env, groups, groups=groups))
            if groups in ("base.group_user", "base.group_portal"):
                with self.assertRaises(AccessError):
                    own.read(["user_id"])
            else:
                self.assertEqual(own.user_id, self.user)
            with self.assertRaises(AccessError):
                own.write({"revoked": True})
            with self.assertRaises(AccessError):
                own.create({"user_id": self.user.id, "identifier": "x"})
            with self.assertRaises(AccessError):
                own.unlink()

    def test_goes_with_its_user(self):
        login = self.add("old.....")
        self.user.unlink()
        self.assertFalse(login.exists())

    def test_ended_by_a_newer_exclusive_login_only(self):
        self.assertIsNone(self.logins._is_ended("one....."))
        self.add("one.....", exclusive=True)
        self.assertIs(self.logins._is_ended("one....."), False)
        self.add("two.....")
        self.add("three...", new_test_user(self.env, "bob"), exclusive=True)
        self.assertIs(self.logins._is_ended("one....."), False)
        self.add("four....", exclusive=True)
        self.assertIs(self.logins._is_ended("one....."), True)
        self.assertIs(self.logins._is_ended("two....."), True)
        self.assertIs(self.logins._is_ended("four...."), False)

    def test_revoked(self):
        self.add("one.....", exclusive=True, revoked=True)
        self.assertIs(self.logins._is_ended("one....."), True)

    def test_gate_is_one_query(self):
        with self.assertQueryCount(1):
            self.assertIs(self.logins._is_ended(http.root.session_store.new().sid), None)

    def test_questions_are_answered_by_indexes(self):
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
        self.assertIs(self._assert_answered_by_indexes(self.logins._is_ended, sid, "identifier", "newest"), True)
        self.assertTrue(self._assert_answered_by_indexes(self.logins._find_told, sid, "replaced", "newest"))

    def _assert_answered_by_indexes(self, method, sid, *indexes):
        queries = []
        cursor = type(self.env.cr)
        with patch.object(cursor, "execute", self._recorder(queries, cursor.execute)):
            result = method(sid)
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

    def test_garbage_collection_keeps_what_can_still_decide(self):
        days = RETENTION
        forgotten = self.add("long ago", days_ago=days + 3, exclusive=True)
        survivor = self.add("newest..", days_ago=days + 2, exclusive=True)
        bob = new_test_user(self.env, "bob")
        ended_lately = self.add("bob old.", bob, days_ago=days + 2, exclusive=True)
        bob_newest = self.add("bob new.", bob, days_ago=1, exclusive=True)
        cleo = new_test_user(self.env, "cleo")
        one_of_several = self.add("cleo old", cleo, days_ago=days + 2)
        cleo_newest = self.add("cleo new", cleo, days_ago=1, exclusive=True)
        never_completed = self.add("refused.", bob, days_ago=days + 1, revoked=True)
        refused_lately = self.add("refused2", bob, days_ago=days - 1, revoked=True)
        self.logins._gc_logins()
        self.assertEqual(
            (forgotten | survivor | ended_lately | bob_newest | never_completed | refused_lately).exists(),
            survivor | ended_lately | bob_newest | refused_lately,
        )
        self.assertEqual(
            (one_of_several | cleo_newest).exists(), one_of_several | cleo_newest, "it must still be refused"
        )

    def test_garbage_collection_keeps_what_an_administrator_has_ended_lately(self):
        """Its session may be much younger than its login."""
        lately, long_ago = (
            self.add(
                http.root.session_store.new().sid,
                days_ago=2 * RETENTION,
                revoked=True,
                revoked_date=fields.Datetime.now() - timedelta(days=days),
            )
            for days in (1, RETENTION + 1)
        )
        newest = self.add("newest..", new_test_user(self.env, "bob"), days_ago=2 * RETENTION, exclusive=True)
        newest.write({"revoked": True, "revoked_date": newest.login_date})
        self.logins._gc_logins()
        self.assertEqual((lately | long_ago | newest).exists(), lately | newest)

    def test_garbage_collection_waits_as_long_as_it_is_told(self):
        older = self.add("older...", days_ago=31, exclusive=True)
        old = self.add("old.....", days_ago=29, exclusive=True)
        self.add("newest..", days_ago=28, exclusive=True)
        self.env["ir.config_parameter"].set_param("op_single_session_login.retention_days", "30")
        self.logins._gc_logins()
        self.assertEqual((older | old).exists(), older | old, "what ended it is not old enough")
        self.env["ir.config_parameter"].set_param("op_single_session_login.retention_days", "27")
        self.logins._gc_logins()
        self.assertEqual((older | old).exists(), self.logins)

    def test_garbage_collection_of_a_million_rows(self):
        """Each row that is left is judged as before, and none is left that can decide nothing."""
        now = fields.Datetime.now()
        users = [new_test_user(self.env, f"user{number}").id for number in range(10)]
        self.env.cr.execute(
            """
            INSERT INTO op_single_session_login
                        (user_id, identifier, login_date, exclusive, revoked, revoked_date)
            SELECT (%(users)s)[1 + i %% 10], left(repeat(md5(i::text), 2), 42), login_date,
                   -- the second user may hold several sessions, the third could until lately
                   i %% 10 NOT IN (1, 2) AND i %% 7 != 0 OR i %% 10 = 2 AND i > 900000,
                   i %% 11 = 0, CASE WHEN i %% 22 = 0 THEN login_date + interval '50 days' END
              FROM (SELECT i, %(now)s - (1000000 - i) * interval '20 seconds' AS login_date
                      FROM generate_series(1, 1000000) i) logins
        """,
            {"users": users, "now": now},
        )
        self.env.cr.execute("ANALYZE op_single_session_login")
        self.env.cr.execute(
            """
            CREATE TEMPORARY TABLE expected ON COMMIT DROP AS
            SELECT *, revoked OR coalesce(ended_date, 'infinity') < 'infinity' AS is_ended,
                   -- long enough ended, or gone by itself; the newest that ends others stays
                   (revoked AND NOT exclusive AND coalesce(revoked_date, login_date) < old)
                   OR (ended_date < old AND coalesce(revoked_date, login_date) < old)
                   OR (ended_date IS NULL AND NOT revoked AND NOT exclusive AND login_date < old) AS is_deleted
              FROM (SELECT id, user_id, identifier, login_date, exclusive, revoked, revoked_date,
                           %(now)s - interval '90 days' AS old,
                           min(login_date) FILTER (WHERE exclusive) OVER (
                               PARTITION BY user_id ORDER BY id DESC
                               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS ended_date
                      FROM op_single_session_login WHERE user_id = ANY(%(users)s)) logins
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
        self.assertEqual((left, lost), (0, 0), "rows left that decide nothing, rows lost that do")
        self.assertGreater(min(deleted, kept), 300000)
        self.env.cr.execute("SELECT identifier, is_ended FROM expected WHERE NOT is_deleted AND id % 997 = 0")
        for identifier, is_ended in self.env.cr.fetchall():
            self.assertIs(self.logins._is_ended(2 * identifier), is_ended, identifier)

    def test_garbage_collection_waits_for_long_sessions(self):
        self.env["ir.config_parameter"].set_param("sessions.max_inactivity_seconds", RETENTION * 24 * 3600)
        ended = self.add("old.....", days_ago=2 * RETENTION - 1, exclusive=True)
        self.add("newest..", days_ago=2 * RETENTION - 2, exclusive=True)
        self.logins._gc_logins()
        self.assertTrue(ended.exists())

    def test_garbage_collection_of_several_sessions(self):
        """Of a user with several sessions, the rows go when their sessions are gone."""
        session = self.store_session()
        stored = self.add(session.sid, days_ago=RETENTION + 1)
        gone = self.add(http.root.session_store.new().sid, days_ago=RETENTION + 1)
        recent = self.add(http.root.session_store.new().sid, days_ago=RETENTION - 1)
        self.logins._gc_logins()
        self.assertEqual((stored | gone | recent).exists(), stored | recent)

    def test_garbage_collection_of_sessions_in_the_folder_of_another_machine(self):
        if "res.device.log" not in self.env:
            self.skipTest("not in this Odoo: devices")
        used, unused = (self.add(http.root.session_store.new().sid, days_ago=RETENTION + 1) for _ in range(2))
        for login, days in ((used, 1), (unused, RETENTION)):
            self.env["res.device.log"].create(
                {
                    "session_identifier": login.identifier,
                    "user_id": self.user.id,
                    "last_activity": fields.Datetime.now() - timedelta(days=days),
                }
            )
        self.logins._gc_logins()
        self.assertEqual((used | unused).exists(), used)
