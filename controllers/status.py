"""The status of a browser's session, and what its user reads if it has ended."""

from datetime import timedelta

from odoo import fields, http
from odoo.http import request, root
from odoo.tools import SQL

from ..models import session_store
from ..models.op_single_session_login import NEXT_EXCLUSIVE

# How long the new cookie of a login may take to reach the browser.
COOKIE_DELAY = timedelta(minutes=1)


class SingleSessionStatus(http.Controller):
    # The key single_session_status hides the session from other addons, which could take the request for activity.
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
        """Return the status of the session in the browser's cookie. This writes nothing and is no activity.

        :return: JSON with a ``state``: ``alive``, ``ended`` by a newer login or an administrator,
            with a ``message`` for the user, or ``none``
        """
        # 19.0 itself forbids requests for another database; 17.0 and 18.0 ignore the header
        database = request.httprequest.headers.get("X-Odoo-Database") or request.env.cr.dbname
        status = {"state": "none"} if database != request.env.cr.dbname else self._get_status()
        return request.make_json_response(status, headers={"Cache-Control": "no-store"})

    def _get_status(self):
        if request.env["res.users"]._is_session_valid(request.single_session_asked):
            return {"state": "alive"}
        entry, newer = find_end(request.env, request.httprequest.cookies.get("session_id"))
        if not entry:
            return {"state": "none"}
        return {"state": "ended", "message": entry.with_context(lang=entry.user_id.lang)._describe_end(newer)}


def find_end(env, sid):
    """Return the entry of a session that a newer login or an administrator ended, to notify its user.

    A browser that logs in again replaces its own session. Its tabs may ask before its new cookie arrives:
    for them, nothing has ended. A browser that still sends the old cookie later is another one. Nor does a
    double click on *Log in*, which makes two logins of one browser, end anything to notify of.

    :param sid: what a browser sent as its session id; it may be anything
    :return: that entry, and the next one that ends others; the first is empty if the session is open, is unknown
        or ended in another way
    """
    # sudo - op.single.session.login: the holder of an ended session's cookie may know why it ended
    log = env["op.single.session.login"].sudo()
    if not sid or not root.session_store.is_valid_key(sid):
        return log.browse(), log.browse()
    env.cr.execute(
        SQL(
            """
            SELECT own.id, newer.id
              FROM op_single_session_login own LEFT JOIN LATERAL (%(newer)s) newer ON TRUE
             WHERE own.identifier = %(identifier)s AND (
                   own.end_reason = 'administrator'
                OR own.refused IS NOT TRUE AND newer.id IS NOT NULL
               AND (newer.sent_digest = own.sent_digest
                    AND newer.login_date - own.login_date <= %(delay)s) IS NOT TRUE
               AND NOT EXISTS (
                   SELECT FROM op_single_session_login login
                    WHERE login.user_id = own.user_id AND login.id > own.id
                      AND login.replaced_identifier = %(identifier)s AND login.login_date > %(lately)s))
          ORDER BY newer.id
             LIMIT 1
            """,
            newer=NEXT_EXCLUSIVE,
            identifier=session_store.get_identifier(sid),
            delay=COOKIE_DELAY,
            lately=fields.Datetime.now() - COOKIE_DELAY,
        )
    )
    entry, newer = env.cr.fetchone() or (None, None)
    return log.browse(entry), log.browse(newer)
