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
        "security/op_single_session_login_security.xml",
        "views/op_single_session_login_views.xml",
        "views/res_users_views.xml",
        "views/webclient_templates.xml",
    ],
    "application": True,
    "images": ["static/description/banner.png"],
    "assets": {
        "web.assets_backend": ["op_single_session_login/static/src/**/*"],
        "web.assets_frontend": ["op_single_session_login/static/src/**/*"],
        # Bundles that are pages of their own. The module loader comes first: these files may stand before the
        # others of the bundle.
        "mail.assets_public": [
            "web/static/src/module_loader.js",
            "op_single_session_login/static/src/single_session_*",
        ],
        "point_of_sale._assets_pos": [
            "web/static/src/module_loader.js",
            "op_single_session_login/static/src/single_session_*",
        ],
        "web.assets_unit_tests": ["op_single_session_login/static/tests/**/*"],
    },
    "post_init_hook": "_import_sessions",
    "uninstall_hook": "_remove_parameters",
}
