"""As after a backup that is older than a session: ``identifier``."""

env["op.single.session.login"].search([("identifier", "=", identifier)]).unlink()
env.cr.commit()
