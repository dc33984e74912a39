from odoo import http

# OCA's auth_saml takes it from Odoo's newest 19.0; Debian's does not have it yet. It is for providers that
# answer in the address.
if not hasattr(http, "fragment_to_query_string"):
    http.fragment_to_query_string = lambda route: route
