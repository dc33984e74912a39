"""What administrators see and do in a real browser."""

import re

import pytest
from playwright.sync_api import expect
from test_browsers import expect_language

from servers import Device, alive, odoo, psql, shell, skip_without_devices


@pytest.fixture
def administrator(open_tab):
    """The tab of an administrator who may only manage users."""
    tab = open_tab().login("max")
    tab.page.reload()  # without the notification about the session that this login ended
    return tab.wait_until_loaded()


def open_users(tab):
    tab.open("/web#action=base.action_res_users")
    tab.page.wait_for_selector(".o_kanban_view, .o_list_view")
    return tab


def open_login_log(tab):
    """Open the login log by its menus: Settings > Users & Companies > Login Sessions."""
    open_users(tab).page.locator(".o_menu_sections button", has_text="Users & Companies").click()
    tab.page.get_by_role("menuitem", name="Login Sessions").click()
    expect(tab.page.locator(".o_breadcrumb")).to_contain_text("Login Sessions")
    return tab


def rows_of(tab, login):
    return tab.page.locator(".o_data_row", has_text=login)


def select(tab, *rows):
    for row in rows:
        row.locator(".o_list_record_selector input").check()


def press(tab, name):
    tab.page.locator(f".o_control_panel button[name={name}]").first.click()


def choose(tab, menu, *names):
    """Choose filters or groups from the menu of the search bar."""
    toggler = tab.page.locator(".o_searchview_dropdown_toggler")
    toggler.click()
    for name in names:
        # items that are chosen have a check mark before their names
        items = tab.page.locator(f".o_{menu}_menu").locator("[role=menuitemcheckbox], button")
        items.filter(has_text=re.compile(rf"^\W*{name}$")).first.click()
    toggler.click()


def expect_notification(tab, text):
    expect(tab.page.locator(".o_notification", has_text=text)).to_have_count(1)


def test_end_session(administrator, open_tab, login):
    """The employee's page is notified at once, after the administrator's identity check."""
    employee = open_tab().login(login)
    row = rows_of(open_login_log(administrator), login).first
    expect(row.locator("td[name=end_reason]")).to_have_text("")
    row.get_by_role("button", name="End session").click()
    administrator.prove_identity()
    texts = ("Your session has ended", "administrator ended this session", "about to refresh")
    employee.expect_notification(*texts, seconds=10)
    employee.screenshot("ended-by-administrator-notification")
    expect_notification(administrator, "Sessions ended: 1")
    expect(row).to_contain_text("Ended by an administrator")
    expect(row.get_by_role("button", name="End session")).to_have_count(0)
    employee.expect_login_page("administrator ended this session")
    employee.screenshot("ended-by-administrator-login-page")


def test_end_session_cleans_up(server, login):
    """The file is deleted, the device is revoked, and the log has one line."""
    device, administrator = Device(server).login(login), Device(server).login("max")
    uid = device.uid
    assert server.files_of(device.sid)
    logins = administrator.call("op.single.session.login", "search", [["user_id", "=", uid]])["result"]
    answer = administrator.prove_identity(administrator.call("op.single.session.login", "action_end", logins))
    assert answer["result"]["params"]["message"] == "Sessions ended: 1"
    assert server.files_of(device.sid) == []
    assert alive(device, administrator) == [False, True]
    line = (
        f"Single session: ENDED count=1 user={uid} reason=administrator by_user={administrator.uid}"
        " by_login=None address=127.0.0.1"
    )
    level, text = server.single_session_lines()[-1]
    assert (level, text.strip()) == ("INFO", line)
    skip_without_devices(server.databases[0])
    query = f"SELECT DISTINCT revoked FROM res_device_log WHERE session_identifier = '{device.sid[:42]}'"
    assert psql(server.databases[0], query) == [(True,)]


def test_end_several_sessions(administrator, open_tab, login, admin):
    """Several at once, but never the administrator's current session."""
    admin.write_user(login, allow_multiple_sessions=True)
    employees = [open_tab().login(login) for _ in range(2)]
    open_login_log(administrator)
    expect(rows_of(administrator, login)).to_have_count(2)
    select(administrator, *rows_of(administrator, login).all(), rows_of(administrator, "max").first)
    press(administrator, "action_end")
    expect(administrator.page.locator(".modal")).to_contain_text("Your current session can't be ended here")
    administrator.screenshot("login-log-own-session")
    administrator.page.locator(".modal footer button").first.click()
    rows_of(administrator, "max").first.locator(".o_list_record_selector input").uncheck()
    press(administrator, "action_end")
    administrator.prove_identity()
    expect_notification(administrator, "Sessions ended: 2")
    for employee in employees:
        employee.expect_notification("administrator ended this session", seconds=10)
    assert administrator.page.locator(".o_single_session_notification").count() == 0


