{
    "name": "Single Session Login: automatic login",
    "summary": "A login page that logs in whatever it is asked, for the scenarios in dev/scenarios only",
    "author": "op_single_session_login contributors",
    "license": "LGPL-3",
    "depends": ["op_single_session_login", "auth_oauth"],
}
