"""A cashier whose session ends: the Point of Sale stays open and keeps its orders."""

import pytest
from browsers import Proxy
from playwright.sync_api import expect

from servers import PASSWORD, Server, odoo, psql, shell, wait_until

ENDED = "Your session has ended"


@pytest.fixture(scope="module")
def shop(make_database, make_template, plain_database, folder):
    """The address of a site with a Point of Sale and a website, the Point of Sale's path, and the database."""
    script = shell("shop", password=PASSWORD)
    template = make_template("shop", plain_database, "-i", "point_of_sale,website", script=script)
    database = make_database("pos", template)
    odoo("-d", database, "-i", "op_single_session_login")
    [[config]] = psql(database, "SELECT id FROM pos_config WHERE name = 'Kiosk'")
    with Server([database], folder / "pos") as server, Proxy(server) as proxy:
        yield proxy.url, f"/pos/ui?config_id={config}", database
        assert server.unexpected_log_lines() == []


class Till:
    """The Point of Sale in a browser."""

    def __init__(self, tab):
        self.tab = tab
        self.page = tab.page

    def wait_until_loaded(self):
        self.page.wait_for_function("() => window.odoo?.singleSession")
        products = self.page.locator(".product-list .product")
        open_register = self.page.get_by_role("button", name="Open Register")
        expect(products.or_(open_register).first).to_be_visible(timeout=60_000)
        if open_register.is_visible():  # on 19.0
            open_register.click()
        expect(products.first).to_be_visible()
        return self

    def sell(self):
        self.page.locator(".product-list .product", has_text="Pencil").click()
        expect(self.order).to_have_count(1)

    def pay(self):
        self.page.locator(".pay-order-button, .actionpad .pay").first.click()
        expect(self.page.locator(".payment-screen")).to_be_visible()
        if not self.page.locator(".paymentline").count():  # with one method alone, 19.0 selects it
            self.page.locator(".paymentmethod", has_text="Coins").click()
        self.validate.click()

    @property
    def validate(self):
        return self.page.locator(".payment-screen .button.next").first

    @property
    def order(self):
        return self.page.locator(".orderline", has_text="Pencil")


def sell_and_log_in_elsewhere(open_tab, url, path, login):
    """Return the Point of Sale with an order in progress. Its session has ended."""
    till = Till(open_tab(url).login(login, path=path, wait=False)).wait_until_loaded()
    till.sell()
    open_tab(url).login(login)
    till.tab.expect_notification(ENDED, seconds=10)
    return till


def test_order_in_progress(open_tab, shop):
    url, path, _database = shop
    till = sell_and_log_in_elsewhere(open_tab, url, path, "cara")
    first = till.tab
    first.expect_notification(ENDED, "Log in to continue. Your orders are kept.")
    first.screenshot("pos-ended")
    first.page.wait_for_timeout(7000)
    expect(first.notification).to_have_count(1)
    first.notification.get_by_role("button", name="Log in").click()
    first.expect_login_page(ENDED)
    first.screenshot("website-login-page")
    widths = [first.page.locator(name).bounding_box()["width"] for name in (".alert-warning", "#login")]
    assert widths[0] == pytest.approx(widths[1], abs=1), "on a website's page, no wider than the form"
    first.send_login("cara", wait=False)
    till.wait_until_loaded()
    expect(till.order).to_have_count(1)
    first.screenshot("pos-again")


def test_paid_order(open_tab, shop):
    """The server refuses it. It is still there when the cashier has logged in again."""
    url, path, database = shop
    till = sell_and_log_in_elsewhere(open_tab, url, path, "carl")
    first = till.tab
    till.pay()
    query = """
        SELECT count(*) FROM pos_order JOIN res_users ON res_users.id = pos_order.user_id
         WHERE res_users.login = 'carl' AND pos_order.state = 'paid'
    """
    assert psql(database, query) == [(0,)]
    first.screenshot("pos-paid")
    first.notification.get_by_role("button", name="Log in").click()
    first.expect_login_page(ENDED)
    first.send_login("carl", wait=False)
    first.page.wait_for_function("() => window.odoo?.singleSession")
    # 19.0 comes back to the payment, 17.0 to the order
    expect(till.validate.or_(till.order).first).to_be_visible(timeout=60_000)
    if till.validate.is_visible():
        expect(first.page.locator(".paymentline")).to_have_count(1)
        till.validate.click()
    else:
        till.pay()
    wait_until(lambda: psql(database, query) == [(1,)])
    first.screenshot("pos-sent")
