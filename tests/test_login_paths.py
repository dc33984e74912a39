import base64
import hashlib
import hmac
import json
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest.mock import patch
from urllib.parse import urlencode

from odoo.tests.common import HOST, tagged

from odoo.addons.web.controllers.home import Home

from .common import PASSWORD, Device, SingleSessionCase, require_module

SECRET = base64.b32encode(b"twenty bytes of it..").decode()


def totp_code(secret=SECRET):
    """Return the code that an authenticator app shows now (RFC 6238)."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    return f"{(struct.unpack_from('>I', digest, offset)[0] & 0x7FFFFFFF) % 10**6:06}"


class LoginPathCase(SingleSessionCase):
    """Logins with modules of Odoo."""

    module = None

    def setUp(self):
        super().setUp()
        require_module(self, self.module)

    def assertNewestWins(self, first, second):
        self.assertEqual((len(self.logins_of(first)), len(self.logins_of(second))), (1, 1))
        self.assertEnded(first)
        self.assertAlive(second)


@tagged("post_install", "-at_install")
class TestTotp(LoginPathCase):
    module = "auth_totp"

    def setUp(self):
        super().setUp()
        # sudo - res.users: no user may read the secret
        self.user.sudo().totp_secret = SECRET
        self.device = self.login_with_code()

    def post_code(self, device, **values):
        if "totp_last_counter" in self.user:
            # sudo - res.users: no user may read it; on 19.0, a code works only once
            self.user.sudo().totp_last_counter = False
        return device.post_form("/web/login/totp", totp_token=totp_code(), **values)

    def login_with_code(self, **values):
        device = self.login()
        self.assertEqual(self.post_code(device, **values).status_code, 303)
        return device

    def test_code(self):
        self.assertNewestWins(self.device, self.login_with_code())

    def test_password_alone_ends_no_session(self):
        device = self.login()
        self.assertAlive(self.device)
        self.assertFalse(self.is_alive(device))

    def test_second_factor_needs_a_new_cookie(self):
        """After the password, the browser gets a new cookie, which a thief of the old one does not have."""
        self.login_with_code()
        ended, thief = dict(self.device.cookies), Device(self)
        for enter_password in (self.login, self.json_password):
            self.device.cookies, thief.cookies = dict(ended), dict(ended)
            enter_password(device=self.device)
            self.assertEqual(self.device.request("/web/login/totp").status_code, 200)
            self.assertIn("/web/login", thief.request("/web/login/totp").headers["Location"])

    def test_wrong_code_ends_no_session(self):
        device = self.login()
        device.post_form("/web/login/totp", totp_token="000000")
        device.post_form("/web/login/totp", totp_token="not a code")
        self.assertAlive(self.device)
        self.assertFalse(self.is_alive(device))

    def test_login_that_fails_after_the_code(self):
        """The error page of a website route saves the session of the login, which is then refused."""
        require_module(self, "http_routing")
        failing = self.login()
        with (
            patch.object(Home, "_login_redirect", side_effect=ValueError("after authentication")),
            self.assertLogs("odoo.http", "ERROR"),
        ):
            response = self.post_code(failing)
        self.assertEqual(response.status_code, 500)
        self.assertEqual(failing.stored_session.get("uid"), self.user.id)
        self.assertFalse(self.logins_of(failing))
        self.assertAlive(self.device)
        self.assertFalse(self.is_alive(failing))

    def json_password(self, device):
        answer = device.rpc(
            "/web/session/authenticate", db=self.env.cr.dbname, login=self.user.login, password=PASSWORD
        )
        self.assertIsNone(answer["result"]["uid"])

    def test_json_password_alone_ends_no_session(self):
        self.json_password(Device(self))
        self.assertAlive(self.device)

    def test_trusted_device(self):
        trusted = self.login_with_code(remember="1")
        self.assertEnded(self.device)
        other = self.login_with_code()
        self.assertEnded(trusted)
        del trusted.cookies["session_id"]
        again = self.login(device=trusted)
        self.assertEqual(again.request("/web/login/totp").status_code, 303)
        self.assertNewestWins(other, again)


@tagged("post_install", "-at_install")
class TestSignup(LoginPathCase):
    module = "auth_signup"

    def test_signup(self):
        self.env["ir.config_parameter"].set_param("auth_signup.invitation_scope", "b2c")
        first = Device(self)
        first.post_form(
            "/web/signup", login="new@example.com", name="New", password=PASSWORD, confirm_password=PASSWORD
        )
        user = self.env["res.users"].search([("login", "=", "new@example.com")])
        self.assertTrue(user.share)
        self.assertAlive(first)
        self.assertNewestWins(first, self.login(user))

    def test_bypass_is_not_copied_from_the_template(self):
        self.env["ir.config_parameter"].set_param("auth_signup.invitation_scope", "b2c")
        self.env.ref("base.template_portal_user_id").allow_multiple_sessions = True
        Device(self).post_form(
            "/web/signup",
            login="new@example.com",
            name="New",
            password=PASSWORD,
            confirm_password=PASSWORD,
            allow_multiple_sessions="1",
        )
        user = self.env["res.users"].search([("login", "=", "new@example.com")])
        self.assertTrue(user)
        self.assertFalse(user.allow_multiple_sessions)

    def test_reset_password(self):
        """The link in the mail: 17.0 and 18.0 log the user in, 19.0 does not."""
        partner = self.user.partner_id
        partner.signup_prepare(signup_type="reset")
        token = partner._generate_signup_token() if hasattr(partner, "_generate_signup_token") else partner.signup_token
        device = Device(self)
        device.post_form(
            f"/web/reset_password?token={token}",
            login=self.user.login,
            name=self.user.name,
            password=PASSWORD + "!",
            confirm_password=PASSWORD + "!",
            token=token,
        )
        self.assertEqual(len(self.logins_of(device)), int(self.is_alive(device)))
        self.assertNewestWins(self.login(password=PASSWORD + "!"), self.login(password=PASSWORD + "!"))


class OAuthProvider(BaseHTTPRequestHandler):
    """An OAuth provider with one user."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"sub": "ada at the provider"}).encode())

    def log_message(self, *args):
        """Print nothing."""


