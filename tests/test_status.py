import json
import os
import re
import time
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from odoo import sql_db
from odoo.http import Request, root
from odoo.tests.common import TransactionCase, new_test_user, tagged
from odoo.tools import format_datetime

from odoo.addons.op_single_session_login import _remove_parameters
from odoo.addons.op_single_session_login.models.parameters import get_poll_interval, get_retention_days

from .common import PASSWORD, Device, SingleSessionCase, require_module

LOGIN_DATE = "2026-11-23 22:05:06"
STATUS = "/op_single_session_login/status"
SHOWN = "op_single_session_login_shown"
PARAMETER = "op_single_session_login.poll_interval"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile Safari/604.1"


class StatusCase(SingleSessionCase):
    def status(self, device):
        """Send a status request, and check that the answer sets no cookie and may not be stored.

        The marks that isolate what is inserted into a sentence are left out.
        """
        response = device.request(STATUS)
        self.assertEqual(response.status_code, 200)
        self.assertNotIn("Set-Cookie", response.headers)
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        return json.loads(re.sub("[\u2068\u2069]", "", response.text))

    def date(self, timezone):
        """Return the login date as its user reads it: with the day, without seconds."""
        date = format_datetime(self.env, LOGIN_DATE, tz=timezone, dt_format="short", lang_code=self.user.lang)
        day, hour = {"UTC": (23, 10), "Asia/Tokyo": (24, 7)}[timezone]
        self.assertRegex(date, rf"\b{day}\b.*\b0?{hour}:05(?!:)")
        return date


