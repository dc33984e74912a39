from odoo.http import request, route
from odoo.tools.misc import hmac

from odoo.addons.web.controllers import home

from ..models import session_store

# Holds which login the person was told of, that they are told once.
TOLD = "op_single_session_login_told"


class Home(home.Home):
    @route()
    def web_login(self, *args, **kwargs):
        """Say on the login page why the person is there."""
        response = super().web_login(*args, **kwargs)
        # A download that is refused is sent here too, where nobody reads it.
        if response.is_qweb and request.httprequest.headers.get("Sec-Fetch-Dest", "document") == "document":
            self._tell_of_newer_login(response)
        return response

    def _tell_of_newer_login(self, response):
        cookies = request.httprequest.cookies
        login = request.env["op.single.session.login"]._find_newer_login(cookies.get("session_id"))
        if not login:
            return
        # which login, without its number; each database has its own
        told = hmac(login.env(su=True), TOLD, login.id)
        if cookies.get(TOLD) != told:
            response.qcontext["single_session_reason"] = login._describe()
            lifetime = session_store.get_lifetime(request.env)
            response.set_cookie(TOLD, told, max_age=lifetime, httponly=True, samesite="Lax")
