import shutil
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

from odoo import http
from odoo.tests.common import TransactionCase, tagged
from odoo.tools import mute_logger

from odoo.addons.op_single_session_login import _import_sessions
from odoo.addons.op_single_session_login.models import session_store

from .common import Device, SingleSessionCase, get_identifier

LOGGER = "odoo.addons.op_single_session_login"
STATUS = "/op_single_session_login/status"


class BareStore(http.FilesystemSessionStore):
    """A store without a path that has only what Odoo needs, as OCA's ``session_db`` on 17.0 and 18.0."""

    # Odoo's store has these. The stores of addons may not.
    delete_from_identifiers = get_missing_session_identifiers = list = property()

    def __init__(self):
        super().__init__(path="/nowhere", session_class=http.Session)
        del self.path
        self.contents = {}

    def save(self, session):
        self.contents[session.sid] = dict(session)

    def delete(self, session):
        self.contents.pop(session.sid, None)

    def get(self, sid):
        return self.session_class(self.contents[sid], sid, False) if sid in self.contents else self.new()


class ListingStore(BareStore):
    """A store that lists its session ids, as bytes like Redis."""

    def list(self):
        return [sid.encode() for sid in self.contents]


class TextListingStore(BareStore):
    def list(self):
        return [*self.contents, "", "no id"]


class BrokenStore(BareStore):
    def list(self):
        raise ValueError("what might quote a session id")