@tagged("post_install", "-at_install")
class TestStatus(StatusCase):
    def test_alive(self):
        self.assertEqual(self.status(self.login()), {"state": "alive"})

    def test_no_session(self):
        device = Device(self)
        self.assertEqual(self.status(device), {"state": "none"})
        device.request("/web/login")
        self.assertEqual(self.status(device), {"state": "none"})

    def test_ended(self):
        """The reason has the time in the user's language and time zone, and the browser, but no IP address."""
        self.env["res.lang"]._activate_lang("fr_FR")
        self.user.write({"lang": "fr_FR", "tz": "Asia/Tokyo"})
        first = self.login()
        second = self.login(device=Device(self, SAFARI))
        self.logins_of(second).login_date = LOGIN_DATE
        answer = self.status(first)
        reason = "Une connexion à votre compte a eu lieu sur un autre appareil"
        message = f"{reason} : Safari (iPhone), {self.date('Asia/Tokyo')}."
        self.assertEqual(answer, {"state": "ended", "message": message})
        self.assertNotIn("127.0.0.1", json.dumps(answer))
        self.assertEqual(self.status(second), {"state": "alive"})

    def test_ended_by_an_unknown_browser(self):
        first = self.login()
        second = self.login(device=Device(self, "curl/8"))
        self.logins_of(second).login_date = LOGIN_DATE
        self.user.tz = False
        message = f"Your account was used to log in on another device: {self.date('UTC')}."
        self.assertEqual(self.status(first)["message"], message)
        first.cookies["tz"] = "Asia/Tokyo"
        self.assertIn(self.date("Asia/Tokyo"), self.status(first)["message"])
        first.cookies["tz"] = "../../etc/passwd"
        self.assertIn(self.date("UTC"), self.status(first)["message"])

    def test_reason_names_the_login_that_ended_it(self):
        first = self.login()
        second = self.login(device=Device(self, SAFARI))
        third = self.login()
        self.assertIn("Safari", self.status(first)["message"])
        self.assertIn("Firefox", self.status(second)["message"])
        self.assertEqual(self.status(third), {"state": "alive"})

    def test_ended_with_or_without_its_file(self):
        first = self.login()
        session = first.stored_session
        self.login()
        for path in ("/web/login", "/web/session/logout_of_nothing", "/web/webclient/version_info", "/web"):
            root.session_store.save(session)
            first.request(path)
            self.assertEqual(self.status(first)["state"], "ended", path)

    def test_ended_after_an_unmatched_path(self):
        first = self.login()
        session = first.stored_session
        self.login()
        root.session_store.save(session)
        self.assertEqual(first.request("/no/such/page").status_code, 404)
        self.assertEqual(self.status(first)["state"], "ended")

    def test_several_sessions(self):
        self.user.allow_multiple_sessions = True
        devices = [self.login(), self.login()]
        self.assertEqual([self.status(device)["state"] for device in devices], ["alive", "alive"])
        root.session_store.delete(devices[0].stored_session)
        self.assertEqual(self.status(devices[0]), {"state": "none"}, "it expired, no login ended it")

    def test_logged_out(self):
        device = self.login()
        old_sid = device.sid
        device.request("/web/session/logout")
        self.assertEqual(self.status(device), {"state": "none"})
        device.cookies["session_id"] = old_sid
        self.assertEqual(self.status(device), {"state": "none"})

    def test_password_changed(self):
        device = self.login()
        self.user.with_user(self.user).sudo().password = PASSWORD + "!"
        self.assertEqual(self.status(device), {"state": "none"})
        self.assertEqual(self.logins_of(device).end_reason, "logged_out")

    def test_password_changed_by_an_administrator(self):
        device = self.login()
        self.user.password = PASSWORD + "!"
        self.assertIn("An administrator ended this session", self.status(device)["message"])
        self.assertEqual(self.logins_of(device).end_reason, "administrator")

    def test_language_that_is_not_active(self):
        first = self.login()
        self.login()
        self.env.cr.execute("UPDATE res_partner SET lang = 'xx_XX' WHERE id = %s", [self.user.partner_id.id])
        self.env.invalidate_all()
        self.assertIn("another device", self.status(first)["message"])
        self.assertEqual(first.request("/web/login").status_code, 200)

    def test_time_zone_that_the_machine_does_not_know(self):
        first, second = self.login(), self.login()
        self.clean_up()
        self.env.cr.execute("UPDATE res_partner SET tz = 'Nowhere/City' WHERE id = %s", [self.user.partner_id.id])
        self.env.invalidate_all()
        self.assertIn("another device", self.status(first)["message"])
        self.assertEqual(first.request("/web/login").status_code, 200)
        info = second.rpc("/web/session/get_session_info")["result"]["op_single_session_login"]
        self.assertEqual(len(info["ended"]), 1)

    def test_deactivated(self):
        device = self.login()
        self.user.active = False
        self.assertEqual(self.status(device), {"state": "none"})

    def test_expired_by_a_rotation(self):
        device = self.login()
        session = device.stored_session
        if "create_time" not in session:
            self.skipTest("not in this Odoo: soft rotation of sessions")
        session["deletion_time"] = time.time() - 1
        root.session_store.save(session)
        self.assertEqual(self.status(device), {"state": "none"})

    def test_same_browser(self):
        """A tab may still send the old cookie while another tab logs in."""
        device = self.login()
        before = Device(self)
        before.cookies.update(device.cookies)
        self.login(device=device)
        self.assertEqual(self.status(before), {"state": "none"})
        self.assertEqual(self.status(device), {"state": "alive"})
        self.login()
        self.assertEqual(self.status(before), {"state": "none"})
        self.assertEqual(self.status(device)["state"], "ended")

    def test_same_cookie_in_another_browser(self):
        """A thief who has the cookie and the password cannot suppress the notification."""
        device = self.login()
        thief = Device(self)
        thief.cookies.update(device.cookies)
        self.login(device=thief)
        self.logins_of(thief).login_date -= timedelta(minutes=2)
        self.assertEqual(self.status(device)["state"], "ended")

    def test_each_end_has_its_reason(self):
        """A login that sends only the identifier of a session does not replace that session."""
        first = self.login()
        thief = Device(self)
        thief.cookies["session_id"] = first.identifier + "x" * len(first.identifier)
        self.login(device=thief)
        self.assertEqual(self.status(first)["state"], "ended")

    def test_same_browser_other_user(self):
        device = self.login()
        before = Device(self)
        before.cookies.update(device.cookies)
        self.login(new_test_user(self.env, "bob", password=PASSWORD), device=device)
        self.assertEqual(self.status(before), {"state": "none"})

    def test_bad_cookies(self):
        first = self.login()
        self.login()
        bad = (
            "x",
            "../../../etc/passwd",
            first.identifier,
            first.sid + "x",
            first.sid[1:] + "/",
            "x" * 4000,
            "%00" * 28,
            '"' + "\\000" * 84 + '"',
            '"' + first.identifier + "\\000" * len(first.identifier) + '"',
            "a" * len(first.sid),
            first.identifier[::-1] * 2,
        )
        for cookie in bad:
            device = Device(self)
            device.cookies["session_id"] = cookie
            self.assertEqual(self.status(device), {"state": "none"}, cookie)

    def test_only_get(self):
        for method in ("POST", "PUT", "DELETE"):
            response = self.opener.request(method, self.base_url() + STATUS, timeout=12)
            self.assertEqual(response.status_code, 405, method)

    def test_unknown_parameters(self):
        self.assertEqual(Device(self).request(f"{STATUS}?sid=x&db=y&debug=1").json(), {"state": "none"})


