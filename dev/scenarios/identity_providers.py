"""Identity providers for OAuth and SAML that log in without asking the user, on free ports of 127.0.0.1.

Each yields a script for Odoo's shell that makes it the provider of its only user.
"""

import contextlib
import json
import os
import secrets
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from browsers import Handler, serving

from servers import ENVIRONMENT, shell


class OAuthHandler(Handler):
    """Sends every browser back with a new token of its only user."""

    def do_GET(self):  # noqa: N802 the name comes from http.server
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        if parts.path == "/authorize":
            token = f"{self.server.user}-{secrets.token_hex(8)}"
            answer = urlencode({"access_token": token, "state": query["state"]})
            self.answer(303, {"Location": f"{query['redirect_uri']}#{answer}"})
        else:
            body = json.dumps({"user_id": query["access_token"].rpartition("-")[0]}).encode()
            self.answer(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
            self.wfile.write(body)


@contextlib.contextmanager
def oauth_provider(user, **values):
    with serving(OAuthHandler) as server:
        server.user = user
        url = f"http://127.0.0.1:{server.server_port}"
        values.update(name="Here", body="Here", client_id="odoo", enabled=True, scope="openid")
        values.update(auth_endpoint=f"{url}/authorize", validation_endpoint=f"{url}/validate")
        yield shell("oauth_provider", values=values, login=user)


@contextlib.contextmanager
def saml_provider(user, odoo):
    command = [ENVIRONMENT.python, Path(__file__).with_name("saml_provider.py"), user, odoo]
    environ = {**os.environ, "PYTHONPATH": str(ENVIRONMENT.packages)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            values = json.loads(process.stdout.readline())
            values.update(name="Here", body="Here", entity_id="odoo", autoredirect=True, sig_alg="SIG_RSA_SHA256")
            yield shell("saml_provider", values=values, login=user)
        finally:
            process.terminate()