@tagged("post_install", "-at_install")
class TestSessionStore(TransactionCase):
    def setUp(self):
        super().setUp()
        self.db = self.env.cr.dbname
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.use(http.FilesystemSessionStore(path=folder, session_class=http.Session, renew_missing=True))

    def use(self, store):
        """Give the server another session store."""
        self.startPatcher(patch.object(http.root, "session_store", store))
        self.store = store

    def save(self, dbname=None, sid=None, **values):
        session = self.store.new()
        session.sid = sid or session.sid
        session.update(values, db=dbname or self.db)
        self.store.save(session)
        return session.sid

    def exists(self, sid):
        return bool(self.store.get(sid).get("db"))

    def test_identifier_is_what_core_stores(self):
        for length, expected in ((0, 0), (40, 20), (64, 32), (83, 41), (84, 42), (86, 42), (128, 42)):
            sid = "".join(chr(48 + number % 75) for number in range(length))
            self.assertEqual(session_store.get_identifier(sid), sid[:expected])

    def test_other_values_are_no_identifiers(self):
        """An administrator can write any text as the identifier of a device."""
        sid = self.save()
        identifier = get_identifier(sid)
        no_identifiers = (
            *("*", "*" * 42, "?" * 20, f"{identifier[:-1]}?", f"../sessions/{sid[:2]}/*", sid, "", identifier[:-1]),
            *(False, None),
        )
        for value in no_identifiers:
            self.assertEqual(session_store.find_existing([value], self.db), [], value)
            session_store.delete([value], self.db)
        self.assertTrue(self.exists(sid))
        self.assertEqual(session_store.find_existing([*no_identifiers, identifier], self.db), [identifier])
        session_store.delete([*no_identifiers, identifier], self.db)
        self.assertFalse(self.exists(sid))

    def test_sessions_of_other_databases(self):
        """A copy of a database has the identifiers of the original."""
        own, foreign, gone = self.save(uid=7), self.save("original", uid=7), self.store.generate_key()
        identifiers = [get_identifier(sid) for sid in (own, foreign, gone)]
        for dbname, existing in ((self.db, identifiers[:1]), ("original", identifiers[1:2]), ("", [])):
            self.assertEqual(session_store.find_existing(identifiers, dbname), existing)
        # the third one was used on another machine
        self.assertEqual(session_store.find_existing(identifiers, self.db, {*identifiers}), identifiers[::2])
        session_store.delete(identifiers, self.db)
        self.assertEqual([self.exists(own), self.exists(foreign)], [False, True])

    def test_sessions_with_the_same_identifier(self):
        """After a soft rotation, there are two for a while."""
        first = self.save()
        second = self.save(sid=get_identifier(first) + self.store.generate_key()[len(get_identifier(first)) :])
        foreign = self.save("original", get_identifier(first) + self.store.generate_key()[len(get_identifier(first)) :])
        session_store.delete([get_identifier(first)], self.db)
        self.assertEqual([self.exists(sid) for sid in (first, second, foreign)], [False, False, True])

    def test_no_other_files_are_read(self):
        sid = self.save()
        for _ in range(10):
            self.save()
            self.save(sid=sid[:2] + self.store.generate_key()[2:])
        get = self.store.get
        for function in (session_store.find_existing, session_store.delete):
            with patch.object(self.store, "get", side_effect=get) as spy, self.assertOneFolderListed():
                function([get_identifier(sid)], self.db)
            spy.assert_called_once_with(sid)

    def assertOneFolderListed(self):
        iglob = session_store.glob.iglob

        def check(pattern):
            self.assertNotIn("*", pattern[: -len("*")])
            return iglob(pattern)

        return patch.object(session_store.glob, "iglob", check)

    @mute_logger("odoo.tools.misc")  # 17.0 warns of what it cannot read
    def test_other_files_in_the_folder(self):
        sid = self.save(uid=7)
        for text in (b"", b"{}", b"[1, 2"):
            other = self.save(uid=7)
            Path(self.store.get_session_filename(other)).write_bytes(text)
            self.assertEqual(session_store.find_existing([get_identifier(other)], self.db), [])
            session_store.delete([get_identifier(other)], self.db)
            self.assertEqual(Path(self.store.get_session_filename(other)).read_bytes(), text)
        self.assertEqual([*session_store.iter_logged_in(self.db)], [(get_identifier(sid), 7)])

    def test_stores_without_a_path(self):
        """They can't tell which sessions exist without going through all of them. The installation does so."""
        for kind in (ListingStore, TextListingStore):
            with self.subTest(kind.__name__):
                self.use(kind())
                own, foreign, gone = self.save(uid=7), self.save("original", uid=7), self.store.generate_key()
                identifiers = [get_identifier(sid) for sid in (own, foreign, gone)]
                self.assertEqual(session_store.find_existing(identifiers, self.db), identifiers)
                session_store.delete(identifiers, self.db)
                self.assertTrue(self.exists(foreign))
                self.assertEqual([*session_store.iter_logged_in(self.db)], [(identifiers[0], 7)])

    def test_login_does_not_list_all_sessions(self):
        self.use(BrokenStore())
        with self.assertNoLogs(LOGGER):
            identifier = get_identifier(self.save())
            session_store.delete([identifier], self.db)
            self.assertEqual(session_store.find_existing([identifier], self.db), [identifier])

    def test_store_that_knows_no_identifiers(self):
        self.use(BareStore())
        identifiers = [get_identifier(self.save()), get_identifier(self.store.generate_key())]
        with self.assertNoLogs(LOGGER):
            self.assertEqual(session_store.find_existing([*identifiers, False], self.db), identifiers)
            session_store.delete([*identifiers, False], self.db)
            self.assertTrue(self.store.contents)
            self.assertEqual([*session_store.iter_logged_in(self.db)], [])

    def test_failing_store(self):
        identifier = get_identifier(self.save())
        with patch.object(self.store, "get", side_effect=ValueError("what might quote a session id")):
            for function, what in ((session_store.find_existing, "look for"), (session_store.delete, "delete")):
                with self.assertLogs(LOGGER, "WARNING") as log:
                    self.assertEqual(function([identifier, False], self.db) or [identifier], [identifier])
                self.assertIn(f"did not {what} 1 sessions (ValueError)", log.output[0])
                self.assertNotIn("quote", log.output[0])


