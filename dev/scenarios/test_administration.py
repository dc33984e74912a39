"""What administrators see and do, in a real browser."""

import pytest
from playwright.sync_api import expect

from servers import PASSWORD, Device

LIST = "/web#action=op_single_session_login.action_login_session"


@pytest.fixture
def administrator(open_tab):
    return open_tab().login("eve")


def open_register(tab):
    """Go the way of an administrator: Settings > Users & Companies > Login Sessions."""
    tab.open("/web#action=base.action_res_users")
    tab.page.locator(".o_menu_sections button", has_text="Users & Companies").click()
    tab.page.get_by_role("menuitem", name="Login Sessions").click()
    expect(tab.page.locator(".o_breadcrumb")).to_contain_text("Login Sessions")


def row_of(tab, login):
    return tab.page.locator(".o_data_row", has_text=login).first


def test_end_session(administrator, open_tab, login):
    """The employee's page is told at once; the administrator proves who he is first."""
    employee = open_tab().login(login)
    open_register(administrator)
    row = row_of(administrator, login)
    expect(row).to_contain_text("Active")
    administrator.screenshot("register")
    row.get_by_role("button", name="End session").click()
    administrator.page.locator(".modal input[type=password]").fill(PASSWORD)
    administrator.page.locator(".modal footer .btn-primary").click()
    employee.expect_toast("Your session has ended", "ended by an administrator", "about to refresh", seconds=2)
    employee.screenshot("ended-by-administrator-toast")
    expect(administrator.page.locator(".o_notification")).to_contain_text("Sessions ended: 1")
    expect(row).to_contain_text("Ended by an administrator")
    administrator.screenshot("register-ended")
    employee.expect_login_page("ended by an administrator")
    employee.screenshot("ended-by-administrator-login-page")
