"""The status of a browser's session."""

from odoo import http
from odoo.http import request
from odoo.tools.misc import get_lang

from ..models.ir_http import STATUS_PATH
from ..models.request_state import get_request_state


class SingleSessionStatus(http.Controller):
    @http.route(STATUS_PATH, type="http", auth="none", methods=["GET"], readonly=True, save_session=False)
    def status(self, **_parameters):
        """Return the status of the session in the browser's cookie. This writes nothing and is no activity.

        :return: JSON with a ``state``: ``alive``, ``ended`` by a newer login or an administrator,
            with a ``message`` for the user, or ``none``
        """
        # 19.0 itself forbids requests for another database; 17.0 and 18.0 ignore the header
        database = request.httprequest.headers.get("X-Odoo-Database") or request.env.cr.dbname
        status = {"state": "none"} if database != request.env.cr.dbname else self._get_status()
        return request.make_json_response(status, headers={"Cache-Control": "no-store"})

    def _get_status(self):
        state = get_request_state()
        if state.hidden and request.env["res.users"]._is_session_valid(state.hidden, state.sid):
            return {"state": "alive"}
        entry, newer = request.env["op.single.session.login"]._find_end(state)
        if not entry:
            return {"state": "none"}
        lang = get_lang(entry.env, entry.user_id.partner_id.lang).code
        return {"state": "ended", "message": entry.with_context(lang=lang)._describe_end(newer)}
