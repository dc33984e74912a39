from odoo.tests import HttpCase, tagged

SUITE = "@op_single_session_login"


@tagged("post_install", "-at_install")
class TestBrowser(HttpCase):
    def test_service_in_the_browser(self):
        """Run the Hoot tests of static/tests."""
        self.browser_js(
            f"/web/tests?headless&loglevel=2&preset=desktop&timeout=15000&id={self.hash_of(SUITE)}",
            "",
            login="admin",
            timeout=300,
            success_signal="[HOOT] Test suite succeeded",
            error_checker=lambda message: "[HOOT]" not in message,
        )

    @staticmethod
    def hash_of(name):
        """Return what Hoot calls a suite in its address (``generateHash`` in Hoot's core)."""
        digest = 0
        for character in name:
            digest = (digest * 31 + ord(character)) & 0xFFFFFFFF
        return f"{digest:08x}"
