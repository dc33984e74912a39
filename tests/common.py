import json
import re

from odoo.http import root
from odoo.tests.common import HOST, HttpCase, new_test_user
from odoo.tools import SQL

from odoo.addons.op_single_session_login.models.session_store import BOND

PASSWORD = "correct horse battery"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def get_identifier(sid):
    """Return the identifier of a session id: 42 characters, as Odoo stores, or half of a shorter id."""
    return sid[: min(len(sid) // 2, 42)]


class Device:
    """A browser with its own cookies, which sends real HTTP requests."""

    def __init__(self, case, user_agent=FIREFOX, headers=()):
        self.case = case
        self.headers = {"User-Agent": user_agent, **dict(headers)}
        self.cookies = {}

    @property
    def sid(self):
        return self.cookies.get("session_id")

    @property
    def identifier(self):
        return get_identifier(self.sid)

    @property
    def stored_session(self):
        """The stored session, empty if there is none."""
        return root.session_store.get(self.sid)

    def request(self, url, data=None, headers=None):
        """Send a request, a POST if there is data. Do not follow redirections."""
        jar = self.case.opener.cookies
        self._forget(jar)
        for name, value in self.cookies.items():
            jar.set(name, value, domain=HOST)
        headers = {**self.headers, **(headers or {})}
        response = self.case.url_open(url, data=data, headers=headers, allow_redirects=False)
        self.cookies.update((cookie.name, cookie.value) for cookie in response.cookies)
        self._forget(jar)
        return response

    @staticmethod
    def _forget(jar):
        """Empty the test's cookie jar, except for the cookie that Odoo's runner needs."""
        for cookie in list(jar):
            if cookie.name != "test_request_key":
                jar.clear(cookie.domain, cookie.path, cookie.name)

    def rpc(self, url, **params):
        """Send a JSON-RPC request and return the decoded answer, which may be an error."""
        payload = json.dumps({"jsonrpc": "2.0", "method": "call", "id": 0, "params": params})
        return self.request(url, data=payload, headers={"Content-Type": "application/json"}).json()

    def post_form(self, url, **values):
        """Fill in and send the form of a page, as a user does."""
        page = self.request(url)
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"|csrf_token: "([^"]+)"', page.text)
        return self.request(url, data=dict(values, csrf_token=token.group(1) or token.group(2)))


def require_module(case, name):
    """Skip a test that needs a module which is not installed."""
    if name not in case.env.registry._init_modules:
        case.skipTest(f"not in this Odoo: {name}")


class SingleSessionCase(HttpCase):
    """Logins through real HTTP, each device with its own cookies."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.user = new_test_user(cls.env, "ada", password=PASSWORD)
        cls.logins = cls.env["op.single.session.login"]

    def setUp(self):
        super().setUp()
        self.authenticate(None, None)  # the runner's own session has no user

    def login(self, user=None, device=None, password=PASSWORD):
        """Log in at the login page, on a new device unless one is given."""
        device = device or Device(self)
        response = device.post_form("/web/login", login=(user or self.user).login, password=password)
        self.assertEqual(response.status_code, 303, "the login was not accepted")
        return device

    def json_login(self, user=None, device=None):
        """Log in at ``/web/session/authenticate``, on a new device unless one is given."""
        device = device or Device(self)
        answer = device.rpc(
            "/web/session/authenticate", db=self.env.cr.dbname, login=(user or self.user).login, password=PASSWORD
        )
        self.assertEqual(answer["result"]["uid"], (user or self.user).id)
        return device

    def ask(self, device):
        """Send a call that needs a logged-in user, and return the decoded JSON-RPC answer."""
        url = "/web/dataset/call_kw/res.users/context_get"
        return device.rpc(url, model="res.users", method="context_get", args=[], kwargs={})

    def is_alive(self, device):
        return bool(self.ask(device).get("result", {}).get("uid"))

    def assertAlive(self, *devices):
        for number, device in enumerate(devices):
            self.assertTrue(self.is_alive(device), f"device {number} of {len(devices)} was logged out")

    def assertEnded(self, *devices):
        """Check that the devices are refused as expired sessions are, in calls and on pages."""
        for number, device in enumerate(devices):
            sent = dict(device.cookies)
            self.assertIn(
                "SessionExpiredException", str(self.ask(device)), f"device {number} of {len(devices)} is logged in"
            )
            device.cookies = sent
            self.assertIn("/web/login", device.request("/web").headers.get("Location", ""))
            device.cookies = sent

    def logins_of(self, device):
        return self.logins.search([("identifier", "=", device.identifier)])

    def open_unregistered_session(self, user=None, device=None):
        """Return a device with a session that no login has registered, as from before the installation."""
        device = device or self.login(user)
        self.logins_of(device).unlink()
        session = device.stored_session
        del session[BOND]
        root.session_store.save(session)
        return device

    def clean_up(self, users=None):
        """Record the ends of sessions, as after a commit: tests commit nothing."""
        self.logins._record_older(SQL("user_id = ANY(%s)", (users or self.user).ids))