def test_ends(server, login):
    """The login log says how each session of a user ended, and what ended it, on a server with several workers."""
    administrator = Device(server).login("max")
    user = administrator.find_user(login)

    def read(name):
        domain = [["user_id", "=", user], ["end_reason", "!=", "end_all"]]
        rows = administrator.call("op.single.session.login", "search_read", domain, [name], order="id")["result"]
        return [row[name] for row in rows]

    first = Device(server).login(login)
    [ended] = Device(server).login(login).ended
    assert ended["device"] == "\u2068Firefox (Linux)\u2069"
    assert read("end_reason") == ["newer_login", False]
    assert [bool(date) for date in read("end_date")] == [True, False]
    assert read("ended_by_login_id")[0][1] == "Firefox (Linux), 127.0.0.1"
    assert read("ended_by_user_id")[0][0] == user
    first.login(login)
    first.get("/web/session/logout")
    assert read("end_reason") == ["newer_login", "newer_login", "logged_out"]
    last = Device(server).login(login)
    assert read("end_reason")[2:] == ["logged_out", False], "it had ended before"
    assert last.ended == []
    last.login(login)
    assert last.ended == []
    assert read("end_reason")[3:] == ["logged_out", False], "in the same browser"
    administrator.prove_identity(administrator.call("res.users", "action_end_all_sessions", [user]))
    assert read("end_reason")[4:] == ["administrator"]
    assert read("ended_by_user_id")[4][1] == "max"
    assert alive(last) == [False]


def test_new_password(server, login, people):
    """Other sessions end, and the login log has the reason."""
    administrator = Device(server).login("max")
    user = administrator.write_user(login, allow_multiple_sessions=True)
    devices = [Device(server).login(login) for _ in range(2)]
    devices[0].change_password()
    assert alive(*devices) == [True, False]
    rows = administrator.call("op.single.session.login", "search_read", [["user_id", "=", user]], order="id")["result"]
    assert [row["end_reason"] for row in rows] == [False, "logged_out"]


def test_hook(databases):
    """An addon can override the hook. An error in it harms nothing."""
    odoo("-d", databases[1], script=shell("failing_hook"))


def test_search(administrator, open_tab, login):
    for _ in range(2):
        employee = open_tab().login(login)
    open_login_log(administrator)
    choose(administrator, "filter", "Ended")
    expect(rows_of(administrator, login)).to_have_count(1)
    expect(rows_of(administrator, login)).to_contain_text("Ended by a newer login")
    for text in ("Chrome", "Linux", "127.0.0.1"):
        expect(rows_of(administrator, login)).to_contain_text(text)
    administrator.screenshot("login-log-ended")
    choose(administrator, "filter", "Ended", "Open")
    expect(rows_of(administrator, login)).to_have_count(1)
    expect(rows_of(administrator, login)).not_to_contain_text("Ended by")
    choose(administrator, "filter", "Open")
    choose(administrator, "group_by", "User", "Login Date")
    group = administrator.page.locator(".o_group_header", has_text=login)
    expect(group).to_contain_text("(2)")
    administrator.screenshot("login-log-groups")
    administrator.page.locator(".o_cp_switch_buttons .o_graph").click()
    expect(administrator.page.locator(".o_graph_canvas_container canvas")).to_be_visible()
    administrator.screenshot("login-log-graph")
    employee.expect_nothing()


def test_nothing_to_edit(administrator, login):
    """Rows open no form, and no button creates, changes or deletes entries."""
    open_login_log(administrator)
    rows_of(administrator, "max").first.locator("td").nth(2).click()
    administrator.page.wait_for_timeout(500)
    expect(administrator.page.locator(".o_breadcrumb")).to_contain_text("Login Sessions")
    expect(administrator.page.locator(".o_form_view, .o_selected_row, .o_list_button_add")).to_have_count(0)


def test_button_of_a_user(administrator, open_tab, login, admin):
    open_tab().login(login)
    administrator.open(f"/web#action=base.action_res_users&view_type=form&id={admin.find_user(login)}")
    button = administrator.page.locator(".oe_stat_button", has_text="Login Sessions")
    expect(button).to_contain_text("1")
    administrator.page.get_by_role("tab", name="Access Rights").click()
    administrator.screenshot("user-form")
    button.click()
    expect(administrator.page.locator(".o_facet_values")).to_contain_text(login)
    expect(administrator.page.locator(".o_data_row")).to_have_count(1)


