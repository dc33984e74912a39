"""What users see: two browsers, with and without the websocket, on backend and portal pages."""

import re

import pytest
from browsers import NEW_LOGIN, NOTIFICATION, ClosingWebsocket, Proxy, Tab, serving
from playwright.sync_api import expect

from servers import ENVIRONMENT, POLL_INTERVAL, STATUS, Device, Server, psql

ENDED = "Your session has ended"
REASON = "Your account was used to log in on another device: \u2068Chrome (Linux)\u2069"


def another_tab(tab):
    return Tab(tab.page.context, tab.url)


# ---------------- From the end to the next login ----------------


def expect_same_in_turn(first, second, login, place, *reason):
    """Log in again in the first browser, which comes back to its page. The second one is notified."""
    second.open("/my" if place.startswith("/my") else "/web").wait_until_loaded()
    first.send_login(login, wait=False)
    second.expect_notification(ENDED, *reason)
    assert first.wait_until_loaded().path == place


def test_with_the_websocket(open_tab, login, poll_every):
    poll_every(0)
    first, second = open_tab().login(login, path="/web?debug=1"), open_tab()
    place = first.path
    second.log_in(login)
    first.expect_notification(ENDED, REASON, "about to refresh", "Unsaved changes will be lost")
    first.screenshot("backend-notification")
    assert first.expect_login_page(ENDED, REASON, "change your password") == place
    first.screenshot("backend-login-page")
    expect_same_in_turn(first, second, login, place, REASON)


def test_without_the_websocket(open_tab, site_without_websocket, login, poll_every):
    poll_every(5)
    first, second = (open_tab(site_without_websocket.url) for _ in range(2))
    place = first.login(login).path
    second.log_in(login)
    first.expect_notification(ENDED, REASON)
    assert first.leave(REASON) == place
    expect_same_in_turn(first, second, login, place, REASON)


@pytest.mark.parametrize("websocket", [True, False])
def test_portal_page(open_tab, make_site, poll_every, websocket):
    poll_every(0 if websocket else 5)
    url = make_site(websocket=websocket).url
    first, second = open_tab(url).login("pia", path="/my"), open_tab(url)
    first.open("/my/account?here=1").wait_until_loaded()
    second.log_in("pia")
    first.expect_notification(ENDED, REASON)
    first.screenshot("portal-notification")
    assert first.expect_login_page(REASON) == "/my/account?here=1"
    first.screenshot("portal-login-page")
    expect_same_in_turn(first, second, "pia", "/my/account?here=1", REASON)


def test_page_of_a_channel(open_tab, login, poll_every):
    """The page of a public channel has a bundle of its own."""
    poll_every(0)
    first = open_tab().login(login)
    first.open("/discuss/channel/1")
    first.page.wait_for_function("() => window.odoo?.singleSession")
    first.page.wait_for_selector(".o-mail-Composer")
    open_tab().log_in(login)
    first.expect_notification(ENDED, REASON)
    first.screenshot("channel")
    assert first.leave(REASON) == "/discuss/channel/1"


# The title and the reason in the old browser.
TEXTS = {
    "fr_FR": ("Votre session est terminée", "Une connexion à votre compte a eu lieu sur un autre appareil"),
    "de_DE": ("Ihre Sitzung wurde beendet", "Mit Ihrem Konto hat sich jemand auf einem anderen Gerät angemeldet"),
    "es_ES": ("Su sesión ha finalizado", "Se inició sesión con su cuenta en otro dispositivo"),
    "nl_NL": ("Je sessie is beëindigd", "Er is op een ander apparaat aangemeld met je account"),
    "pt_BR": ("Sua sessão foi encerrada", "Sua conta foi usada para fazer login em outro dispositivo"),
    "it_IT": ("La tua sessione è terminata", "È stato effettuato l'accesso al tuo account"),
    "ar_001": ("انتهت جلستك", "تم تسجيل الدخول إلى حسابك من جهاز آخر"),
    "hi_IN": ("आपका सेशन समाप्त हो गया है", "किसी अन्य डिवाइस से आपके खाते में लॉग इन किया गया"),
}


def expect_language(tab, page, lang):
    tab.expect_notification(*TEXTS[lang])
    assert style(tab.notification, "direction") == ("rtl" if lang == "ar_001" else "ltr")
    tab.screenshot(f"{page}-notification-{lang}")
    tab.leave(*TEXTS[lang])
    tab.screenshot(f"{page}-login-page-{lang}")


