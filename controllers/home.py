from odoo.http import request, route
from odoo.tools.misc import hmac

from odoo.addons.web.controllers import home

from ..models import session_store

# Holds of which session's end the person was told, that they are told once.
TOLD = "op_single_session_login_told"


class Home(home.Home):
    @route()
    def web_login(self, *args, **kwargs):
        """Say on the login page why the person is there."""
        response = super().web_login(*args, **kwargs)
        if response.is_qweb and self._is_read():
            self._tell_why(response)
        return response

    def _is_read(self):
        """Tell whether a person reads the page: a refused download or frame is sent to the login page too."""
        headers = request.httprequest.headers
        mode, destination = headers.get("Sec-Fetch-Mode", "navigate"), headers.get("Sec-Fetch-Dest", "document")
        # "empty": the page that a person opens, through the service worker of 17.0
        return mode == "navigate" and destination in ("document", "empty")

    def _tell_why(self, response):
        cookies = request.httprequest.cookies
        login = request.env["op.single.session.login"]._find_told(cookies.get("session_id"))
        if not login:
            return
        # which session's, without its number; each database has its own
        told = hmac(login.env(su=True), TOLD, login.id)
        if cookies.get(TOLD) != told:
            response.qcontext["single_session_reason"] = login._describe_end()
            response.qcontext["single_session_may_be_stolen"] = not login.revoked_date
            lifetime = session_store.get_lifetime(request.env)
            response.set_cookie(TOLD, told, max_age=lifetime, httponly=True, samesite="Lax")