def test_bypass_in_bulk(administrator, people):
    logins = [people.pop(0) for _ in range(2)]  # the first ones, which are on the first page
    # not by its button: after that, a list on a busy machine is drawn twice, and forgets what is selected
    administrator.open("/web#action=base.action_res_users&view_type=list")
    for action in ("Allow multiple sessions", "Require a single session"):
        select(administrator, *(rows_of(administrator, login).first for login in logins))
        administrator.page.locator(".o_cp_action_menus button").last.click()
        administrator.page.get_by_role("menuitem", name=action, exact=True).click()
        expect_notification(administrator, "Users updated: 2")
        expect(administrator.page.locator(".o_list_record_selector input:checked")).to_have_count(0)  # reloaded
        administrator.page.locator(".o_notification_close").first.click()
    administrator.screenshot("users-bulk")


# The menu, a reason, the checkbox.
TEXTS = {
    "fr_FR": ("Sessions de connexion", "Terminée par nouvelle connexion", "Autoriser plusieurs sessions"),
    "de_DE": ("Benutzersitzungen", "Durch neuere Anmeldung beendet", "Mehrere Sitzungen erlauben"),
    "es_ES": ("Sesiones de usuario", "Finalizada por nueva sesión", "Permitir varias sesiones"),
    "nl_NL": ("Gebruikerssessies", "Beëindigd door nieuwe aanmelding", "Meerdere sessies toestaan"),
    "pt_BR": ("Sessões de login", "Encerrada por novo login", "Permitir várias sessões"),
    "it_IT": ("Sessioni di accesso", "Terminata da un nuovo accesso", "Consenti sessioni multiple"),
    "ar_001": ("جلسات تسجيل الدخول", "أنهاها تسجيل دخول أحدث", "السماح بجلسات متعددة"),
    "hi_IN": ("लॉगिन सेशन", "नए लॉगिन से समाप्त", "एक से अधिक सेशन की अनुमति दें"),
}


@pytest.mark.parametrize("lang", TEXTS)
def test_languages(launch_in, open_tab, admin, lang):
    title, state, box = TEXTS[lang]
    user = admin.write_user("max", lang=lang, tz="Asia/Tokyo")
    try:
        first = open_tab(browser=launch_in(lang.replace("_", "-"))).login("max")
        tab = open_tab().log_in("max")
        expect_language(first, "backend", lang)
        tab.open("/web#action=op_single_session_login.op_single_session_login_action")
        expect(tab.page.locator(".o_breadcrumb")).to_contain_text(title)
        expect(rows_of(tab, "max").nth(1)).to_contain_text(state)
        tab.screenshot(f"login-log-{lang}")
        tab.open(f"/web#action=base.action_res_users&view_type=form&id={user}")
        tab.page.locator("[name=access_rights]").first.click()
        expect(tab.page.locator(".o_form_view")).to_contain_text(box)
        expect(tab.page.locator(".oe_stat_button", has_text=title)).to_be_visible()
        tab.page.locator("div[name=allow_multiple_sessions]").scroll_into_view_if_needed()
        tab.screenshot(f"user-form-{lang}")
    finally:
        admin.write_user("max", lang="en_US")


def test_page_in_the_apps_menu(open_tab, admin):
    """All pictures load, and everything comes from the server itself."""
    administrator = open_tab().login("eve")
    domain = [["name", "=", "op_single_session_login"]]
    [module] = admin.call("ir.module.module", "search", domain)["result"]
    page, requests = administrator.page, []
    page.on("response", lambda response: requests.append((response.url, response.status)))
    administrator.open(f"/web#model=ir.module.module&view_type=form&id={module}")
    expect(page.locator(".o_form_view")).to_contain_text("the newest login wins")
    pictures = page.locator(".o_field_widget[name=description_html] img")
    expect(pictures).to_have_count(4)
    for picture in pictures.all():
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 1000
    icon = page.locator(".o_field_widget[name=icon_image] img")
    assert icon.evaluate("image => image.naturalWidth") == 128
    assert [url for url, _status in requests if not url.startswith((administrator.url, "data:", "blob:"))] == []
    assert [url for url, status in requests if status >= 400] == []
    page.locator(".o_form_view h1, .o_form_view h2").first.scroll_into_view_if_needed()
    administrator.screenshot("apps-page")
