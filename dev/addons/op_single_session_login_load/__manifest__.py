{
    "name": "Single Session Login: load",
    "summary": "Passwords that cost next to nothing, for dev/bench and dev/storm only",
    "author": "op_single_session_login contributors",
    "license": "LGPL-3",
    "depends": ["bus", "portal"],
}
