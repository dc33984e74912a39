"""A cleanup does not fail if another one changes a device in the meantime."""

from unittest.mock import patch

from odoo.addons.op_single_session_login.models import session_store

user = env.ref("base.user_admin")
values = {"user_id": user.id, "exclusive": True, "login_date": "2026-11-20 10:00:00"}
old, new = env["op.single.session.login"].create([dict(values, identifier=name * 42) for name in "ab"])
device = {"session_identifier": old.identifier, "user_id": user.id, "platform": "linux", "browser": "firefox"}
device = env["res.device.log"].create(device)
env.cr.commit()


def change_device(identifiers, dbname):
    with env.registry.cursor() as cr:
        cr.execute("UPDATE res_device_log SET revoked = NULL WHERE id = %s", [device.id])


with patch.object(session_store, "delete", change_device), env.registry.cursor() as cr:
    new.with_env(env(cr=cr))._clean_up()
device.invalidate_recordset()
assert device.revoked
