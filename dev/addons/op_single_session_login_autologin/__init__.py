from odoo.http import request, route

from odoo.addons.auth_oauth.controllers.main import OAuthLogin
from odoo.addons.web.controllers.utils import ensure_db


class StubbornLogin(OAuthLogin):
    @route()
    def web_login(self, *args, **kwargs):
        """Log in with the first provider at once; no parameter keeps it from doing so."""
        ensure_db()
        if request.session.uid:
            return super().web_login(*args, **kwargs)
        return request.redirect(self.list_providers()[0]["auth_link"], 303, local=False)
