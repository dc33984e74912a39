"""Identity providers for OAuth and SAML that log in without asking the user, on free ports of 127.0.0.1."""

import contextlib
import json
import os
import secrets
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from servers import ENVIRONMENT, shell

SAML_PROVIDER = Path(__file__).with_name("saml_provider.py")


class OAuthHandler(BaseHTTPRequestHandler):
    """Sends every browser back with a new token of its only user."""

    def do_GET(self):
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        if parts.path == "/authorize":
            token = f"{self.server.user}-{secrets.token_hex(8)}"
            answer = urlencode({"access_token": token, "state": query["state"]})
            self.send_response(303)
            self.send_header("Location", f"{query['redirect_uri']}#{answer}")
            self.end_headers()
        else:
            body = json.dumps({"user_id": query["access_token"].rpartition("-")[0]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class OAuthProvider:
    """An OAuth provider for one user."""

    def __init__(self, user, **values):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), OAuthHandler)
        self.server.user = user
        self.values = values
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()

    def make_script(self):
        """Return a script for Odoo's shell that makes this the user's only provider."""
        values = {
            "name": "Here",
            "client_id": "odoo",
            "enabled": True,
            "auth_endpoint": f"{self.url}/authorize",
            "validation_endpoint": f"{self.url}/validate",
            "scope": "openid",
            "body": "Here",
            **self.values,
        }
        return shell("oauth_provider", values=values, login=self.server.user)


class SamlProvider:
    """A SAML provider for one user."""

    def __init__(self, user, url):
        self.user = user
        self.command = [ENVIRONMENT.python, SAML_PROVIDER, user, url]

    def __enter__(self):
        environ = {**os.environ, "PYTHONPATH": str(ENVIRONMENT.packages)}
        self.process = subprocess.Popen(self.command, env=environ, stdout=subprocess.PIPE, text=True)
        self.settings = json.loads(self.process.stdout.readline())
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)

    def make_script(self):
        """Return a script for Odoo's shell that makes the user log in here, without a click."""
        values = {
            "name": "Here",
            "body": "Here",
            "entity_id": "odoo",
            "autoredirect": True,
            "sig_alg": "SIG_RSA_SHA256",
            "idp_metadata": self.settings["metadata"],
            "sp_pem_public": self.settings["certificate"],
            "sp_pem_private": self.settings["key"],
        }
        return shell("saml_provider", values=values, login=self.user)