# The others are in test_administration.py, on backend pages.
@pytest.mark.parametrize("lang", ["fr_FR", "ar_001"])
def test_languages(launch_in, open_tab, admin, lang):
    admin.write_user("pia", lang=lang, tz="Asia/Tokyo")
    try:
        first = open_tab(browser=launch_in(lang.replace("_", "-"))).login("pia", path="/my")
        open_tab().log_in("pia")
        expect_language(first, "portal", lang)
    finally:
        admin.write_user("pia", lang="en_US")


# The cookie of an ended session names no database. 19.0 takes it from a header of the page's request. On 17.0 and 18.0,
# the notification gives no reason, and the login page does.
REASON_AMONG_SEVERAL = [REASON] if ENVIRONMENT.series == "19.0" else []


@pytest.fixture
def site_of_several(make_site, shared_server):
    return make_site(shared_server)


@pytest.fixture
def second_database(shared_server):
    return shared_server.databases[1]


def test_several_databases(site_of_several, second_database, open_tab, login):
    first, second = open_tab(site_of_several.url), open_tab(site_of_several.url)
    asked = first.collect_status_requests()
    place = first.login(login, path="/web?debug=1", database=second_database).path
    second.log_in(login, second_database)
    first.expect_notification(ENDED, *REASON_AMONG_SEVERAL, "about to refresh")
    first.screenshot("several-databases-notification")
    assert first.expect_login_page(ENDED, REASON) == place
    first.screenshot("several-databases-login-page")
    assert len(asked) <= 4
    expect_same_in_turn(first, second, login, place, *REASON_AMONG_SEVERAL)
    assert first.page.evaluate("odoo.singleSession.config.db") == second_database


def test_several_databases_of_a_portal_user(site_of_several, second_database, open_tab):
    first, second = open_tab(site_of_several.url), open_tab(site_of_several.url)
    first.login("pia", path="/my", database=second_database)
    second.log_in("pia", second_database)
    first.expect_notification(ENDED, *REASON_AMONG_SEVERAL)
    assert first.expect_login_page(ENDED, REASON) == "/my"


def test_login_to_another_database_in_the_same_browser(shared_server, site_of_several, open_tab, login):
    """The page of the first database stays: nobody has ended its session."""
    database, other = shared_server.databases
    first = open_tab(site_of_several.url).login(login, database=database)
    # not in another tab: a late answer to this one would bring its cookie back
    sid = Device(shared_server, other).login("bob").sid
    first.page.context.add_cookies([{"name": "session_id", "value": sid, "url": first.url}])
    first.expect_nothing(ignored="Missing Record")  # Odoo's own dialog: the other database may not have it


def test_lost_close_code_among_several_databases(shared_server, second_database, site_of_several, open_tab, login):
    """A proxy drops the websocket without the code that says why, and Odoo has no database for a new one."""
    administrator = Device(shared_server, second_database).login("eve")
    administrator.set_parameter(POLL_INTERVAL, "0")
    try:
        first = open_tab(site_of_several.url)
        with first.page.expect_response(f"**{STATUS}*"):  # the page asks when its websocket is connected
            first.login(login, database=second_database)
        with site_of_several.stopped():
            Device(shared_server, second_database).login(login)
        first.expect_notification(ENDED, seconds=60)
    finally:
        administrator.set_parameter(POLL_INTERVAL, "30")


def test_click_among_several_databases(shared_server, second_database, make_site, open_tab, login):
    """Odoo does not know the database of the call, and answers 404."""
    url = make_site(shared_server, websocket=False).url
    first = open_tab(url).login(login, database=second_database)
    first.wait_for_status()  # and then not for five seconds
    open_tab(url).log_in(login, database=second_database)
    click_preferences(first)
    first.expect_notification(ENDED, *REASON_AMONG_SEVERAL, seconds=10)
    first.expect_login_page(REASON)


def click_preferences(tab):
    tab.page.locator(".o_user_menu button").first.click()
    tab.page.locator(".o-dropdown--menu [data-menu=preferences], .o-dropdown--menu [data-menu=settings]").click()


# ---------------- Tabs ----------------


def test_all_tabs(open_tab, login):
    first = open_tab().login(login)
    other = another_tab(first).open("/web").wait_until_loaded()
    open_tab().log_in(login)
    for tab in (first, other):
        tab.expect_notification(ENDED, REASON)
    for tab in (first, other):
        tab.expect_login_page()


