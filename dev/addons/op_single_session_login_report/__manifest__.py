{
    "name": "Single Session Login: report",
    "summary": "Writes the result of each test in Odoo to a file, for the scenarios in dev/scenarios only",
    "author": "op_single_session_login contributors",
    "license": "LGPL-3",
    "depends": ["web"],
    "post_load": "_report",
}
