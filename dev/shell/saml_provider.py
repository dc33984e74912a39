"""Make a SAML provider of the user with this ``login``, with these ``values``."""

from odoo import Command

provider = env["auth.saml.provider"].create(values)
user = env["res.users"].search([("login", "=", login)])
user.write({"saml_ids": [Command.create({"saml_provider_id": provider.id, "saml_uid": login})]})
env.cr.commit()
