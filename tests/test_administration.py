import ast
import json
import re
import time
from datetime import timedelta

from odoo import Command, fields
from odoo.exceptions import AccessError, UserError
from odoo.http import root
from odoo.tests import Form
from odoo.tests.common import TransactionCase, new_test_user, tagged
from odoo.tools import mute_logger

from .common import PASSWORD, SingleSessionCase, get_identifier, require_module

ENDED_BY_ADMINISTRATOR = "An administrator ended this session"


@tagged("post_install", "-at_install")
class TestLists(TransactionCase):
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
        values.setdefault("login_date", fields.Datetime.now())
        # sudo - op.single.session.login: no user may write the login log
        return self.logins.sudo().create(values).with_user(self.manager)

    def test_open(self):
        """A session is open as long as no end is recorded."""
        now = fields.Datetime.now()
        ended = self.add(exclusive=True, end_reason="newer_login", end_date=now)
        is_open = self.add(exclusive=True)
        domain = [("user_id", "=", self.user.id)]
        [view] = self.env["op.single.session.login"].get_views([(False, "search")])["views"].values()
        filters = dict(re.findall(r'<filter name="(open|ended)"[^>]* domain="([^"]+)"', view["arch"]))
        self.assertEqual(self.logins.search([*domain, *ast.literal_eval(filters["open"])]), is_open)
        self.assertEqual(self.logins.search([*domain, *ast.literal_eval(filters["ended"])]), ended)

    def test_users_whom_one_may_not_see(self):
        """A manager does not see the logins of another company's portal user, and can't end them."""
        other = self.env["res.company"].create({"name": "Other"})
        companies = {"company_id": other.id, "company_ids": [Command.set(other.ids)]}
        foreign = new_test_user(self.env, "pia", groups="base.group_portal", **companies)
        colleague = new_test_user(self.env, "kim", **companies)
        entries = self.add(foreign) + self.add(colleague) + self.add()
        self.assertEqual(self.logins.search([("id", "in", entries.ids)]), entries[2] + entries[1])
        with self.assertRaises(AccessError):
            entries[0].read(["ip_address"])
        with self.assertRaises(AccessError):
            foreign.with_user(self.manager).action_end_all_sessions()

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

    def test_sort_and_group_by_reason(self):
        for reason in ("newer_login", "expired", "newer_login", False):
            self.add(end_reason=reason)
        domain = [("user_id", "=", self.user.id)]
        groups = self.logins._read_group(domain, ["end_reason"], ["__count"])
        self.assertEqual(dict(groups), {"expired": 1, "newer_login": 2, False: 1})
        found = self.logins.search(domain, order="end_reason")
        self.assertEqual(found.mapped("end_reason"), ["expired", "newer_login", "newer_login", False])

    def test_views(self):
        action = self.env.ref("op_single_session_login.op_single_session_login_action")
        modes = action.view_mode.split(",")
        self.assertEqual(len(modes), 3)
        for mode in [*modes, "search"]:
            self.logins.get_view(view_type=mode)
        arch = self.logins.get_view(view_type=modes[0])["arch"]
        for attribute in ("create", "edit", "delete", "import"):
            self.assertIn(f'{attribute}="0"', arch)
        self.assertIn("action_end", arch)
        self.assertNotIn("identifier", arch)

    def test_only_administrators_have_the_menu(self):
        menu = self.env.ref("op_single_session_login.op_single_session_login_menu")
        self.assertEqual(menu.parent_id, self.env.ref("base.menu_users"))
        menus = self.env["ir.ui.menu"]
        self.assertIn(menu.id, menus.with_user(self.manager)._visible_menu_ids())
        self.assertNotIn(menu.id, menus.with_user(self.user)._visible_menu_ids())

    def test_form_of_a_user(self):
        """It has a button that opens the user's entries, and a hint for users who log in with OAuth."""
        require_module(self, "auth_oauth")
        self.add()
        self.add()
        user = self.user.with_user(self.manager)
        self.assertEqual(user.login_session_count, 2)
        with Form(user, "base.view_users_form") as form:
            self.assertFalse(form.session_note)
        user.oauth_uid = "ada"
        with Form(user, "base.view_users_form") as form:
            self.assertIn("OAuth", form.session_note)
        arch = user.get_view(self.env.ref("base.view_users_form").id)["arch"]
        action = self.env.ref("op_single_session_login.op_single_session_login_action_user")
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
        """Click *End session* for the entries of some devices, and return the decoded answer."""
        if identity_checked:
            session = administrator.stored_session
            session["identity-check-last"] = time.time()
            root.session_store.save(session)
        logins = logins or self.logins.union(*(self.logins_of(device) for device in devices))
        return self.call(administrator, "op.single.session.login", "action_end", logins.ids)

    def prove_identity(self, administrator, answer):
        """Send the password that the answer asks for, and return the next answer."""
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
        self.assertEqual((login.end_reason, login.ended_by_user_id), ("administrator", self.manager))
        self.assertLess(fields.Datetime.now() - login.end_date, timedelta(minutes=1))
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
        """If the user logs in before the administrator enters the password, that login ended the session."""
        device, administrator = self.login(), self.login(self.manager)
        answer = self.end(administrator, device, identity_checked=False)
        self.login()
        self.clean_up()
        with mute_logger("odoo.http"):
            answer = self.prove_identity(administrator, answer)
        self.assertIn("None of the selected sessions is still active", answer["error"]["data"]["message"])
        self.assertNotEqual(self.logins_of(device).end_reason, "administrator")

    def test_only_administrators_may_end(self):
        device, other = self.login(), self.login(new_test_user(self.env, "bob", password=PASSWORD))
        self.assertRefused("AccessError", "Only users in the", other, device)
        self.assertAlive(device)

    def test_own_current_session_is_refused(self):
        device, administrator = self.login(), self.login(self.manager)
        self.assertRefused(
            "UserError", "Your current session can't be ended here", administrator, device, administrator
        )
        self.assertAlive(device, administrator)

    def test_other_session_of_the_administrator(self):
        self.manager.allow_multiple_sessions = True
        other, administrator = self.login(self.manager), self.login(self.manager)
        self.end(administrator, other)
        self.assertEnded(other)
        self.assertAlive(administrator)

    def test_ended_sessions_are_left_alone(self):
        first, second, administrator = self.login(), self.login(), self.login(self.manager)
        self.clean_up()
        answer = self.end(administrator, first, second)
        self.assertEqual(answer["result"]["params"]["message"], "Sessions ended: 1")
        self.assertNotEqual(self.logins_of(first).end_reason, "administrator")
        for devices in ([first], [second], [first, second], []):
            self.assertRefused("UserError", "None of the selected sessions is still active", administrator, *devices)

    def test_restored_file_is_refused(self):
        device, administrator = self.login(), self.login(self.manager)
        session = device.stored_session
        self.end(administrator, device)
        root.session_store.save(session)
        self.assertEnded(device)

    def end_all(self, administrator, *users):
        session = administrator.stored_session
        session["identity-check-last"] = time.time()
        root.session_store.save(session)
        return self.run_on_users(administrator, "action_end_all_sessions", *users)

    def test_end_all_sessions(self):
        """It also ends a session whose file is on another machine. The next login is not affected."""
        self.user.allow_multiple_sessions = True
        devices = [self.login() for _ in range(3)]
        elsewhere = devices[0].stored_session
        root.session_store.delete(elsewhere)
        administrator, other = self.login(self.manager), self.login(new_test_user(self.env, "bob", password=PASSWORD))
        answer = self.end_all(administrator, self.user)
        self.assertEqual(answer["result"]["params"]["message"], "Users whose sessions were ended: 1")
        root.session_store.save(elsewhere)
        self.assertEnded(*devices)
        self.assertAlive(administrator, other)
        page = devices[1].request("/web/login").text
        self.assertIn(ENDED_BY_ADMINISTRATOR, page)
        self.assertNotIn("change your password", page)
        self.assertAlive(self.login(), self.login())

    def test_end_all_sessions_is_for_administrators(self):
        device, administrator = self.login(), self.login(self.manager)
        for caller, users, exception in (
            (device, [self.user], "AccessError"),
            (administrator, [self.user, self.manager], "UserError"),
        ):
            with mute_logger("odoo.http", "odoo.addons.base.models.ir_actions"):
                answer = self.end_all(caller, *users)
            self.assertIn(exception, answer["error"]["data"]["name"])
        answer = self.run_on_users(self.login(self.manager), "action_end_all_sessions", self.user)
        self.assertEqual(answer["result"]["res_model"], "res.users.identitycheck")
        self.assertAlive(device)

    def run_on_users(self, device, name, *users):
        """Run an action of the list's menu for some users, and return the decoded answer."""
        action = self.env.ref(f"op_single_session_login.res_users_{name}")
        ids = [user.id for user in users]
        context = {"active_model": "res.users", "active_ids": ids, "active_id": ids[0]}
        return device.rpc("/web/action/run", action_id=action.id, context=context)

    def test_bypass_of_several_users(self):
        users = [new_test_user(self.env, name) for name in ("bob", "cleo", "dora")]
        users[0].allow_multiple_sessions = True
        device = self.login(self.manager)
        for name, allowed, changed in (
            ("action_allow_multiple_sessions", True, 2),
            ("action_allow_multiple_sessions", True, 0),
            ("action_require_single_session", False, 3),
        ):
            answer = self.run_on_users(device, name, *users)
            self.assertEqual(answer["result"]["params"]["message"], f"Users updated: {changed}")
            self.assertEqual([user.allow_multiple_sessions for user in users], [allowed] * 3)

    def test_own_bypass_of_several_users_is_refused(self):
        device = self.login()
        for name in ("action_allow_multiple_sessions", "action_require_single_session"):
            with mute_logger("odoo.http", "odoo.addons.base.models.ir_actions"):
                answers = [
                    self.run_on_users(device, name, self.user),
                    self.call(device, "res.users", name, self.user.ids),
                ]
            for answer in answers:
                self.assertIn("AccessError", answer["error"]["data"]["name"])
            binding = self.env.ref(f"op_single_session_login.res_users_{name}")
            self.assertEqual((binding.binding_model_id.model, binding.binding_view_types), ("res.users", "list"))
        self.assertFalse(self.user.allow_multiple_sessions)

    def test_user_is_notified(self):
        """The reason has the time in the user's time zone and language, and advises no new password."""
        self.env["res.lang"]._activate_lang("fr_FR")
        self.user.write({"lang": "fr_FR", "tz": "Asia/Tokyo"})
        device = self.login()
        self.end(self.login(self.manager), device)
        self.logins_of(device).end_date = "2026-11-23 22:05:06"
        self.login()
        answer = json.loads(device.request("/op_single_session_login/status").text)
        self.assertEqual(answer["state"], "ended")
        self.assertRegex(
            answer["message"], "^Un administrateur a mis fin à cette session \\(\u2068.*24.*0?7:05(?!:).*\u2069\\)\\.$"
        )
        page = device.request("/web/login").text
        self.assertEqual(page.count(ENDED_BY_ADMINISTRATOR), 1)
        self.assertNotIn("change your password", page)

    def test_user_of_another_end_is_notified_of_the_login(self):
        first, second = self.login(), self.login()
        self.end(self.login(self.manager), second)
        message = json.loads(first.request("/op_single_session_login/status").text)["message"]
        self.assertIn("used to log in on another device", message)

    def test_login_page_advises_a_new_password(self):
        first = self.login()
        self.login()
        self.assertIn("change your password", re.sub(r"\s+", " ", first.request("/web/login").text))
