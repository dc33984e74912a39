import logging
import time
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import patch

from odoo import api, fields
from odoo.http import SessionExpiredException, request, root
from odoo.tests.common import new_test_user, tagged
from odoo.tools import config

from odoo.addons.bus.websocket import _wsrequest_stack
from odoo.addons.op_single_session_login.models import op_single_session_login_end as end
from odoo.addons.op_single_session_login.models.bus_bus import SESSION_CHANNEL
from odoo.addons.op_single_session_login.models.client import get_ip_address
from odoo.addons.web.controllers.home import Home

from .common import PASSWORD, Device, SingleSessionCase, require_module


@tagged("post_install", "-at_install")
class TestNewestWins(SingleSessionCase):
    def test_second_login_ends_first(self):
        first = self.login()
        self.assertAlive(first)
        second = self.login()
        self.assertEnded(first)
        self.assertAlive(second)

    def test_no_token_of_an_ended_session(self):
        """Outside a request too, where other code asks whether Odoo accepts a session."""
        first = self.login()
        self.assertTrue(self.user._compute_session_token(first.sid))
        self.login()
        self.assertFalse(self.user._compute_session_token(first.sid))

    def test_third_login_ends_second(self):
        devices = [self.login() for _ in range(3)]
        self.assertEnded(*devices[:2])
        self.assertAlive(devices[2])

    def test_portal_user(self):
        portal = new_test_user(self.env, "pia", groups="base.group_portal", password=PASSWORD)
        first, second = self.login(portal), self.login(portal)
        self.assertEnded(first)
        self.assertAlive(second)

    def test_json_login(self):
        first = self.json_login()
        self.assertEqual(self.logins.search([("user_id", "=", self.user.id)]), self.logins_of(first))
        self.assertAlive(first)
        second = self.json_login()
        self.assertEnded(first)
        self.assertAlive(second)

    def test_other_user_is_not_affected(self):
        other = self.login(new_test_user(self.env, "bob", password=PASSWORD))
        self.login()
        self.assertAlive(other)

    def test_login_stores_the_client(self):
        device = self.login()
        login = self.logins_of(device)
        self.assertEqual((login.user_id, login.exclusive), (self.user, True))
        self.assertEqual((login.browser, login.platform), ("Firefox", "Linux"))
        self.assertEqual(login.ip_address, "127.0.0.1")
        self.assertNotIn(device.sid, str(self.logins.search([]).read()))

    def test_address(self):
        """With ``proxy_mode``, the address may be any text of the client."""
        for text, address in (
            ("2001:db8::7%eth0", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("[2001:db8::7%eth0]:443", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("::ffff:198.51.100.7", "198.51.100.7"),
            ("::ffff:c633:6407", "198.51.100.7"),
            ("198.51.100.7:5555", "198.51.100.7"),
            ("198.51.100.7", "198.51.100.7"),
            ("198.51.100.7:5555:1", None),
            ("[198.51.100.7", None),
            ("198.51.100.7\x00", None),
            ("nowhere" * 1000, None),
            ("", None),
            (None, None),
        ):
            self.assertEqual(get_ip_address(text), address)

    def test_address_behind_a_proxy(self):
        headers = {"X-Forwarded-Host": "127.0.0.1"}
        for text, address in (("[2001:db8::7]:443", "2001:db8::7"), ("nowhere", False)):
            device = Device(self, headers={**headers, "X-Forwarded-For": text})
            with patch.dict(config.options, proxy_mode=True):
                self.login(device=device)
            self.assertEqual(self.logins_of(device).ip_address, address)

    def test_login_that_keeps_its_id(self):
        """It gets a new id all the same."""

        def keep_id(*_args, **_options):
            request.session.should_rotate = False
            return "/web"

        first, second = self.login(), Device(self)
        second.request("/web/login")
        before = second.sid
        with patch.object(Home, "_login_redirect", keep_id):
            self.login(device=second)
        self.assertNotEqual(second.sid, before)
        self.assertEnded(first)
        self.assertAlive(second)


@tagged("post_install", "-at_install")
class TestBypass(SingleSessionCase):
    def test_bypass_keeps_all_sessions(self):
        self.user.allow_multiple_sessions = True
        self.assertAlive(*[self.login() for _ in range(3)])

    def test_next_login_without_bypass_ends_all(self):
        self.user.allow_multiple_sessions = True
        devices = [self.login(), self.login()]
        self.user.allow_multiple_sessions = False
        self.assertAlive(*devices)
        newest = self.login()
        self.assertEnded(*devices)
        self.assertAlive(newest)

    def test_portal_users_can_be_left_alone(self):
        """Their logins are registered, and end no session. Internal users still have a single session."""
        self.env["ir.config_parameter"].set_param("op_single_session_login.portal_users", "0")
        portal = new_test_user(self.env, "pia", groups="base.group_portal", password=PASSWORD)
        devices = [self.login(portal) for _ in range(2)]
        self.assertAlive(*devices)
        self.assertEqual([self.logins_of(device).exclusive for device in devices], [False, False])
        self.assertTrue(portal.session_note)
        self.assertFalse(self.user.session_note)
        first, second = self.login(), self.login()
        self.assertEnded(first)
        self.assertAlive(second)
        self.env["ir.config_parameter"].set_param("op_single_session_login.portal_users", "1")
        self.assertFalse(portal.session_note)
        newest = self.login(portal)
        self.assertEnded(*devices)
        self.assertAlive(newest)

    def test_bypass_checked_later_reopens_nothing(self):
        first = self.login()
        restored = first.stored_session
        second = self.login()
        self.user.allow_multiple_sessions = True
        root.session_store.save(restored)
        self.assertEnded(first)
        root.session_store.save(restored)
        third = self.login()
        self.assertEnded(first)
        self.assertAlive(second, third)


@tagged("post_install", "-at_install")
class TestEndedSession(SingleSessionCase):
    def test_restored_file(self):
        first = self.login()
        restored = first.stored_session
        self.login()
        root.session_store.save(restored)
        self.assertEnded(first)

    def test_entry_is_missing(self):
        """After the retention time, or in an older backup of the database that was restored."""
        device = self.login()
        self.logins_of(device).unlink()
        self.assertEnded(device)
        self.assertAlive(self.login())

    def test_no_delivery_to_the_websocket_of_an_ended_session(self):
        """With or without a user in the session. Channels of guests are not affected."""
        bus = api.Environment(self.env.cr, None, {})["bus.bus"]
        first = self.login()
        partner = (self.env.cr.dbname, "res.partner", self.user.partner_id.id)
        channels = {"broadcast", partner, (self.env.cr.dbname, SESSION_CHANNEL, first.identifier)}
        bus._poll(channels)
        self.login()
        with self.assertRaises(SessionExpiredException):
            bus._poll(channels)
        bus._poll({"broadcast", partner})

    def test_no_message_of_an_ended_session(self):
        """Even if another addon caches that Odoo accepts the session."""
        first = self.login()
        websocket = SimpleNamespace(session=first.stored_session, env=self.env(user=self.user))
        _wsrequest_stack.push(websocket)
        self.addCleanup(_wsrequest_stack.pop)
        with patch("odoo.service.security.check_session", return_value=True):
            self.env["ir.websocket"]._authenticate()
            self.login()
            with self.assertRaises(SessionExpiredException):
                self.env["ir.websocket"]._authenticate()

    def test_channels_without_a_request(self):
        """A test of Odoo 19.0 asks for them, with a request that only the bus knows."""
        if hasattr(self.env["ir.websocket"], "_build_presence_channel_list"):
            self.skipTest("not in this Odoo: channels without a request")
        request_of_the_bus = SimpleNamespace(session=SimpleNamespace(uid=None))
        with patch("odoo.addons.bus.models.ir_websocket.wsrequest", request_of_the_bus):
            self.assertIn("broadcast", self.env["ir.websocket"]._build_bus_channel_list([]))

    def test_public_page_refuses_it(self):
        self.check_public_page("/web/login")

    def test_page_without_a_route_refuses_it(self):
        require_module(self, "http_routing")  # otherwise, it is no page of Odoo
        self.check_public_page("/no/such/page")

    def check_public_page(self, url):
        first = self.login()
        restored = first.stored_session
        second = self.login()
        root.session_store.save(restored)
        uid = f'"(uid|user_id)": {self.user.id},'  # the latter on 17.0
        self.assertNotRegex(first.request(url).text, uid)
        self.assertRegex(second.request(url).text, uid)

    def test_late_answers_keep_the_cookie(self):
        """A request of an ended session may be answered after a new login in the same browser."""
        device = self.login()
        late = Device(self)
        late.cookies.update(device.cookies)
        session = device.stored_session
        self.login(device=device)
        for url in ("/web/login", "/web/manifest.webmanifest", "/no/such/page", "/web/webclient/load_menus", "/web"):
            root.session_store.save(session)
            self.assertNotIn("session_id", late.request(url).cookies, url)
            self.assertIn("SessionExpired", str(self.ask(late)))
        self.assertAlive(device)

    def test_soft_rotation(self):
        """A rotated session (19.0: every three hours) stays open, and ends under both ids."""
        first = self.login()
        session = first.stored_session
        if "create_time" not in session:
            self.skipTest("not in this Odoo: soft rotation of sessions")
        session["create_time"] = time.time() - 4 * 3600
        root.session_store.save(session)
        old_sid = first.sid
        self.assertAlive(first)
        self.assertNotEqual(first.sid, old_sid)
        before, after = root.session_store.get(old_sid), first.stored_session
        self.assertEqual((before.uid, after.uid), (self.user.id, self.user.id))
        second = self.login()
        for session in (before, after):
            root.session_store.save(session)
            first.cookies["session_id"] = session.sid
            self.assertEnded(first)
        self.assertAlive(second)

    def test_become_superuser(self):
        """A session that became the superuser's ends with the administrator's next login."""
        admin = new_test_user(self.env, "eve", groups="base.group_system", password=PASSWORD)
        first = self.login(admin)
        self.assertEqual(first.request("/web/become").status_code, 303)
        self.assertEqual(first.stored_session.get("uid"), 1)
        self.assertAlive(first)
        second = self.login(admin)
        self.assertEnded(first)
        self.assertAlive(second)

    def test_become_ends_no_session(self):
        admin = new_test_user(self.env, "eve", groups="base.group_system", password=PASSWORD)
        first, second = self.login(admin), self.login(self.user)
        before = self.logins.search([])
        first.request("/web/become")
        self.assertAlive(first, second)
        self.assertEqual(self.logins.search([]), before)


@tagged("post_install", "-at_install")
class TestOthers(SingleSessionCase):
    def setUp(self):
        super().setUp()
        self.device = self.login()

    def test_wrong_password(self):
        other = Device(self)
        self.assertEqual(other.post_form("/web/login", login=self.user.login, password="wrong").status_code, 200)
        self.assertAlive(self.device)
        self.assertFalse(self.is_alive(other))

    def test_external_api(self):
        uid = self.xmlrpc_common.authenticate(self.env.cr.dbname, self.user.login, PASSWORD, {})
        self.assertEqual(uid, self.user.id)
        partner = self.xmlrpc_object.execute_kw(
            self.env.cr.dbname, uid, PASSWORD, "res.users", "read", [[uid], ["partner_id"]]
        )
        self.assertEqual(partner[0]["id"], uid)
        self.assertAlive(self.device)

    def test_password_check_of_an_open_session(self):
        """The identity check is a password check, not a login."""
        before = self.logins.search([])
        answer = self.device.rpc(
            "/web/dataset/call_kw/res.users/change_password",
            model="res.users",
            method="change_password",
            args=[PASSWORD, PASSWORD + "!"],
            kwargs={},
        )
        self.assertIn("result", answer)
        self.assertEqual(self.logins.search([]), before)

    def test_logout(self):
        other = self.login(new_test_user(self.env, "bob", password=PASSWORD))
        self.device.request("/web/session/logout")
        self.assertEnded(self.device)
        self.assertAlive(other, self.login())

    def test_same_browser_same_user(self):
        self.login(device=self.device)
        self.assertAlive(self.device)

    def test_same_browser_other_user(self):
        other = new_test_user(self.env, "bob", password=PASSWORD)
        self.login(other, device=self.device)
        self.assertAlive(self.device)
        self.assertEqual(self.device.stored_session.get("uid"), other.id)

    def copy_session(self, **values):
        """Return a device with a copy of the session under another id, as Odoo makes one for a report."""
        session = root.session_store.new()
        session.update(self.device.stored_session, **values)
        session["session_token"] = self.user._compute_session_token(session.sid)
        root.session_store.save(session)
        self.addCleanup(root.session_store.delete, session)
        copy = Device(self)
        copy.cookies["session_id"] = session.sid
        return copy

    def test_session_of_a_report(self):
        """It has the bond of the session that it was copied from, and ends with it."""
        report = self.copy_session(_trace_disable=True)
        before = self.logins.search([])
        self.assertAlive(report, self.device)
        self.assertEqual(self.logins.search([]), before)
        restored = report.stored_session
        self.login()
        root.session_store.save(restored)
        self.assertEnded(report, self.device)

    def test_session_of_a_report_without_a_bond(self):
        report = self.copy_session(_trace_disable=True, op_single_session_login=None)
        before = self.logins.search([])
        self.assertAlive(report, self.device)
        self.assertEqual(self.logins.search([]), before)

    def test_login_that_fails_after_authentication(self):
        failing = Device(self)
        with (
            patch.object(Home, "_login_redirect", side_effect=ValueError("after authentication")),
            self.assertLogs("odoo.http", "ERROR"),
        ):
            response = failing.post_form("/web/login", login=self.user.login, password=PASSWORD)
        self.assertEqual(response.status_code, 500)
        self.assertAlive(self.device)
        self.assertFalse(self.is_alive(failing))


@tagged("post_install", "-at_install")
class TestAfterCommit(SingleSessionCase):
    """What follows a commit, also after the rollback of a savepoint. Tests commit nothing, so they call it."""

    def setUp(self):
        super().setUp()
        self.device = self.login()
        self.assertAlive(self.device)  # Odoo adds the device at the first request after the login
        self.sid, self.login_entry = self.device.sid, self.logins_of(self.device)
        # the isolation of a transaction can only be set at its beginning
        self.patch(type(self.logins), "_read_committed", lambda _log: None)
        self.env.cr.postcommit.clear()

    def assertCleanedUp(self, reason, message_count):
        """Check what is done after the commit of an end: first all but the hook, then the hook."""
        self.assertEqual(self.login_entry.end_reason, reason)
        self.assertTrue(self.env.cr.postcommit, "nothing follows the commit")
        self.env.cr.postcommit.clear()
        messages = self.env["bus.bus"].search([])
        self.login_entry._clean_up_ended(reason, "192.0.2.4")
        if hasattr(root.session_store, "path"):  # other stores keep the session, which the session check refuses
            self.assertFalse(root.session_store.get(self.sid).get("uid"))
        if "res.device.log" in self.env:
            devices = self.env["res.device.log"].search([("session_identifier", "=", self.login_entry.identifier)])
            self.assertEqual(set(devices.mapped("revoked")), {True})
        self.env.cr.precommit.run()  # the bus adds its messages then
        messages = self.env["bus.bus"].search([]) - messages
        sent = [message for message in messages if "op_single_session_login/ended" in message.message]
        self.assertEqual(len(sent), message_count)
        with self.assertLogs(end.__name__, logging.INFO) as logs:
            self.env.cr.postcommit.run()
        ended = f"ENDED count=1 user={self.user.id} reason={reason}"
        self.assertTrue([line for line in logs.output if ended in line and "address=192.0.2.4" in line], logs.output)

    def test_newer_login(self):
        newest = self.login()
        self.logins_of(newest)._clean_up()
        self.assertEqual(self.login_entry.ended_by_login_id, self.logins_of(newest))
        self.assertCleanedUp("newer_login", message_count=1)
        self.assertAlive(newest)

    def test_logout(self):
        self.device.request("/web/session/logout")
        self.logins._clean_up_left(self.login_entry.identifier)
        self.assertCleanedUp("logged_out", message_count=0)

    def test_password(self):
        self.user.with_user(self.user).sudo().password = "another correct horse"
        self.assertCleanedUp("logged_out", message_count=0)

    def test_all_devices(self):
        if "res.device.log" not in self.env:
            self.skipTest("not in this Odoo: devices")
        self.user.with_user(self.user)._action_revoke_all_devices()
        self.assertCleanedUp("logged_out", message_count=0)

    def test_administrator(self):
        self.login_entry.with_user(self.env.ref("base.user_admin"))._end("administrator", None)
        self.assertCleanedUp("administrator", message_count=1)

    def test_login_that_was_rolled_back(self):
        newest = self.logins_of(self.login())
        newest.unlink()
        newest._clean_up()
        self.assertFalse(self.login_entry.end_reason)
        self.assertAlive(self.device)

    def test_end_that_was_rolled_back(self):
        self.login_entry._clean_up_ended("administrator", None)
        self.assertAlive(self.device)


@tagged("post_install", "-at_install")
class TestColumns(SingleSessionCase):
    """Only the login decides the values of its entry, not a default of a user or an addon."""

    def setUp(self):
        super().setUp()
        forged = {"boolean": True, "datetime": "2000-01-01 00:00:00", "char": "forged", "selection": "expired"}
        columns = {name: field.type for name, field in self.logins._fields.items() if field.store and name != "id"}
        self.assertGreater(columns.keys(), {"exclusive", "login_date", "end_reason", "ended_by_user_id"})
        self.forged = {name: forged.get(kind, self.user.id) for name, kind in columns.items()}
        for name, value in self.forged.items():
            for options in ({}, {"user_id": True}, {"company_id": True}):
                self.env["ir.default"].with_user(self.user).sudo().set(self.logins._name, name, value, **options)
        create = type(self.logins).create

        def forge(logins, values_list):
            return create(logins, [{**values, **self.forged} for values in values_list])

        self.patch(type(self.logins), "create", forge)
        self.patch(type(self.logins), "default_get", lambda _self, names: {name: self.forged[name] for name in names})
        context = {f"default_{name}": value for name, value in self.forged.items()}
        self.logins = self.logins.with_context(**context)

    def assertColumns(self, identifier, **expected):
        self.env.cr.execute(
            "SELECT * FROM op_single_session_login WHERE identifier IS NOT DISTINCT FROM %s", [identifier]
        )
        [row] = self.env.cr.dictfetchall()
        self.assertLess(abs(row.pop("login_date") - fields.Datetime.now()), timedelta(minutes=1))
        del row["id"]
        self.assertEqual(row, {**dict.fromkeys(row), "user_id": self.user.id, "identifier": identifier, **expected})

    def test_login(self):
        device = self.login()
        origin = {"browser": "Firefox", "platform": "Linux", "ip_address": "127.0.0.1"}
        self.assertColumns(device.identifier, exclusive=True, **origin)
        replaced = device.identifier
        self.login(device=device)
        self.assertColumns(device.identifier, exclusive=True, replaced_identifier=replaced, **origin)
        self.assertAlive(device)

    def test_session_that_no_login_registered(self):
        device = self.open_unregistered_session()
        self.assertAlive(device)
        self.assertColumns(device.identifier)

    def test_sessions_that_are_older(self):
        device = self.open_unregistered_session()
        self.logins._import_stored_sessions()
        if hasattr(root.session_store, "path"):
            self.assertColumns(device.identifier)
        else:  # OCA's session_db
            self.assertFalse(self.logins_of(device))

    def test_end_of_all_sessions(self):
        self.env.cr.execute("DELETE FROM op_single_session_login")
        with patch.object(end, "request", SimpleNamespace(httprequest=SimpleNamespace(remote_addr="192.0.2.4"))):
            self.logins._end_all(self.user)
        entry = self.logins.search([("end_reason", "=", "end_all")])
        values = {"end_date": entry.login_date, "end_reason": "end_all", "ended_by_user_id": self.env.uid}
        self.assertColumns(None, exclusive=True, ip_address="192.0.2.4", **values)