def test_tabs_of_the_new_browser(open_tab, login):
    open_tab().login(login)
    winner = open_tab().login(login)
    winner.expect_nothing()
    another_tab(winner).open("/web").wait_until_loaded().expect_nothing()


def test_login_again_in_the_same_browser(open_tab, login):
    """The other tabs use the new session."""
    first = open_tab().login(login)
    another_tab(first).open("/web/login").send_login(login)
    first.expect_nothing()
    first.page.reload()
    first.wait_until_loaded().expect_nothing()


def test_login_of_another_user_in_the_same_browser(open_tab, login, people):
    first = open_tab().login(login)
    another_tab(first).open("/web/login").send_login(people.pop())
    first.expect_nothing()


def test_login_again_in_another_tab_keeps_the_page(open_tab, login):
    first = open_tab().login(login)
    open_tab().log_in(login)
    first.expect_notification(ENDED)
    first.set_visible(False)  # and does not count down
    place = first.path
    another_tab(first).open("/web/login").send_login(login)
    first.set_visible(True)
    expect(first.notification).to_have_count(0, timeout=20_000)
    assert first.path == place


# ---------------- The button, forms, calls ----------------


def test_button_by_keyboard(open_tab, login):
    first = open_tab().login(login)
    open_tab().log_in(login)
    first.expect_notification(ENDED)
    first.set_visible(False)  # so that it does not count down
    snapshot = first.notification.aria_snapshot()
    assert "- alert" in snapshot, snapshot
    assert 'button "Log in"' in snapshot, snapshot
    button = first.notification.get_by_role("button", name="Log in")
    button.focus()
    expect(button).to_be_focused()
    first.page.keyboard.press("Enter")
    first.expect_login_page(REASON)


def open_user_form(tab):
    """Open the form of a new user, which cannot be saved yet."""
    tab.open("/web?debug=1").wait_until_loaded()
    tab.page.evaluate(
        """() => odoo.__WOWL_DEBUG__.root.env.services.action.doAction(
            {type: "ir.actions.act_window", res_model: "res.users", views: [[false, "form"]], target: "current"})"""
    )
    tab.page.locator(".o_field_widget[name=login] input").fill("somebody")


def test_invalid_form_does_not_hold_up_the_page(open_tab, login, people):
    """After a click, the form or another addon could ask in a native dialog whether to leave the page."""
    first = open_tab().login("eve")
    open_user_form(first)
    first.page.evaluate("window.addEventListener('beforeunload', (ev) => ev.preventDefault())")
    open_tab().log_in("eve")
    first.expect_notification(ENDED, "Unsaved changes will be lost")
    first.screenshot("form-notification")
    first.expect_login_page(REASON)


def test_click_before_the_notification(open_tab, site_without_websocket, login, poll_every):
    poll_every(0)
    first = open_tab(site_without_websocket.url).login(login)
    first.wait_for_status()  # and then not for five seconds
    open_tab(site_without_websocket.url).log_in(login)
    click_preferences(first)
    first.expect_notification(ENDED, REASON)
    expect(first.page.locator(".o_dialog")).to_have_count(0)
    first.screenshot("call-notification")
    first.leave(REASON)


def test_save_before_the_notification(open_tab, site_without_websocket, poll_every):
    """A form keeps its unsaved changes, and no dialog covers the notification."""
    poll_every(0)
    first = open_tab(site_without_websocket.url).login("eve")
    open_user_form(first)
    first.page.locator(".o_field_widget[name=name] input, .o_field_widget[name=name] textarea").first.fill("Somebody")
    first.wait_for_status()  # and then not for five seconds
    open_tab(site_without_websocket.url).log_in("eve")
    first.page.locator(".o_form_button_save").click()
    first.expect_notification(ENDED, REASON)
    expect(first.page.locator(".o_dialog")).to_have_count(0)
    first.leave(REASON)


def open_upload(tab, kind):
    """Open a page with a file input that no call of Odoo's client sends, and return the input."""
    if kind == "attachment":
        tab.open("/web#action=base.action_partner_form&view_type=form&id=1").wait_until_loaded()
        upload = ".o-mail-Chatter input[type=file]"
    else:
        action = {"type": "ir.actions.client", "tag": "import", "params": {"model": "res.partner"}}
        tab.page.evaluate("action => odoo.__WOWL_DEBUG__.root.env.services.action.doAction(action)", action)
        upload = ".o_action_manager input[type=file]"
    tab.page.wait_for_selector(upload, state="attached")
    return tab.page.locator(upload).first


FILE = {"name": "a.csv", "mimeType": "text/csv", "buffer": b"name\nAda\n"}