@tagged("post_install", "-at_install")
class TestStatusChangesNothing(StatusCase):
    def files(self):
        """The names of the session files, and when each was written."""
        if not hasattr(root.session_store, "path"):  # OCA's session_db
            with sql_db.db_connect(os.environ["SESSION_DB_URI"], allow_uri=True).cursor() as cr:
                cr.execute("SELECT sid, write_date FROM http_sessions")
                return dict(cr.fetchall())
        files = (path for path in Path(root.session_store.path).rglob("*") if path.is_file())
        return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in files}

    def state(self):
        """Everything that a request of a logged-in user may change."""
        models = ["op.single.session.login", "res.users.log", "bus.bus", "res.device.log"]
        rows = [self.env[model].sudo().search([]).read() for model in models if model in self.env]
        return self.files(), rows

    def assertUntouched(self, device):
        before = self.state()
        for _ in range(100):
            self.status(device)
        self.env.invalidate_all()
        self.assertEqual(self.state(), before)

    def test_alive(self):
        device = self.login()
        self.assertAlive(device)
        self.assertUntouched(device)

    def test_nothing_that_core_would_write(self):
        """A device's hourly update, a rotation that is due, old sessions to delete."""
        device = self.login()
        self.assertAlive(device)
        session = device.stored_session
        if "_trace" not in session:
            self.skipTest("not in this Odoo: traces of devices in the session")
        for trace in session["_trace"]:
            trace["last_activity"] -= 3700
        session["create_time"] = time.time() - 4 * 3600
        session["gc_previous_sessions"] = True
        root.session_store.save(session)
        self.assertUntouched(device)
        before = self.state()
        self.assertAlive(device)
        self.env.invalidate_all()
        self.assertNotEqual(self.state(), before, "core wrote nothing at another route either")

    def test_ended(self):
        first = self.login()
        session = first.stored_session
        self.login()
        root.session_store.save(session)
        self.assertUntouched(first)

    def test_no_session(self):
        device = Device(self)
        before = self.files()
        for sid in (None, root.session_store.generate_key()):
            if sid:
                device.cookies["session_id"] = sid
            for _ in range(10):
                self.status(device)
        self.assertEqual(self.files(), before)

    def count_queries(self, device, path):
        before = sql_db.sql_counter
        self.assertEqual(device.request(path).status_code, 200)
        return sql_db.sql_counter - before

    def test_query_count(self):
        for device in (Device(self), self.login()):
            for _warm_up in range(2):
                counts = [self.count_queries(device, path) for path in (STATUS, "/web/health")]
            self.assertLessEqual(counts[0], counts[1])

    def test_read_only_cursor(self):
        routing = self.env["ir.http"].routing_map()
        [rule] = [rule for rule in routing.iter_rules() if rule.rule == STATUS]
        self.assertTrue(rule.endpoint.routing["readonly"])
        self.assertFalse(rule.endpoint.routing["save_session"])


