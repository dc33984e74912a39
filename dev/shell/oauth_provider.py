"""Make the only OAuth provider of the user with this ``login``, with these ``values``."""

env["auth.oauth.provider"].search([]).write({"enabled": False})
provider = env["auth.oauth.provider"].create(values)
user = env["res.users"].search([("login", "=", login)])
user.write({"oauth_provider_id": provider.id, "oauth_uid": login})
env.cr.commit()
