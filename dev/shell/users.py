"""Make users with these ``logins`` and a ``password``, and activate ``languages``."""

from odoo import Command


def make_user(login, group="base.group_user"):
    field = "group_ids" if "group_ids" in env["res.users"] else "groups_id"
    values = {"name": login, "login": login, "password": password, field: [Command.set([env.ref(group).id])]}
    env["res.users"].with_context(no_reset_password=True).create(values)


for lang in languages:
    env["res.lang"]._activate_lang(lang)
env["ir.module.module"].search([("name", "in", ["web", "portal"])])._update_translations(languages)
for login in logins:
    make_user(login)
make_user("pia", "base.group_portal")
make_user("eve", "base.group_system")
make_user("max", "base.group_erp_manager")
env.ref("base.user_admin").password = "admin"  # again, as cheap as the others
env.cr.commit()