@tagged("post_install", "-at_install")
class TestOAuth(LoginPathCase):
    module = "auth_oauth"

    def setUp(self):
        super().setUp()
        server = HTTPServer((HOST, 0), OAuthProvider)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://{HOST}:{server.server_port}/"
        self.provider = self.env["auth.oauth.provider"].create(
            {"name": "Local", "body": "Local", "auth_endpoint": url, "validation_endpoint": url, "enabled": True}
        )
        self.user.write({"oauth_provider_id": self.provider.id, "oauth_uid": "ada at the provider"})

    def oauth_login(self, access_token):
        device = Device(self)
        state = json.dumps({"d": self.env.cr.dbname, "p": self.provider.id})
        device.request("/auth_oauth/signin?" + urlencode({"access_token": access_token, "state": state}))
        return device

    def test_oauth(self):
        first = self.oauth_login("one")
        self.assertAlive(first)
        self.assertNewestWins(first, self.oauth_login("two"))

    def test_oauth_and_password_end_each_other(self):
        first = self.login()
        second = self.oauth_login("one")
        self.assertNewestWins(first, second)
        self.assertNewestWins(second, self.login())


@tagged("post_install", "-at_install")
class TestPasskey(LoginPathCase):
    module = "auth_passkey"

    def setUp(self):
        super().setUp()
        from cryptography.hazmat.primitives.asymmetric import ec

        self.key = ec.generate_private_key(ec.SECP256R1())
        passkey = self.env["auth.passkey.key"].create({"name": "Key", "credential_identifier": "a2V5"})
        self.env.cr.execute(
            "UPDATE auth_passkey_key SET create_uid = %s, public_key = %s WHERE id = %s",
            (self.user.id, base64.urlsafe_b64encode(self.cose_key()).decode(), passkey.id),
        )
        self.env.registry.clear_cache()

    def cose_key(self):
        import cbor2

        numbers = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})

    def sign(self, challenge):
        """Answer a challenge as a security key does (WebAuthn, section 7.2)."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        def encode(data):
            return base64.urlsafe_b64encode(data).decode().rstrip("=")

        client_data = json.dumps({"type": "webauthn.get", "challenge": challenge, "origin": self.base_url()}).encode()
        user_present_and_verified = 0b101
        authenticator_data = hashlib.sha256(HOST.encode()).digest() + bytes([user_present_and_verified]) + bytes(4)
        signature = self.key.sign(authenticator_data + hashlib.sha256(client_data).digest(), ec.ECDSA(hashes.SHA256()))
        return {
            "id": "a2V5",
            "rawId": "a2V5",
            "type": "public-key",
            "response": {
                "authenticatorData": encode(authenticator_data),
                "clientDataJSON": encode(client_data),
                "signature": encode(signature),
            },
        }

    def passkey_login(self):
        device = Device(self)
        device.request("/web/login")
        challenge = device.rpc("/auth/passkey/start-auth")["result"]["challenge"]
        answer = json.dumps(self.sign(challenge))
        response = device.post_form("/web/login", password="", type="webauthn", webauthn_response=answer)
        self.assertEqual(response.status_code, 303)
        return device

    def test_passkey(self):
        first = self.passkey_login()
        self.assertAlive(first)
        self.assertNewestWins(first, self.passkey_login())
