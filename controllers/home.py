from odoo.http import request, route
from odoo.tools.misc import hmac

from odoo.addons.web.controllers import home

from ..models.request_state import get_request_state

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
        entry, newer = request.env["op.single.session.login"]._find_end(get_request_state())
        if not entry:
            return
        # Only the holder of the ended session's cookie may read what follows.
        response.headers["Cache-Control"] = "no-store"
        # names the entry without showing its id, and differs in each database
        shown = hmac(entry.env, SHOWN, entry.id)
        if request.httprequest.cookies.get(SHOWN) != shown:
            response.qcontext["single_session_shown"] = shown
            response.qcontext["single_session_reason"] = entry._describe_end(newer)
            response.qcontext["single_session_may_be_stolen"] = not entry._is_ended_by_administrator(newer)
