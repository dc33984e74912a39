{
    "name": "Single Session Login: SAML",
    "summary": "What lets OCA's auth_saml run on Debian's Odoo 19, for the scenarios in dev/scenarios only",
    "author": "op_single_session_login contributors",
    "license": "LGPL-3",
    "depends": ["web"],
}
