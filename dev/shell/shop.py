"""Make a shop and two cashiers with a ``password``."""

from odoo import Command

env["account.chart.template"].try_loading("generic_coa", env.company, install_demo=False)
field = "group_ids" if "group_ids" in env["res.users"] else "groups_id"
for login in ("cara", "carl"):
    env["res.users"].with_context(no_reset_password=True).create(
        {
            "name": login,
            "login": login,
            "password": password,
            field: [Command.set([env.ref("base.group_user").id, env.ref("point_of_sale.group_pos_manager").id])],
        }
    )
env["product.product"].create(
    {"name": "Pencil", "list_price": 2, "available_in_pos": True, "taxes_id": [Command.clear()]}
)
journal = env["account.journal"].create({"name": "Till", "type": "cash", "code": "TILL"})
method = env["pos.payment.method"].create({"name": "Coins", "journal_id": journal.id})
config = env["pos.config"].create({"name": "Kiosk", "payment_method_ids": [Command.set(method.ids)]})
session = env["pos.session"].create({"user_id": env.uid, "config_id": config.id})
open_till = session.set_opening_control if hasattr(session, "set_opening_control") else session.set_cashbox_pos
open_till(0, "")
env.cr.commit()