@tagged("post_install", "-at_install")
class TestImport(SingleSessionCase):
    def use_listing_store(self):
        if not hasattr(http.root.session_store, "path"):  # OCA's session_db
            self.startPatcher(patch.object(http.root, "session_store", ListingStore()))

    def test_stored_sessions_are_imported_at_installation(self):
        self.use_listing_store()
        old = self.open_unregistered_session()
        _import_sessions(self.env)
        self.assertFalse(self.logins_of(old).exclusive)
        self.assertAlive(old)
        new = self.login()
        self.assertEnded(old)
        self.assertAlive(new)

    def test_stored_sessions_of_redis_are_imported(self):
        self.startPatcher(patch.object(http.root, "session_store", ListingStore()))
        self.test_stored_sessions_are_imported_at_installation()

    def test_other_databases_and_deleted_users_are_not_imported(self):
        self.use_listing_store()
        old = self.open_unregistered_session()
        foreign = old.stored_session
        foreign["db"] = "another"
        http.root.session_store.save(foreign)
        _import_sessions(self.env)
        self.assertFalse(self.logins_of(old))
        foreign["db"], foreign["uid"] = self.env.cr.dbname, 2**31 - 1
        http.root.session_store.save(foreign)
        _import_sessions(self.env)
        self.assertFalse(self.logins_of(old))

    def test_sessions_of_a_store_that_cannot_list(self):
        """They get an entry at their first request after the installation."""
        self.startPatcher(patch.object(http.root, "session_store", BareStore()))
        old = self.open_unregistered_session()
        with self.assertNoLogs(LOGGER, "WARNING"):
            _import_sessions(self.env)
        self.assertFalse(self.logins_of(old))
        self.assertAlive(old)
        new = self.login()
        self.assertEnded(old)
        self.assertAlive(new)

    def test_session_that_another_addon_stores(self):
        """It ends no session. It gets an entry and a bond at its first request, and ends with the next login."""
        first = self.login()
        session = http.root.session_store.new()
        session.update(http.get_default_session(), db=self.env.cr.dbname, uid=self.user.id, login=self.user.login)
        session["session_token"] = self.user._compute_session_token(session.sid)
        http.root.session_store.save(session)
        other = Device(self)
        other.cookies["session_id"] = session.sid
        self.assertEqual(other.request(STATUS).json(), {"state": "alive"})
        self.assertFalse(self.logins_of(other), "a status request writes nothing")
        self.assertAlive(first, other)
        self.assertEqual((self.logins_of(other).user_id, self.logins_of(other).exclusive), (self.user, False))
        self.assertEqual(other.stored_session[session_store.BOND], other.identifier)
        self.assertAlive(other)
        self.assertEqual(len(self.logins_of(other)), 1)
        newest = self.login()
        self.assertEnded(first, other)
        self.assertAlive(newest)

    def test_session_that_odoo_refuses_gets_no_entry(self):
        old = self.open_unregistered_session()
        session = old.stored_session
        session["session_token"] = "forged"
        http.root.session_store.save(session)
        self.assertEnded(old)
        self.assertFalse(self.logins_of(old))


@tagged("post_install", "-at_install")
class TestLongerIds(SingleSessionCase):
    def test_soft_rotation_of_the_ids_of_20_0(self):
        """Odoo 20.0 makes ids of 86 characters, of which a rotation keeps the first 42."""
        if not hasattr(http.root.session_store, "delete_old_sessions"):
            self.skipTest("not in this Odoo: soft rotation of sessions")
        store = type(http.root.session_store)
        generate_key = store.generate_key
        self.startPatcher(patch.object(store, "generate_key", lambda *arguments: generate_key(*arguments) + "20"))
        self.startPatcher(patch.object(store, "is_valid_key", lambda _self, key: len(key) in (84, 86)))
        device = self.login()
        self.assertEqual((len(device.sid), len(self.logins_of(device).identifier)), (86, 42))
        for _ in range(3):
            session = device.stored_session
            session["create_time"] = time.time() - 4 * 3600
            http.root.session_store.save(session)
            sid = device.sid
            self.assertAlive(device)
            self.assertNotEqual(device.sid, sid)
            self.assertAlive(device)
        new = self.login()
        self.assertEnded(device)
        self.assertAlive(new)
