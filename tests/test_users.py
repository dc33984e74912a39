from odoo.exceptions import AccessError
from odoo.tests import Form
from odoo.tests.common import TransactionCase, new_test_user, tagged


@tagged("post_install", "-at_install")
class TestAllowMultipleSessions(TransactionCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = new_test_user(cls.env, "ada")
        cls.portal = new_test_user(cls.env, "pia", groups="base.group_portal")
        cls.manager = new_test_user(cls.env, "max", groups="base.group_erp_manager")

    def test_unchecked_by_default(self):
        self.assertFalse(self.user.allow_multiple_sessions)

    def test_administrator_checks_it_on_the_form(self):
        with Form(self.user.with_user(self.manager), "base.view_users_form") as form:
            form.allow_multiple_sessions = True
        self.assertTrue(self.user.allow_multiple_sessions)

    def test_administrator_finds_the_users(self):
        self.user.allow_multiple_sessions = True
        users = self.env["res.users"].with_user(self.manager)
        self.assertEqual(users.search([("allow_multiple_sessions", "=", True)]), self.user)
        self.assertIn(self.portal, users.search([("allow_multiple_sessions", "=", False)]))

    def test_only_administrators_see_it_in_views(self):
        for user, shown in ((self.manager, True), (self.user, False)):
            users = self.env["res.users"].with_user(user)
            for view in ("base.view_users_form", "base.view_users_tree", "base.view_users_search"):
                arch = users.get_view(self.env.ref(view).id)["arch"]
                self.assertEqual("allow_multiple_sessions" in arch, shown, f"{view} for {user.login}")

    def test_users_cannot_check_their_own(self):
        for user in (self.user, self.portal):
            own = user.with_user(user)
            with self.assertRaises(AccessError):
                own.write({"allow_multiple_sessions": True})
            with self.assertRaises(AccessError):
                own.create({"name": "Twin", "login": "twin", "allow_multiple_sessions": True})
            result = own.load([".id", "allow_multiple_sessions"], [[str(user.id), "1"]])
            self.assertFalse(result["ids"])
        self.assertFalse((self.user | self.portal).filtered("allow_multiple_sessions"))

    def test_users_cannot_read_it(self):
        own = self.user.with_user(self.user)
        with self.assertRaises(AccessError):
            own.read(["allow_multiple_sessions"])
        with self.assertRaises(AccessError):
            own.search([("allow_multiple_sessions", "=", True)])
        self.assertNotIn("allow_multiple_sessions", own.fields_get())

    def test_default_does_not_reach_a_sudo_create(self):
        users = self.env["res.users"].with_user(self.user).with_context(default_allow_multiple_sessions=True)
        # sudo - res.users: as the portal's invitation creates users
        self.assertFalse(users.sudo().create({"name": "Twin", "login": "twin"}).allow_multiple_sessions)
        self.env["ir.default"].set("res.users", "allow_multiple_sessions", True)
        self.assertFalse(self.env["res.users"].create({"name": "Twin", "login": "triplet"}).allow_multiple_sessions)

    def test_copy_is_unchecked(self):
        self.user.allow_multiple_sessions = True
        self.assertFalse(self.user.copy().allow_multiple_sessions)
