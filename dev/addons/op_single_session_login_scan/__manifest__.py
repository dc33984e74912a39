{
    "name": "Single Session Login: scan",
    "summary": "What this addon does not do: reads all session files at each login, for dev/bench to compare",
    "author": "op_single_session_login contributors",
    "license": "LGPL-3",
    "depends": ["op_single_session_login_load"],
}
