"""A hook that fails harms no cleanup."""

import logging

log = env["op.single.session.login"]
user = env["res.users"].with_context(no_reset_password=True).create({"name": "hook", "login": "hook"})
called = []


def notify(entries, address):
    called.append([(entry.identifier, entry.end_reason, entry.ended_by_login_id.id) for entry in entries])
    raise ValueError("a hook that fails")


type(log)._notify_ended = notify
values = {"user_id": user.id, "exclusive": True, "login_date": "2026-11-20 10:00:00"}
first, second = log.create([dict(values, identifier=name * 42) for name in "ab"])
env.cr.commit()
logging.disable()  # the hook's error
with env.registry.cursor() as cr:
    second.with_env(env(cr=cr))._clean_up()
assert called == [[("a" * 42, "expired", False)]], called
first.invalidate_recordset()
assert first.end_reason == "expired"
