{
    "name": "Single Session Login",
    "summary": "One active session per user: the newest login ends the others",
    "version": "1.0.0",
    "category": "Administration",
    "author": "op_single_session_login contributors",
    "license": "LGPL-3",
    "depends": ["web", "bus"],
    "data": [
        "security/ir.model.access.csv",
        "views/res_users_views.xml",
    ],
    "post_init_hook": "_adopt_sessions",
}