@pytest.mark.parametrize(("kind", "websocket"), [("attachment", True), ("import", True), ("attachment", False)])
def test_upload_in_an_ended_page(open_tab, make_site, poll_every, kind, websocket):
    """Odoo itself says *Not Found* or *Oops!*, if anything. Without the websocket, the page polls."""
    poll_every(0 if websocket else 5)
    url = make_site(websocket=websocket).url
    first = open_tab(url).login("eve")
    upload = open_upload(first, kind)
    open_tab(url).log_in("eve")
    upload.set_input_files(FILE)
    first.expect_notification(ENDED, REASON)
    first.screenshot(f"upload-{kind}")
    first.expect_login_page(REASON)


def test_new_browser_says_what_it_ended(open_tab, login):
    open_tab().login(login)
    second = open_tab()
    second.login(login)
    shown = second.page.locator(NEW_LOGIN)
    expect(shown).to_contain_text("This login ended your session on \u2068Chrome (Linux)\u2069, open since")
    expect(shown).to_contain_text("If this wasn't you, change your password.")
    second.screenshot("new-login")
    shown.get_by_role("button", name="Change password").click()
    expect(second.page.locator(".o_form_view")).to_contain_text("Security")
    expect(shown).to_have_count(0)
    second.screenshot("new-login-preferences")
    second.page.reload()
    second.wait_until_loaded().expect_nothing()
    expect(shown).to_have_count(0)


def test_new_browser_whose_session_ends_in_turn(open_tab, login):
    """One notification is enough."""
    open_tab().login(login)
    second = open_tab().login(login)
    expect(second.page.locator(NEW_LOGIN)).to_have_count(1)
    open_tab().log_in(login)
    second.expect_notification(ENDED, REASON)
    second.screenshot("new-login-ended")
    expect(second.page.locator(NEW_LOGIN)).to_have_count(0)
    second.expect_login_page(REASON)


def lose_cookie(tab, _server):
    """The browser does not send it, as after a cross-site form of an identity provider."""
    tab.page.context.clear_cookies(name="session_id")


def lose_session(tab, server):
    """The server no longer knows the session, as after a deployment without its session files."""
    [sid] = (cookie["value"] for cookie in tab.page.context.cookies() if cookie["name"] == "session_id")
    files = server.files_of(sid)
    assert files
    for file in files:
        file.unlink()


@pytest.mark.parametrize("lose", [lose_cookie, lose_session])
def test_a_browser_knows_its_own_session(open_tab, single_database_server, login, lose):
    """A login says nothing of the session that this browser had itself."""
    first = open_tab().login(login)
    lose(first, single_database_server)
    first.login(login)
    expect(first.page.locator(NEW_LOGIN)).to_have_count(0)
    # another browser's session is shown
    second = open_tab().login(login)
    expect(second.page.locator(NEW_LOGIN)).to_have_count(1)
    first.login(login)
    expect(first.page.locator(NEW_LOGIN)).to_contain_text("This login ended your session on")


def test_a_browser_knows_its_own_session_after_another_database(site_of_several, shared_server, open_tab, login):
    first = open_tab(site_of_several.url)
    for database in (*shared_server.databases, shared_server.databases[0]):
        first.login(login, database=database)
        expect(first.page.locator(NEW_LOGIN)).to_have_count(0)
        first.page.goto("about:blank")  # a late answer to the page would bring its cookie back


def test_new_browser_of_a_portal_user(open_tab):
    open_tab().login("pia", path="/my")
    second = open_tab().login("pia", path="/my")
    second.page.locator(NEW_LOGIN).get_by_role("button", name="Change password").click()
    second.page.wait_for_url("**/my/security")
    expect(second.page.locator("input[name=old]")).to_be_visible()


# The last one is as wide as a small laptop's at 200 %.
@pytest.mark.parametrize("path", ["/web", "/my"])
def test_layout(open_tab, login, path):
    """The title stands out, the text has the notification's width, the button stands below and is big enough."""
    login = login if path == "/web" else "pia"
    tab = open_tab().login(login, path=path)
    open_tab().log_in(login)
    tab.expect_notification(ENDED)
    tab.set_visible(False)  # so that it does not count down
    for width, height in ((1280, 800), (390, 844), (320, 640), (640, 400)):
        tab.page.set_viewport_size({"width": width, "height": height})
        tab.screenshot(f"layout-{path.strip('/')}-{width}")
        expect_layout(tab, width, height)


