from odoo import http
from odoo.http import request


class SingleSessionStatus(http.Controller):
    # The key single_session_status hides the session from whatever might take the request for activity.
    @http.route(
        "/op_single_session_login/status",
        type="http",
        auth="none",
        methods=["GET"],
        readonly=True,
        save_session=False,
        single_session_status=True,
    )
    def status(self, **_parameters):
        """Tell the browser how the session of its cookie stands. It writes nothing and is no activity.

        :return: JSON with a ``state``: ``alive``, ``ended`` by a newer login or an administrator,
            with a ``message`` for the user, or ``none``
        """
        # 19.0 itself forbids what is meant for another database; 17.0 and 18.0 do not heed the header
        database = request.httprequest.headers.get("X-Odoo-Database") or request.env.cr.dbname
        if database != request.env.cr.dbname:
            status = {"state": "none"}
        else:
            status = request.env["op.single.session.login"]._get_status(request.single_session_asked)
        return request.make_json_response(status, headers={"Cache-Control": "no-store"})
