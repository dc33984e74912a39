"""What users read of the login log: display names, why a session ended, which ones are active."""

from datetime import timedelta

from odoo import _, api, fields, models
from odoo.http import request
from odoo.tools import SQL
from odoo.tools.misc import format_datetime, format_time

from .op_single_session_login import IS_ENDED_BY_NEWER

# How long after a login its pages say which sessions it ended.
NEW_LOGIN = timedelta(minutes=10)


def isolate(text):
    """Keep the direction of a text in a sentence that is written from right to left."""
    return f"\u2068{text}\u2069"


class OpSingleSessionLogin(models.Model):
    _inherit = "op.single.session.login"

    is_active = fields.Boolean(
        "Active",
        compute="_compute_is_active",
        search="_search_is_active",
        help="The session is open, and is stored or was used lately.",
    )

    @api.depends("browser", "platform", "ip_address")
    def _compute_display_name(self):
        for entry in self:
            details = filter(None, [entry._get_client_name(), entry.ip_address])
            entry.display_name = ", ".join(details) or str(entry.id)

    def _get_client_name(self):
        """Return the browser and the platform as far as they are known, as in ``Firefox (Linux)``."""
        names = [name for name in (self.browser, self.platform) if name]
        return f"{names[0]} ({names[1]})" if len(names) == 2 else "".join(names)

    def _describe_end(self, newer):
        """Return the reason why this session ended, as its user reads it, with the time in the user's time zone.

        For sessions that a newer login or an administrator ended. It never contains an IP address.

        :param newer: the next exclusive entry, as ``find_end`` in ``controllers/status.py`` returns it
        :rtype: str
        """
        if self.refused or not newer.identifier:
            end_date = self.end_date if self.refused else newer.end_date
            return _("An administrator ended it: %(date)s.", date=isolate(self._format_date(end_date)))
        parts = filter(None, [newer._get_client_name(), self._format_date(newer.login_date)])
        details = ", ".join(map(isolate, parts))
        return _("Your account was used to log in on another device: %(details)s.", details=details)

    @api.model
    def _describe_ended_by(self, identifier):
        """Return which active sessions a recent login ended, so that its user learns of an intruder.

        :param str identifier: of the session that the login opened
        :return: a dict with the ``id`` of the login, its ``user_id`` and a ``message``; None if it ended no other
            browser's
        :rtype: dict | None
        """
        self.env.cr.execute(
            SQL(
                """
                SELECT own.id, ended.id
                  FROM op_single_session_login own
                  JOIN op_single_session_login ended ON ended.ended_by_login_id = own.id
                 WHERE own.identifier = %s AND own.login_date > %s AND ended.end_reason = 'newer_login'
                   AND ended.identifier IS DISTINCT FROM own.replaced_identifier
                   AND (ended.sent_digest = own.sent_digest) IS NOT TRUE
              ORDER BY ended.id DESC
                """,
                identifier,
                fields.Datetime.now() - NEW_LOGIN,
            )
        )
        rows = self.env.cr.fetchall()
        if not rows:
            return None
        newest = self.browse(rows[0][1])
        values = {
            "count": len(rows),
            "device": isolate(newest._get_client_name() or _("an unknown device")),
            "date": isolate(newest._format_date(newest.login_date)),
        }
        if len(rows) == 1:
            message = _("This login ended your session on %(device)s, open since %(date)s.", **values)
        else:
            message = _(
                "This login ended %(count)d of your sessions, the newest on %(device)s, open since %(date)s.", **values
            )
        return {"id": rows[0][0], "user_id": newest.user_id.id, "message": message}

    def _format_date(self, date):
        """Return the time of a date, with the day unless it is today, without seconds."""
        # the cookie may say anything: an unknown time zone is taken for UTC
        timezone = self.user_id.tz or request.httprequest.cookies.get("tz") or "UTC"
        records = self.with_context(tz=timezone)
        if records._get_day(date) == records._get_day(fields.Datetime.now()):
            return format_time(self.env, date, tz=timezone, time_format="short")
        return format_datetime(self.env, date, tz=timezone, dt_format="short")

    def _get_day(self, date):
        return fields.Datetime.context_timestamp(self, date).date()

    @api.depends("end_reason")
    def _compute_is_active(self):
        active = self._find_open(SQL("own.id = ANY(%s)", self.ids))._filter_known()
        for entry in self:
            entry.is_active = entry in active

    @api.model
    def _search_is_active(self, operator, value):
        values = value if operator in ("in", "not in") else [value]  # up to 18.0 also a single value
        is_wanted = (True in values) == (operator in ("in", "="))
        active = self._find_open(SQL("TRUE"))._filter_known()
        return [("id", "in" if is_wanted else "not in", active.ids)]

    @api.model
    def _find_open(self, condition):
        """Return the entries that meet a condition and whose sessions have not ended."""
        self.flush_model(["end_reason", "refused"])
        self.env.cr.execute(
            SQL(
                """
                SELECT id
                  FROM op_single_session_login own
                 WHERE own.end_reason IS NULL AND own.refused IS NOT TRUE AND %s AND NOT %s
                """,
                condition,
                IS_ENDED_BY_NEWER,
            )
        )
        return self.browse(id_ for [id_] in self.env.cr.fetchall())