def expect_layout(tab, width, height):
    text = tab.notification.locator(".o_notification_content").first.bounding_box()
    button = tab.notification.locator("button.btn").last.bounding_box()
    whole = tab.notification.bounding_box()
    assert text["width"] > 0.7 * whole["width"]
    assert button["y"] >= text["y"] + text["height"]
    assert button["height"] >= (44 if width < 576 else 30)
    assert whole["x"] >= 0
    assert whole["x"] + whole["width"] <= width
    assert button["x"] >= whole["x"]
    assert button["x"] + button["width"] <= whole["x"] + whole["width"]
    assert button["y"] + button["height"] <= min(height, whole["y"] + whole["height"])
    assert int(style(tab.notification.locator("strong"), "fontWeight")) >= 500
    background = style(tab.notification.locator("button.btn").last, "backgroundColor")
    assert re.fullmatch(r"rgb\(\d+, \d+, \d+\)", background), "a button, not a link"


def style(locator, name):
    return locator.evaluate("(element, name) => getComputedStyle(element)[name]", name)


def test_expired_session(open_tab, site_without_websocket, login, poll_every):
    """After a logout in another tab, the page stays until the user clicks, then says that the session has expired."""
    poll_every(5)
    first = open_tab(site_without_websocket.url).login(login).wait_for_service_worker()
    place = first.path
    other = another_tab(first)
    for _ in range(5):  # in plain Odoo too, a running request can save the session again
        if other.open("/web/session/logout").path.startswith("/web/login"):
            break
    assert other.path.startswith("/web/login")
    first.page.wait_for_timeout(6000)
    expect(first.notification).to_have_count(0)
    first.page.bring_to_front()  # a tab behind another one draws nothing
    click_preferences(first)
    first.expect_notification("Your session has expired", "about to refresh")
    assert "another device" not in first.notification.inner_text()
    expect(first.notification).to_be_in_viewport()
    first.screenshot("expired-notification")
    assert first.expect_login_page() == place
    first.send_login(login)


# ---------------- Frames ----------------

SERVICE = "() => Boolean(window.odoo?.singleSession)"


@pytest.fixture
def site_in_frames(make_site):
    return make_site(frames=True)


@pytest.mark.parametrize("origin", ["url", "other_url"])
def test_in_a_frame_of_a_page_that_does_not_watch(open_tab, site_in_frames, login, origin):
    first, second = open_tab(site_in_frames.url).login(login), open_tab(site_in_frames.url)
    first.page.goto(f"{getattr(site_in_frames, origin)}/around?page=/web")
    frame = first.page.frames[1]
    frame.wait_for_function(SERVICE)
    second.log_in(login)
    expect(frame.locator(NOTIFICATION)).to_contain_text(ENDED, timeout=20_000)
    expect(frame.locator(NOTIFICATION)).to_contain_text(REASON)
    first.screenshot(f"frame-notification-{origin}")
    frame.wait_for_url("**/web/login?**", timeout=20_000)
    expect(frame.locator(".alert-warning")).to_contain_text(REASON)
    first.screenshot(f"frame-login-page-{origin}")


def test_in_a_frame_of_a_page_that_watches(open_tab, site_in_frames, login):
    first = open_tab(site_in_frames.url).login(login)
    first.page.evaluate("document.body.append(Object.assign(document.createElement('iframe'), {src: '/web'}))")
    frame = first.page.frames[1]
    frame.wait_for_function("() => window.odoo?.__WOWL_DEBUG__?.root?.env.services.notification")
    assert not frame.evaluate(SERVICE)
    open_tab(site_in_frames.url).log_in(login)
    first.expect_notification(ENDED, REASON)
    expect(frame.locator(NOTIFICATION)).to_have_count(0)
    first.leave(REASON)


# ---------------- The login page ----------------

# Ways to load the login page that no user sees; each resolves when it is loaded.
UNSEEN = {
    "script": "fetch('/web/login').then((answer) => answer.text())",
    "prefetch": """new Promise((resolve) => document.head.append(Object.assign(document.createElement("link"),
        {rel: "prefetch", href: "/web/login", onload: resolve})))""",
    "frame": """new Promise((resolve) => document.body.append(Object.assign(document.createElement("iframe"),
        {src: "/web/login", hidden: true, onload: resolve})))""",
}
IS_SHOWN = "() => document.cookie.includes('op_single_session_login_shown')"


