"""A SAML identity provider that logs every browser in as one user, on a free port. It prints its settings.

It runs in the environment of an Odoo, with pysaml2. Arguments: the user, and the address of that Odoo.
"""

import base64
import html
import json
import sys
import tempfile
from pathlib import Path

from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
from saml2.config import IdPConfig
from saml2.metadata import entity_descriptor
from saml2.saml import NAMEID_FORMAT_UNSPECIFIED, NameID
from saml2.server import Server
from werkzeug import Request, Response
from werkzeug.serving import make_server, make_ssl_devcert

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


class Provider:
    def __init__(self, folder, user, odoo):
        self.server = make_server("127.0.0.1", 0, self.answer, threaded=True)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.user, self.location = user, odoo + ACS
        self.certificate, self.key = map(Path, make_ssl_devcert(f"{folder}/provider", cn="provider"))
        certificate = "".join(self.certificate.read_text().splitlines()[1:-1])
        metadata = ODOO.format(certificate=certificate, binding=BINDING_HTTP_POST, location=self.location)
        settings = {
            "entityid": self.url,
            "service": {"idp": {"endpoints": {"single_sign_on_service": [(f"{self.url}/sso", BINDING_HTTP_REDIRECT)]}}},
            "metadata": {"inline": [metadata]},
            "key_file": str(self.key),
            "cert_file": str(self.certificate),
        }
        self.settings = IdPConfig().load(settings)
        self.saml = Server(config=self.settings)

    def answer(self, environ, start_response):
        """Answer every request with a form that sends itself to Odoo."""
        query = Request(environ).args
        asked = self.saml.parse_authn_request(query["SAMLRequest"], BINDING_HTTP_REDIRECT).message
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
        form = FORM.format(action=self.location, response=encoded, state=html.escape(query["RelayState"]))
        return Response(form, mimetype="text/html")(environ, start_response)

    def describe(self):
        """Return what Odoo must know about this provider. Both sign with the same key."""
        key, certificate = (base64.b64encode(path.read_bytes()).decode() for path in (self.key, self.certificate))
        metadata = str(entity_descriptor(self.settings))
        return {"idp_metadata": metadata, "sp_pem_private": key, "sp_pem_public": certificate}


with tempfile.TemporaryDirectory() as name:
    provider = Provider(name, *sys.argv[1:])
    print(json.dumps(provider.describe()), flush=True)
    provider.server.serve_forever()
