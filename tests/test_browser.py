import re

from odoo.tests import HttpCase, tagged
from odoo.tools.misc import file_open

SUITE = "@op_single_session_login"


@tagged("post_install", "-at_install")
class TestBrowser(HttpCase):
    def test_service_in_the_browser(self):
        """Run the Hoot tests of static/tests."""
        success_signal = self.find_success_signal()
        suite = self.hash_of(SUITE)
        # The parameter is "suite" in the first Hoot of 18.0, and "id" in later ones.
        self.browser_js(
            f"/web/tests?headless&loglevel=2&preset=desktop&timeout=15000&id={suite}&suite={suite}",
            "",
            login="admin",
            timeout=300,
            success_signal=success_signal,
            error_checker=lambda message: "[HOOT]" not in message,
        )

    def find_success_signal(self):
        """Return Hoot's message about success. It differs between 18.0 and 19.0."""
        try:
            with file_open("web/static/lib/hoot/core/runner.js") as runner:
                return "[HOOT] " + re.search("[Tt]est suite succeeded", runner.read()).group()
        except FileNotFoundError:
            self.skipTest("not in this Odoo: Hoot")

    @staticmethod
    def hash_of(name):
        """Return the id of a suite in Hoot's URL (``generateHash`` in Hoot's core)."""
        digest = 0
        for character in name:
            digest = (digest * 31 + ord(character)) & 0xFFFFFFFF
        return f"{digest:08x}"
