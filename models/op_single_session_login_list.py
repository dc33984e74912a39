"""What people read in the login log: display names, and why a session ended."""

from datetime import timedelta

import pytz

from odoo import _, api, fields, models
from odoo.http import request
from odoo.tools.misc import format_datetime, format_time, get_lang

# How long after a login its pages say which sessions it ended, and how many of them.
NEW_LOGIN = timedelta(minutes=10)
NEW_LOGIN_LIMIT = 20
# How long the new cookie of a login may take to reach the tabs of its browser.
COOKIE_DELAY = timedelta(minutes=1)


def isolate(text):
    """Keep the direction of a text in a sentence that is written from right to left."""
    return f"\u2068{text}\u2069"


class OpSingleSessionLogin(models.Model):
    _inherit = "op.single.session.login"

    @api.depends("browser", "platform", "ip_address")
    def _compute_display_name(self):
        for entry in self:
            details = filter(None, [entry._get_client_name(), entry.ip_address])
            entry.display_name = ", ".join(details) or str(entry.id)

    def _get_client_name(self):
        """Return the browser and the platform as far as they are known, as in ``Firefox (Linux)``."""
        names = [name for name in (self.browser, self.platform) if name]
        return f"{names[0]} ({names[1]})" if len(names) == 2 else "".join(names)

    # ------------------------------------------------------------
    # In the old browser
    # ------------------------------------------------------------

    @api.model
    def _find_end(self, state):
        """Return the entry of a session that a newer login or an administrator has ended, to notify its user.

        A browser that logs in again replaces its own session. Its tabs may ask before its new cookie arrives:
        for them, nothing has ended. A browser that still sends the old cookie later is another one.

        :param state: the state of the current request
        :return: that entry, and the next exclusive one of its user; the first is empty if the session is open,
            unknown, or ended in another way
        """
        # sudo - op.single.session.login: the holder of an ended session's cookie may know why it ended
        log = self.sudo()
        if not state.is_named:
            return log.browse(), log.browse()
        # no limit: PostgreSQL may look for the last one of a few by walking through all entries
        entry = log.search([("identifier", "=", state.identifier)])[:1]
        newer = log.browse().concat(*(newer for newer, _entry in entry._group_by_newer()))
        if entry.end_reason == "administrator":
            return entry, newer
        if newer.replaced_identifier == state.identifier:
            is_told = fields.Datetime.now() - newer.login_date > COOKIE_DELAY
        else:
            is_told = newer and entry.end_reason != "logged_out"
        return (entry if is_told else log.browse()), newer

    def _describe_end(self, newer):
        """Return the reason why this session ended, as its user reads it, with the time in the user's time zone.

        For sessions that a newer login or an administrator ended. It never contains an IP address.

        :param newer: the next exclusive entry, as ``_find_end`` returns it
        :rtype: str
        """
        if self._is_ended_by_administrator(newer):
            end_date = self.end_date if self.end_reason == "administrator" else newer.end_date
            return _("An administrator ended this session (%(date)s).", date=isolate(self._format_date(end_date)))
        values = {"device": isolate(newer._get_client_name()), "date": isolate(self._format_date(newer.login_date))}
        if not newer._get_client_name():
            return _("Your account was used to log in on another device: %(date)s.", **values)
        return _("Your account was used to log in on another device: %(device)s, %(date)s.", **values)

    def _is_ended_by_administrator(self, newer):
        return self.end_reason == "administrator" or newer.end_reason == "end_all"

    # ------------------------------------------------------------
    # In the new browser
    # ------------------------------------------------------------

    @api.model
    def _describe_login(self, identifier):
        """Return what the page of a session says of its login, so that its user learns of an intruder.

        :param str identifier: of the session that the login opened
        :return: a dict with the ``login_id``, the ``user_id`` and the sessions that it ``ended``, the newest first
        :rtype: dict
        """
        login = self.search([("identifier", "=", identifier)])[:1]
        ended = self.browse()
        if login and fields.Datetime.now() - login.login_date < NEW_LOGIN:
            domain = [("ended_by_login_id", "=", login.id), ("end_reason", "=", "newer_login")]
            ended = self.search(domain, limit=NEW_LOGIN_LIMIT)
        descriptions = [entry._describe_session() for entry in ended]
        return {"login_id": login.id, "user_id": login.user_id.id, "ended": descriptions}

    def _describe_session(self):
        device = self._get_client_name() or _("an unknown device")
        return {"id": self.id, "device": isolate(device), "date": isolate(self._format_date(self.login_date))}

    # ------------------------------------------------------------
    # Dates
    # ------------------------------------------------------------

    def _format_date(self, date):
        """Return the time of a date, with the day unless it is today, without seconds."""
        timezone = self._get_timezone()
        records = self.with_context(tz=timezone, lang=get_lang(self.env).code)
        if records._get_day(date) == records._get_day(fields.Datetime.now()):
            return format_time(records.env, date, tz=timezone, time_format="short")
        return format_datetime(records.env, date, tz=timezone, dt_format="short")

    def _get_timezone(self):
        """Return the time zone of the user or the browser. The cookie is untrusted; the machine may know neither."""
        for timezone in (self.user_id.partner_id.tz, request.httprequest.cookies.get("tz")):
            if timezone in pytz.all_timezones_set:
                return timezone
        return "UTC"

    def _get_day(self, date):
        return fields.Datetime.context_timestamp(self, date).date()
