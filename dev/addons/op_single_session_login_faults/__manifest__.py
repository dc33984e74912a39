{
    "name": "Single Session Login: faults",
    "summary": "Faults on request, for the scenarios in dev/scenarios only",
    "author": "op_single_session_login contributors",
    "license": "LGPL-3",
    "depends": ["op_single_session_login", "portal"],
    "post_load": "_strip_session_store",
}
