import shutil
import tempfile
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import patch

from odoo import fields, http
from odoo.exceptions import AccessError
from odoo.tests.common import TransactionCase, new_test_user, tagged
from odoo.tools import SQL

from .common import get_identifier

RETENTION = 90  # days, by default


@tagged("post_install", "-at_install")
class TestLoginLog(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = new_test_user(cls.env, "ada")
        cls.logins = cls.env["op.single.session.login"]

    def setUp(self):
        super().setUp()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        store = http.FilesystemSessionStore(path=folder, session_class=http.Session, renew_missing=True)
        self.startPatcher(patch.object(http.root, "session_store", store))

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
                own.write({"end_reason": False})
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

    def test_reasons_that_refuse(self):
        """A session that seems to have expired may come back, from another machine."""
        for reason, is_ended in (
            ("administrator", True),
            ("logged_out", True),
            ("newer_login", True),
            ("expired", False),
        ):
            self.add(f"{reason}{reason}", exclusive=True, end_reason=reason)
            self.assertIs(self.logins._is_ended(reason), is_ended, reason)
            self.logins.search([]).unlink()

    def test_bond_without_an_entry(self):
        self.assertIs(self.logins._is_ended("unknown"), None)
        self.assertIs(self.logins._is_ended("unknown", is_bond=True), True)

    def test_check_is_one_query(self):
        for is_bond in (True, False):
            with self.assertQueryCount(1):
                self.logins._is_ended("unknown", is_bond)

    def test_columns_and_indexes(self):
        self.env.cr.execute("SELECT * FROM op_single_session_login")
        self.assertLessEqual(len(self.env.cr.description), 13)  # with the id
        self.env.cr.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'op_single_session_login'")
        self.assertLessEqual(len(self.env.cr.fetchall()), 6)  # with the primary key

    def test_queries_use_indexes(self):
        sid = http.root.session_store.new().sid
        self.add(sid)
        self.env.cr.execute(
            """
            INSERT INTO op_single_session_login (user_id, identifier, login_date, exclusive)
            SELECT %s, md5(i::text), now(), i %% 2 = 0 FROM generate_series(1, 20000) i
        """,
            [self.user.id],
        )
        self.env.cr.execute("ANALYZE op_single_session_login")
        identifier = get_identifier(sid)
        is_ended = self.logins._is_ended
        self.assertIs(self._assert_answered_by_indexes(is_ended, identifier, "_identifier_index", "newest_idx"), True)
        state = SimpleNamespace(identifier=identifier, is_named=True)
        find_end = self.logins._find_end
        self.assertTrue(self._assert_answered_by_indexes(find_end, state, "_identifier_index", "newest_idx")[0])

    def _assert_answered_by_indexes(self, method, argument, *indexes):
        queries = []
        cursor = type(self.env.cr)
        with patch.object(cursor, "execute", self._recorder(queries, cursor.execute)):
            result = method(argument)
        plan = ""
        for query in queries:
            if "own" in query or "identifier" in query:
                self.env.cr.execute("EXPLAIN " + query)
                plan += "\n".join(line for [line] in self.env.cr.fetchall())
        self.assertNotIn("Seq Scan", plan)
        for index in indexes:
            self.assertIn(f"op_single_session_login_{index}", plan)
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

    def test_vacuum_deletes_all_entries_after_the_retention_time(self):
        """Also the newest exclusive one: the bonds of the sessions refuse them."""
        older = self.add("older...", days_ago=RETENTION + 2, exclusive=True)
        newer = self.add("newer...", days_ago=RETENTION + 1, exclusive=True, end_reason="logged_out")
        bob = new_test_user(self.env, "bob")
        ended_recently = self.add("bob old.", bob, days_ago=RETENTION + 2, exclusive=True)
        bob_newest = self.add("bob new.", bob, days_ago=1, exclusive=True)
        self.logins._gc_logins()
        self.assertEqual((older | newer | ended_recently | bob_newest).exists(), ended_recently | bob_newest)
        self.assertIs(self.logins._is_ended("olde", is_bond=True), True)
        self.assertIs(self.logins._is_ended("newe", is_bond=True), True)

    def test_vacuum_keeps_recent_ends(self):
        """A session may end long after its login."""
        recently, long_ago = (
            self.add(
                http.root.session_store.new().sid,
                days_ago=2 * RETENTION,
                end_reason="administrator",
                end_date=fields.Datetime.now() - timedelta(days=days),
            )
            for days in (1, RETENTION + 1)
        )
        self.logins._gc_logins()
        self.assertEqual((recently | long_ago).exists(), recently)

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

    def test_lifetime_of_centuries(self):
        """Odoo accepts it: logins and lists must do so too."""
        self.env["ir.config_parameter"].set_param("sessions.max_inactivity_seconds", "99999999999")
        self.add("old.....", days_ago=1, exclusive=True)
        newest = self.add("newest..", exclusive=True)
        self.logins._record_older(SQL("TRUE"))
        self.logins._gc_logins()
        self.assertEqual(newest.display_name, str(newest.id))

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
        self.logins._gc_logins()
        self.assertEqual((used | unused).mapped("end_reason"), [False, "expired"])

    def test_session_on_another_machine_is_known_from_its_login(self):
        """On 17.0, which has no devices. On other series, Odoo may have deleted a session whose device was revoked."""
        recent = self.add(http.root.session_store.new().sid, days_ago=6, exclusive=True)
        newest = self.add(http.root.session_store.new().sid, exclusive=True)
        self.logins._record_older(SQL("TRUE"))
        expected = ("expired", self.logins) if "res.device.log" in self.env else ("newer_login", newest)
        self.assertEqual((recent.end_reason, recent.ended_by_login_id), expected)

    def test_vacuum_writes_missing_ends(self):
        """A killed cleanup writes no ends. The vacuum does: the next exclusive login ended them, not the newest."""
        session = self.store_session()
        first = self.add(session.sid, exclusive=True, days_ago=3)
        between = self.add("between.", days_ago=9)
        second = self.add("second..", exclusive=True, days_ago=8)
        third = self.add("third...", exclusive=True)
        self.logins._gc_logins()
        self.assertEqual(
            [(entry.end_reason, entry.ended_by_login_id) for entry in (first, between, second, third)],
            [("newer_login", second), ("expired", self.logins), ("expired", self.logins), (False, self.logins)],
        )
        self.assertEqual((first.end_date, first.ended_by_user_id), (second.login_date, self.user))