@pytest.mark.parametrize("host", ["127.0.0.1", "odoo.test"])
def test_reason_counts_as_shown_when_it_was_seen(open_tab, site, login, host):
    url = site.url.replace("127.0.0.1", host)
    first = open_tab(url).login(login).open("/web/health")  # a page without the service
    open_tab().log_in(login)
    first.page.wait_for_function(f"async () => (await (await fetch('{STATUS}')).json()).state == 'ended'")
    for what, load in UNSEEN.items():
        first.page.evaluate(load)
        assert not first.page.evaluate(IS_SHOWN), what
    hidden = first.page.frames[1]
    expect(hidden.locator(".alert-warning")).to_contain_text(REASON)  # the page has the reason
    hidden.wait_for_function(
        """() => "single_session_login_page" in
            (window.odoo?.__WOWL_DEBUG__?.root?.env.services || window.odoo?.__DEBUG__?.services || {})"""
    )
    assert not first.page.evaluate(IS_SHOWN)
    first.open("/web/login?redirect=/web")
    expect(first.page.locator(".alert-warning")).to_contain_text(REASON)
    first.page.wait_for_function(IS_SHOWN)
    first.page.reload()
    expect(first.page.locator(".alert-warning")).to_have_count(0)


# ---------------- Proxies ----------------


def test_proxy_that_closes_websockets(open_tab, make_site, login):
    """Each websocket is accepted and closed. However often Odoo's client connects, a page asks every five seconds."""
    seconds = 30
    with serving(ClosingWebsocket) as websockets:
        proxy = make_site(websocket=websockets.server_port)
        first = open_tab(proxy.url).login(login)
        tabs = [first, *(another_tab(first).open("/web").wait_until_loaded() for _ in range(2))]
        hidden = tabs[-1]
        hidden.set_visible(False)
        asked = [tab.collect_status_requests() for tab in tabs]
        first.page.wait_for_timeout(seconds * 1000)
        numbers = [len(urls) for urls in asked]
        assert 3 <= min(numbers[:-1]) <= max(numbers[:-1]) <= seconds / 5 + 1, numbers
        assert numbers[-1] == 0, numbers
        urls = [url for urls in asked for url in urls]
        assert len(set(urls)) == len(urls)
        open_tab(proxy.url).log_in(login)
        first.expect_notification(ENDED, REASON)


def test_cache_that_ignores_headers(open_tab, make_site, login):
    """It keeps the first answer for each URL, so no page may ask the same URL twice."""
    url = make_site(cache=True).url
    first, second = open_tab(url).login(login), open_tab(url)
    first.wait_for_status()
    second.log_in(login)
    first.expect_notification(ENDED, REASON)
    first.leave(REASON)
    second.open("/web").wait_until_loaded().expect_nothing()


# ---------------- No answer ----------------


def test_postgresql_outage(server_with_own_postgresql, make_site, open_tab, login):
    """The page sends only requests for which Odoo does not log it out."""
    server, postgresql_outage = server_with_own_postgresql
    first = open_tab(make_site(server).url).login(login)
    # After a failed call, Odoo's own client asks a route that logs the page out. Let it make its calls first.
    first.page.wait_for_timeout(5000)
    with postgresql_outage():
        assert first.wait_for_status().status >= 400
        first.page.wait_for_timeout(2000)  # longer than the other requests of this check take
    expect(first.notification).to_have_count(0)
    first.page.reload()
    first.wait_until_loaded()  # the user is still logged in


def test_server_that_restarts(databases, folder, open_tab, login):
    """An error page of the proxy or a missing network ends nothing. Polling goes on."""
    psql(databases[1], "DELETE FROM ir_config_parameter WHERE key = %s", POLL_INTERVAL)
    psql(databases[1], "INSERT INTO ir_config_parameter (key, value) VALUES (%s, '5')", POLL_INTERVAL)
    server = Server(databases[1:], folder / "restarting")
    with server, Proxy(server) as proxy:
        first = open_tab(proxy.url).login(login)
        place = first.path
        with server.stopped():
            with first.page.expect_response(f"**{STATUS}*", timeout=20_000) as answer:
                pass
            assert answer.value.status == 502
            first.page.context.set_offline(True)
            first.page.wait_for_timeout(6000)
            expect(first.notification).to_have_count(0)
            assert first.path == place
        first.page.context.set_offline(False)
        first.page.wait_for_timeout(1000)
        expect(first.notification).to_have_count(0)
        open_tab(proxy.url).log_in(login)
        first.expect_notification(ENDED, REASON, seconds=60)
        assert first.leave(REASON) == place
