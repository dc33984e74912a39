{
    "name": "Single Session Login: query",
    "summary": "The cheapest query there is in place of the session check's, for dev/bench to compare",
    "author": "op_single_session_login contributors",
    "license": "LGPL-3",
    "depends": ["op_single_session_login_load"],
}