@tagged("post_install", "-at_install")
class TestLoginPage(StatusCase):
    REASON = "Your account was used to log in on another device"

    def test_reason_until_it_was_shown(self):
        """Loading the page does not mark the reason as shown. For drawing it, see dev/scenarios/test_browsers.py."""
        first = self.login()
        self.login()
        unseen = ({}, {"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"Sec-Fetch-Mode": "cors"})
        for headers in unseen:
            response = first.request("/web/login", headers=headers)
            self.assertEqual(response.text.count(self.REASON), 1)
            self.assertLess(response.text.index(self.REASON), response.text.index('name="login"'))
            self.assertNotIn("127.0.0.1</", response.text)
            self.assertNotIn(SHOWN, response.headers.get("Set-Cookie", ""))
        [shown] = re.findall('data-single-session-shown="([^"]+)"', response.text)
        self.assertRegex(shown, "^[0-9a-f]{64}$")
        first.cookies[SHOWN] = shown
        self.assertNotIn(self.REASON, first.request("/web/login").text)
        self.assertEqual(self.status(first)["state"], "ended", "other tabs still get the reason")

    def test_login_is_not_filled_in(self):
        """Lists and logs show identifiers. An identifier does not tell whose session it was."""
        first = self.login()
        self.login()
        half = Device(self)
        half.cookies["session_id"] = first.identifier + "0" * len(first.identifier)
        for device in (first, half):
            page = device.request("/web/login")
            self.assertIn(self.REASON, page.text)
            self.assertNotIn(self.user.login, page.text)
            self.assertEqual(page.headers["Cache-Control"], "no-store")

    def test_links_to_a_new_password(self):
        require_module(self, "auth_signup")
        first = self.login()
        self.login()
        self.env["ir.config_parameter"].set_param("auth_signup.reset_password", "False")
        self.assertNotIn("/web/reset_password", first.request("/web/login").text)
        self.env["ir.config_parameter"].set_param("auth_signup.reset_password", "True")
        link = r"""<a class="alert-link" href="/web/reset_password">\s*If this wasn't you, change your password\."""
        self.assertRegex(first.request("/web/login").text, link)

    def test_reason_in_a_frame(self):
        first = self.login()
        self.login()
        self.assertIn(self.REASON, first.request("/web/login", headers={"Sec-Fetch-Dest": "iframe"}).text)

    def test_reason_after_a_redirection(self):
        first = self.login()
        self.login()
        location = first.request("/web?debug=1").headers["Location"]
        self.assertIn(self.REASON, first.request(urlsplit(location).path).text)

    def test_reason_of_the_next_end(self):
        first = self.login()
        self.login()
        self.assertIn(self.REASON, first.request("/web/login").text)
        self.login(device=first)
        self.login()
        self.assertIn(self.REASON, first.request("/web/login").text)

    def test_no_reason_for_others(self):
        for device in (Device(self), self.login()):
            self.assertNotIn(self.REASON, device.request("/web/login").text)

    def test_no_reason_after_a_wrong_password(self):
        first = self.login()
        self.login()
        first.request("/web/login")
        answer = first.post_form("/web/login", login=self.user.login, password="wrong")
        self.assertIn("Wrong login/password", answer.text)
        self.assertNotIn(self.REASON, answer.text)

    def test_reason_in_the_language_of_the_page(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        first = self.login()
        self.login()
        first.cookies["frontend_lang"] = "fr_FR"
        page = first.request("/web/login", headers={"Accept-Language": "fr"}).text
        self.assertIn("Une connexion à votre compte a eu lieu sur un autre appareil", page)

    def test_malformed_cookies(self):
        first = self.login()
        self.login()
        for shown in ("", "x", "-1", "9" * 400, "é"):
            first.cookies[SHOWN] = shown
            self.assertEqual(first.request("/web/login").status_code, 200, shown)
            first.cookies.pop(SHOWN, None)

    def assertLeadsBack(self, redirect, location):
        answer = Device(self).post_form("/web/login", login=self.user.login, password=PASSWORD, redirect=redirect)
        target = urlsplit(answer.headers["Location"])
        self.assertIn(target.netloc, ("", urlsplit(self.base_url()).netloc), redirect)
        self.assertEqual(target._replace(scheme="", netloc="").geturl(), location)

    def test_leads_back_to_local_paths_only(self):
        for redirect, location in (
            ("/odoo/contacts?debug=1#here", "/odoo/contacts?debug=1#here"),
            ("/my?a=1&b=2", "/my?a=1&b=2"),
            ("https://evil.example/odoo", "/odoo"),
            ("//evil.example/odoo", "/odoo"),
        ):
            self.assertLeadsBack(redirect, location)

    def test_leads_back_to_no_other_host(self):
        if "/\\" not in Request.redirect.__code__.co_consts:
            self.skipTest("not in this Odoo: redirections that mind backslashes")
        self.assertLeadsBack("/\\evil.example/odoo", "/evil.example/odoo")


@tagged("post_install", "-at_install")
class TestSessionInfo(StatusCase):
    def info(self, device):
        self.clean_up()
        return device.rpc("/web/session/get_session_info")["result"]["op_single_session_login"]

    def test_session_info_of_logged_in_users(self):
        device = self.login()
        expected = {"db": self.env.cr.dbname, "poll_interval": 30, "ended": []}
        expected.update(login_id=self.logins_of(device).id, user_id=self.user.id)
        self.assertEqual(self.info(device), expected)

    def test_login_that_ended_a_session(self):
        """The new browser's user reads which session was ended, since it may be an intruder's."""
        first = self.login()
        second = self.login(device=Device(self, SAFARI))
        info = self.info(second)
        [ended] = info["ended"]
        self.assertEqual(info["login_id"], self.logins_of(second).id)
        self.assertEqual((ended["id"], ended["device"]), (self.logins_of(first).id, "\u2068Firefox (Linux)\u2069"))
        self.assertRegex(ended["date"], "^\u2068.*\\d.*\u2069$")
        self.assertEqual(self.info(second), info, "a request shows nothing, a page does")
        self.logins_of(second).login_date -= timedelta(minutes=11)
        self.assertEqual(self.info(second)["ended"], [])
        self.assertEnded(first)

    def test_login_that_ended_several_sessions(self):
        self.user.allow_multiple_sessions = True
        devices = [self.login() for _ in range(2)]
        self.user.allow_multiple_sessions = False
        ended = self.info(self.login())["ended"]
        self.assertEqual([entry["id"] for entry in ended], [self.logins_of(device).id for device in devices[::-1]])

    def test_login_of_the_same_browser(self):
        device = self.login()
        before = self.logins_of(device)
        self.assertEqual(self.info(self.login(device=device))["ended"], [])
        self.assertEqual(before.end_reason, "logged_out")
        self.assertEqual(before.ended_by_login_id, self.logins_of(device))

    def test_frontend_pages(self):
        require_module(self, "portal")
        portal = new_test_user(self.env, "pia", groups="base.group_portal", password=PASSWORD)
        self.assertIn('"op_single_session_login": {', self.login(portal).request("/my").text)
        self.assertNotIn('"op_single_session_login": {', Device(self).request("/web/login").text)


@tagged("post_install", "-at_install")
class TestParameters(TransactionCase):
    def set_interval(self, value):
        self.env["ir.config_parameter"].set_param(PARAMETER, value)
        return get_poll_interval(self.env.user.with_user(new_test_user(self.env, f"u{time.time()}")).env)

    def test_default(self):
        self.assertEqual(get_poll_interval(self.env), 30)

    def test_values(self):
        for value, interval in (
            *(("5", 5), (" 60 ", 60), ("3600", 3600), ("0", 0)),
            *(("soon", 30), ("1.5", 30), ("-7", 5), ("2", 5), ("99999", 3600), ("9" * 5000, 30)),
        ):
            self.assertEqual(self.set_interval(value), interval, value)

    def test_retention_days(self):
        parameter = "op_single_session_login.retention_days"
        self.assertEqual(get_retention_days(self.env), 90)
        values = (("7", 7), (" 30 ", 30), ("3650", 3650), ("0", 7), ("-1", 7), ("3", 7), ("99999", 3650), ("soon", 90))
        for value, days in values:
            self.env["ir.config_parameter"].set_param(parameter, value)
            self.assertEqual(get_retention_days(self.env), days, value)

    def test_uninstallation_removes_them(self):
        self.env["ir.config_parameter"].set_param(PARAMETER, "60")
        _remove_parameters(self.env)
        self.assertFalse(self.env["ir.config_parameter"].search([("key", "=like", "op_single_session_login.%")]))
