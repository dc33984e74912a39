"""A SAML identity provider that logs every browser in as one user, on a free port. It prints its settings.

It runs in the environment of an Odoo, with pysaml2. Arguments: the user, and the address of that Odoo.
"""

import base64
import datetime
import html
import json
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.backends import default_backend
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_UNSPECIFIED, NameID
from saml2.server import Server

ACS = "/auth_saml/signin"
# Odoo's metadata, as far as the provider needs them.
ODOO = """<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="odoo">
  <SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data>
      <X509Certificate>{certificate}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
    <AssertionConsumerService Binding="{binding}" Location="{location}" index="1"/>
  </SPSSODescriptor>
</EntityDescriptor>"""
FORM = """<form method="post" action="{action}">
<input type="hidden" name="SAMLResponse" value="{response}"/><input type="hidden" name="RelayState" value="{state}"/>
</form><script>document.forms[0].submit()</script>"""


def make_key(folder):
    """Write a new key and its certificate, and return their paths."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048, backend=default_backend())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "provider")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256(), default_backend())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(pem))
    return folder / "key.pem", folder / "certificate.pem"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        query = dict(parse_qsl(urlsplit(self.path).query))
        form = self.server.make_form(query["SAMLRequest"], query["RelayState"])
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(form.encode())

    def log_message(self, *arguments):
        pass


class Provider(ThreadingHTTPServer):
    def __init__(self, folder, user, odoo):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.user, self.location = user, odoo + ACS
        self.key, self.certificate = make_key(folder)
        certificate = "".join(self.certificate.read_text().splitlines()[1:-1])
        settings = {
            "entityid": self.url,
            "service": {"idp": {"endpoints": {"single_sign_on_service": [(f"{self.url}/sso", BINDING_HTTP_REDIRECT)]}}},
            "metadata": {
                "inline": [ODOO.format(certificate=certificate, binding=BINDING_HTTP_POST, location=self.location)]
            },
            "key_file": str(self.key),
            "cert_file": str(self.certificate),
        }
        self.settings = IdPConfig().load(settings)
        self.saml = Server(config=self.settings)

    def make_form(self, request, state):
        asked = self.saml.parse_authn_request(request, BINDING_HTTP_REDIRECT).message
        response = self.saml.create_authn_response(
            {},
            in_response_to=asked.id,
            destination=self.location,
            sp_entity_id="odoo",
            name_id=NameID(format=NAMEID_FORMAT_UNSPECIFIED, text=self.user),
            authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified", "authn_auth": self.url},
            sign_response=True,
            sign_assertion=True,
        )
        encoded = base64.b64encode(str(response).encode()).decode()
        return FORM.format(action=self.location, response=encoded, state=html.escape(state))

    def describe(self):
        """Return what Odoo must know about this provider. Both sign with the same key."""
        key, certificate = (base64.b64encode(path.read_bytes()).decode() for path in (self.key, self.certificate))
        metadata = str(entity_descriptor(self.settings))
        return {"metadata": metadata, "key": key, "certificate": certificate}


with tempfile.TemporaryDirectory() as name:
    provider = Provider(Path(name), *sys.argv[1:])
    print(json.dumps(provider.describe()), flush=True)
    provider.serve_forever()
