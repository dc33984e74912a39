"""Single sign-on without a click: two open browsers of one user without any input, and identity providers."""

import contextlib
import functools
import json
from urllib.parse import urlencode

import pytest
from browsers import Proxy
from identity_providers import oauth_provider, saml_provider

from servers import OTHER_ADDONS, PACKAGES_ENVIRON, Device, Server, alive, load, odoo, psql

ENDED = "Your session has ended"
REASON = "another device: \u2068Chrome (Linux)\u2069"
OPTIONS = {"addons": [OTHER_ADDONS], "environ": PACKAGES_ENVIRON}
LOAD = load("op_single_session_login_saml")
USER = "ada"


@pytest.fixture
def run(make_database, plain_database, folder):
    """Serve a database with the addon, a module for single sign-on, and a provider for one user."""
    running = contextlib.ExitStack()

    def start(module, make_provider, script=""):
        database = make_database(module, plain_database)
        server = Server([database], folder / module, LOAD, **OPTIONS)
        shell = functools.partial(odoo, "-d", database, LOAD, **OPTIONS)
        shell("-i", f"op_single_session_login,{module}", "--stop-after-init")
        proxy = Proxy(server)
        shell(script=running.enter_context(make_provider(proxy.url)) + script)
        running.enter_context(server)
        return running.enter_context(proxy), server

    with running:
        yield start


def count_logins(server):
    """Return how many logins were completed. The provider cannot know: Odoo's service worker asks it for pages too."""
    [[count]] = psql(server.databases[0], "SELECT count(*) FROM op_single_session_login")
    return count


def log_in(tab):
    """Open the login page, as a bookmark does. It logs in without asking."""
    tab.page.goto(f"{tab.url}/web/login?redirect=/web", wait_until="commit")
    return tab


# ---------------- Modules with a parameter that stops the automatic login ----------------


PROVIDERS = {
    "auth_oauth_autologin": lambda url: oauth_provider(USER, autologin=True),  # for 17.0 only
    "auth_saml": lambda url: saml_provider(USER, url),
}


@pytest.mark.parametrize("module", [module for module in PROVIDERS if (OTHER_ADDONS / module).is_dir()])
def test_a_page_that_leaves_by_itself_does_not_log_in(run, open_tab, module):
    site, server = run(module, PROVIDERS[module])
    first, second = open_tab(site.url), open_tab(site.url)
    log_in(first).wait_until_loaded()
    log_in(second)
    first.expect_notification(ENDED, REASON)
    first.expect_login_page(ENDED, REASON)
    first.page.wait_for_load_state("networkidle")
    first.screenshot(f"{module}-login-page")
    second.wait_until_loaded().expect_nothing()
    first.expect_login_page(ENDED, REASON)
    assert count_logins(server) == 2
    # the login page, opened without such a parameter, logs in
    log_in(first)
    second.expect_notification(ENDED, REASON)
    first.wait_until_loaded().expect_nothing()
    second.expect_login_page(ENDED, REASON)
    assert count_logins(server) == 3
    # auth_saml logs this on 18.0 and 19.0
    assert [line for line in server.unexpected_log_lines() if "ignoring args {'redirect'}" not in line] == []


# ---------------- A module without such a parameter ----------------


def test_each_browser_leaves_by_itself_once(run, open_tab):
    """The notification stays and shows the reason, since users never see the login page."""
    site, server = run("op_single_session_login_autologin", lambda url: oauth_provider(USER))
    first, second = open_tab(site.url), open_tab(site.url)
    place = log_in(first).wait_until_loaded().path
    log_in(second)
    first.expect_notification(ENDED, REASON, "about to refresh")
    second.wait_until_loaded()
    second.expect_notification(ENDED, REASON, "about to refresh")  # the first one has logged in again by itself
    first.wait_until_loaded()
    first.expect_notification(ENDED, REASON, "Log in to continue")  # and so has the second one
    second.wait_until_loaded().expect_nothing()
    assert count_logins(server) == 4
    first.screenshot("stays-notification")
    first.page.wait_for_timeout(8000)  # longer than a countdown
    first.expect_notification(ENDED, REASON, "Log in to continue")
    assert first.path == place
    second.expect_nothing()
    assert count_logins(server) == 4
    first.notification.get_by_role("button", name="Log in").click()
    second.expect_notification(ENDED, REASON, "Log in to continue")
    assert first.wait_until_loaded().path == place
    first.expect_nothing()
    assert count_logins(server) == 5
    assert server.unexpected_log_lines() == []


# ---------------- The hint on the user form ----------------

ALLOW = "user.allow_multiple_sessions = True\nenv.cr.commit()"  # after the provider's script


def test_hint_on_the_user_form(run):
    """With this module, an OAuth login ends no other session. tests/test_administration.py covers core's."""
    _site, server = run("auth_oauth_multi_token", lambda url: oauth_provider(USER), script=ALLOW)
    first, second = Device(server), Device(server)
    for number, device in enumerate((first, second)):
        [[provider_id]] = psql(device.database, "SELECT id FROM auth_oauth_provider WHERE enabled")
        state = json.dumps({"d": device.database, "p": provider_id})
        device.get("/auth_oauth/signin?" + urlencode({"access_token": f"{USER}-{number}", "state": state}))
    assert alive(first, second) == [True, True]
    admin = Device(server).login("admin", "admin")
    [user] = admin.call("res.users", "search_read", [["login", "=", USER]], ["session_note"])["result"]
    assert not user["session_note"]
    assert server.unexpected_log_lines() == []
