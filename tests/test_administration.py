import json
import re
import time
from datetime import datetime, timedelta

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.http import root
from odoo.tests import Form
from odoo.tests.common import TransactionCase, new_test_user, tagged
from odoo.tools import mute_logger

from .common import PASSWORD, SingleSessionCase, get_identifier

ENDED_BY_ADMINISTRATOR = "It was ended by an administrator"


@tagged("post_install", "-at_install")
class TestRegisterOfAdministrators(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = new_test_user(cls.env, "ada")
        cls.manager = new_test_user(cls.env, "max", groups="base.group_erp_manager", tz="UTC")
        cls.logins = cls.env["op.single.session.login"].with_user(cls.manager)

    def add(self, user=None, stored=False, **values):
        session = root.session_store.new()
        if stored:
            session["db"] = self.env.cr.dbname
            root.session_store.save(session)
            self.addCleanup(root.session_store.delete, session)
        values = {"user_id": (user or self.user).id, "identifier": get_identifier(session.sid), **values}
        # sudo - op.single.session.login: nobody may write the register
        return self.logins.sudo().create(values).with_user(self.manager)

    def add_one_of_each(self):
        now = fields.Datetime.now()
        return {
            "newer_login": self.add(exclusive=True, swept=True),
            "gone": self.add(exclusive=True, stored=True) + self.add(new_test_user(self.env, "bob"), exclusive=True),
            "administrator": self.add(revoked=True, revoked_date=now),
            "refused": self.add(revoked=True),
            "active": self.add(exclusive=True, stored=True),
        }

    def test_states(self):
        for state, logins in self.add_one_of_each().items():
            self.assertEqual(logins.mapped("state"), [state] * len(logins))

    def test_states_are_found(self):
        logins = self.add_one_of_each()
        added = self.logins.union(*logins.values())
        for state, expected in logins.items():
            for operator, value, found in (
                ("=", state, expected),
                ("in", [state], expected),
                ("!=", state, added - expected),
                ("not in", [state], added - expected),
            ):
                domain = [("id", "in", added.ids), ("state", operator, value)]
                self.assertEqual(self.logins.search(domain), found.sorted("id", reverse=True), domain)
        domain = [("id", "in", added.ids), ("state", "in", ["active", "refused"])]
        self.assertEqual(self.logins.search(domain), logins["active"] + logins["refused"])
        self.assertFalse(self.logins.search([("id", "in", added.ids), ("state", "=", False)]))

    def test_end(self):
        """A login tells when it was ended and by whom; one that was over before tells neither."""
        ended = self.add(exclusive=True, swept=True)
        gone = self.add()
        newer = self.add(exclusive=True, login_date="2026-11-23 10:00:00", browser="Firefox", platform="Linux")
        newest = self.add(exclusive=True, stored=True)
        revoked = self.add(revoked=True, revoked_date="2026-11-24 10:00:00", revoked_by_id=self.manager.id)
        self.assertEqual((ended | gone).newer_login_id, newer)
        self.assertEqual(newer.newer_login_id, newest)
        self.assertFalse((newest | revoked).newer_login_id)
        self.assertEqual(
            [login.ended_date for login in (ended, gone, newest, revoked)],
            [datetime(2026, 11, 23, 10), False, False, datetime(2026, 11, 24, 10)],
        )
        self.assertEqual(
            [login.ended_by for login in (ended, gone, newest, revoked)],
            ["Firefox (Linux)", False, False, self.manager.name],
        )

    def test_name(self):
        login = self.add(browser="Firefox", platform="Linux", ip_address="192.0.2.4")
        self.assertEqual(login.display_name, "Firefox (Linux), 192.0.2.4")
        self.assertEqual(self.add(ip_address="192.0.2.4").display_name, "192.0.2.4")
        unknown = self.add()
        self.assertEqual(unknown.display_name, str(unknown.id))

    def test_groups(self):
        for date in ("2026-11-20 08:00:00", "2026-11-20 22:30:00", "2026-11-21 22:00:00"):
            self.add(login_date=date)
        groups = self.logins._read_group([("user_id", "=", self.user.id)], ["user_id", "login_date:day"], ["__count"])
        self.assertEqual([(user, count) for user, _day, count in groups], [(self.user, 2), (self.user, 1)])

    def test_views(self):
        action = self.env.ref("op_single_session_login.action_login_session")
        modes = action.view_mode.split(",")
        self.assertEqual(len(modes), 2)
        for mode in [*modes, "search"]:
            self.logins.get_view(view_type=mode)
        arch = self.logins.get_view(view_type=modes[0])["arch"]
        for attribute in ("create", "edit", "delete", "import"):
            self.assertIn(f'{attribute}="0"', arch)
        self.assertIn("action_end", arch)
        self.assertNotIn("identifier", arch)

    def test_only_managers_have_the_menu(self):
        menu = self.env.ref("op_single_session_login.menu_login_session")
        self.assertEqual(menu.parent_id, self.env.ref("base.menu_users"))
        menus = self.env["ir.ui.menu"]
        self.assertIn(menu.id, menus.with_user(self.manager)._visible_menu_ids())
        self.assertNotIn(menu.id, menus.with_user(self.user)._visible_menu_ids())

    def test_form_of_a_user(self):
        """It has a button that leads to the user's logins, and a hint where Odoo itself allows one session."""
        self.add()
        self.add()
        user = self.user.with_user(self.manager)
        self.assertEqual(user.login_session_count, 2)
        with Form(user, "base.view_users_form") as form:
            self.assertFalse(form.signs_in_with_oauth)
        if "oauth_uid" not in user._fields:
            self.fail("the test needs the module auth_oauth")
        user.oauth_uid = "ada"
        with Form(user, "base.view_users_form") as form:
            self.assertTrue(form.signs_in_with_oauth)
        arch = user.get_view(self.env.ref("base.view_users_form").id)["arch"]
        action = self.env.ref("op_single_session_login.action_login_session")
        self.assertRegex(arch, rf'<button[^>]*name="{action.id}"')
        with self.assertRaises(AccessError):
            self.user.with_user(self.user).read(["login_session_count"])

    def test_only_over_http(self):
        with self.assertRaises(UserError):
            self.add(stored=True).action_end()


@tagged("post_install", "-at_install")
class TestEndSession(SingleSessionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manager = new_test_user(cls.env, "max", groups="base.group_erp_manager", password=PASSWORD)

    def call(self, device, model, method, *args, **kwargs):
        path = f"/web/dataset/call_kw/{model}/{method}"
        return device.rpc(path, model=model, method=method, args=args, kwargs=kwargs)

    def end(self, administrator, *devices, logins=None, identity_checked=True):
        """Press *End session* with the logins of some devices selected, and return the decoded answer."""
        if identity_checked:
            session = administrator.stored_session
            session["identity-check-last"] = time.time()
            root.session_store.save(session)
        logins = logins or self.logins.union(*(self.logins_of(device) for device in devices))
        return self.call(administrator, "op.single.session.login", "action_end", logins.ids)

    def prove_identity(self, administrator, answer):
        """Give the password that the answer asks for, and return what comes of it."""
        model, check = answer["result"]["res_model"], answer["result"]["res_id"]
        self.assertEqual(model, "res.users.identitycheck")
        if "password" in self.env[model]._fields:  # up to 18.0
            self.call(administrator, model, "write", [check], {"password": PASSWORD})
        return self.call(administrator, model, "run_check", [check], context={"password": PASSWORD})

    def assertRefused(self, exception, message, *arguments, **options):
        with mute_logger("odoo.http"):
            answer = self.end(*arguments, **options)
        self.assertIn(exception, answer["error"]["data"]["name"])
        self.assertIn(message, answer["error"]["data"]["message"])

    def test_end(self):
        device, administrator = self.login(), self.login(self.manager)
        answer = self.end(administrator, device)
        self.assertEqual(answer["result"]["params"]["message"], "Sessions ended: 1")
        login = self.logins_of(device)
        self.assertEqual((login.state, login.ended_by), ("administrator", self.manager.name))
        self.assertEqual(login.ended_date, login.revoked_date)
        self.assertLess(fields.Datetime.now() - login.revoked_date, timedelta(minutes=1))
        self.assertEnded(device)
        self.assertAlive(administrator)
        self.assertAlive(self.login())

    def test_several(self):
        self.user.allow_multiple_sessions = True
        devices = [self.login() for _ in range(3)]
        administrator = self.login(self.manager)
        answer = self.end(administrator, *devices[:2])
        self.assertEqual(answer["result"]["params"]["message"], "Sessions ended: 2")
        self.assertEnded(*devices[:2])
        self.assertAlive(devices[2], administrator)

    def test_identity_is_checked(self):
        device, administrator = self.login(), self.login(self.manager)
        answer = self.end(administrator, device, identity_checked=False)
        self.assertAlive(device)
        answer = self.prove_identity(administrator, answer)
        self.assertEqual(answer["result"]["params"]["message"], "Sessions ended: 1")
        self.assertEnded(device)

    def test_login_before_the_password(self):
        """A login that comes before the administrator's password is what ended the session."""
        device, administrator = self.login(), self.login(self.manager)
        answer = self.end(administrator, device, identity_checked=False)
        self.login()
        with mute_logger("odoo.http"):
            answer = self.prove_identity(administrator, answer)
        self.assertIn("None of these sessions is active", answer["error"]["data"]["message"])
        self.assertFalse(self.logins_of(device).revoked)

    def test_not_by_others(self):
        device, other = self.login(), self.login(new_test_user(self.env, "bob", password=PASSWORD))
        self.assertRefused("AccessError", "Only administrators of users", other, device)
        self.assertAlive(device)

    def test_not_the_own_current_one(self):
        device, administrator = self.login(), self.login(self.manager)
        self.assertRefused("UserError", "the session you are using now", administrator, device, administrator)
        self.assertAlive(device, administrator)

    def test_another_one_of_the_administrator(self):
        self.manager.allow_multiple_sessions = True
        other, administrator = self.login(self.manager), self.login(self.manager)
        self.end(administrator, other)
        self.assertEnded(other)
        self.assertAlive(administrator)

    def test_those_that_are_over_are_left_alone(self):
        first, second, administrator = self.login(), self.login(), self.login(self.manager)
        answer = self.end(administrator, first, second)
        self.assertEqual(answer["result"]["params"]["message"], "Sessions ended: 1")
        self.assertFalse(self.logins_of(first).revoked)
        for devices in ([first], [second], [first, second], []):
            self.assertRefused("UserError", "None of these sessions is active", administrator, *devices)

    def test_signed_out(self):
        device, administrator = self.login(), self.login(self.manager)
        login = self.logins_of(device)
        device.request("/web/session/logout")
        self.assertRefused("UserError", "None of these sessions is active", administrator, logins=login)
        self.assertEqual(login.state, "gone")

    def test_whatever_becomes_of_its_file(self):
        device, administrator = self.login(), self.login(self.manager)
        session = device.stored_session
        self.end(administrator, device)
        root.session_store.save(session)
        self.assertEnded(device)

    def run_on_users(self, device, name, *users):
        """Choose an action for some users from the list's menu, and return the decoded answer."""
        action = self.env.ref(f"op_single_session_login.{name}")
        ids = [user.id for user in users]
        context = {"active_model": "res.users", "active_ids": ids, "active_id": ids[0]}
        return device.rpc("/web/action/run", action_id=action.id, context=context)

    def test_box_in_bulk(self):
        users = [new_test_user(self.env, name) for name in ("bob", "cleo", "dora")]
        users[0].allow_multiple_sessions = True
        device = self.login(self.manager)
        for name, allowed, changed in (
            ("action_allow_multiple_sessions", True, 2),
            ("action_allow_multiple_sessions", True, 0),
            ("action_disallow_multiple_sessions", False, 3),
        ):
            answer = self.run_on_users(device, name, *users)
            self.assertEqual(answer["result"]["params"]["message"], f"Users changed: {changed}")
            self.assertEqual([user.allow_multiple_sessions for user in users], [allowed] * 3)

    def test_nobody_gives_himself_the_box_in_bulk(self):
        device = self.login()
        for name in ("action_allow_multiple_sessions", "action_disallow_multiple_sessions"):
            with mute_logger("odoo.http", "odoo.addons.base.models.ir_actions"):
                answers = [
                    self.run_on_users(device, name, self.user),
                    self.call(device, "res.users", name, self.user.ids),
                ]
            for answer in answers:
                self.assertIn("AccessError", answer["error"]["data"]["name"])
            binding = self.env.ref(f"op_single_session_login.{name}")
            self.assertEqual((binding.binding_model_id.model, binding.binding_view_types), ("res.users", "list"))
        self.assertFalse(self.user.allow_multiple_sessions)

    def test_person_is_told(self):
        """When, in the person's time zone and language; not to change the password."""
        self.env["res.lang"]._activate_lang("fr_FR")
        self.user.write({"lang": "fr_FR", "tz": "Asia/Tokyo"})
        device = self.login()
        self.end(self.login(self.manager), device)
        self.logins_of(device).revoked_date = "2026-11-23 22:05:06"
        self.login()
        answer = json.loads(device.request("/op_single_session_login/status").text)
        self.assertEqual(answer["state"], "ended")
        self.assertRegex(answer["message"], "^Un administrateur y a mis fin : \u2068.*24.*0?7:05:06.*\u2069\\.$")
        page = device.request("/web/login").text
        self.assertEqual(page.count(ENDED_BY_ADMINISTRATOR), 1)
        self.assertNotIn("change your password", page)
        self.assertNotIn(ENDED_BY_ADMINISTRATOR, device.request("/web/login").text)

    def test_person_of_another_end_is_told_of_the_login(self):
        first, second = self.login(), self.login()
        self.end(self.login(self.manager), second)
        message = json.loads(first.request("/op_single_session_login/status").text)["message"]
        self.assertIn("signed in on another device", message)

    def test_login_page_says_that_a_login_may_be_anothers(self):
        first = self.login()
        self.login()
        self.assertIn("change your password", re.sub(r"\s+", " ", first.request("/web/login").text))
