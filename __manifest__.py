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
        "views/login_session_views.xml",
        "views/res_users_views.xml",
        "views/webclient_templates.xml",
    ],
    "images": ["static/description/banner.png"],
    "assets": {
        "web.assets_backend": ["op_single_session_login/static/src/**/*"],
        "web.assets_frontend": ["op_single_session_login/static/src/**/*"],
        "web.assets_unit_tests": ["op_single_session_login/static/tests/**/*"],
    },
    "post_init_hook": "_adopt_sessions",
    "uninstall_hook": "_remove_parameters",
}
