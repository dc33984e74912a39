from odoo.http import request, route
from odoo.tools.misc import hmac

from odoo.addons.web.controllers import home

from .status import find_end

# Cookie: the session whose reason the login page has shown. static/src/login_page_service.js sets it when the
# browser has drawn the page.
SHOWN = "op_single_session_login_shown"


class Home(home.Home):
    @route()
    def web_login(self, *args, **kwargs):
        """Show on the login page why the session has ended."""
        response = super().web_login(*args, **kwargs)
        if response.is_qweb and request.httprequest.method == "GET":
            self._add_reason(response)
        return response

    def _add_reason(self, response):
        cookies, qcontext = request.httprequest.cookies, response.qcontext
        entry, newer = find_end(request.env, cookies.get("session_id"))
        if not entry:
            return
        # Only the holder of the ended session's whole id may read what follows.
        response.headers["Cache-Control"] = "no-store"
        qcontext["login"] = qcontext.get("login") or entry.user_id.login
        # which session's, without its number; each database has its own
        shown = hmac(entry.env(su=True), SHOWN, entry.id)
        if cookies.get(SHOWN) != shown:
            qcontext["single_session_shown"] = shown
            qcontext["single_session_reason"] = entry._describe_end(newer)
            qcontext["single_session_may_be_stolen"] = bool(newer.identifier) and not entry.refused
