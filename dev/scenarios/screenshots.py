"""Takes the pictures for the addon's page in the Apps menu, and draws its icon and banner."""

import base64

from browsers import Proxy, Tab
from playwright.sync_api import expect

from devtools.environment import REPOSITORY
from servers import ENVIRONMENT, PASSWORD, Device, Server

DESCRIPTION = REPOSITORY / "static" / "description"
CHROME = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/142.0.0.0 Safari/537.36"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
PEOPLE = {"ada": "Ada Lindqvist", "bruno": "Bruno Costa", "chiara": "Chiara Rossi", "dev": "Dev Sharma"}

BANNER = """
<body style="margin: 0; width: 1120px; height: 560px; box-sizing: border-box; padding: 56px 64px; color: #fff;
             background: linear-gradient(135deg, #1c8c82, #0f4c5c); font-family: Roboto, 'DejaVu Sans', sans-serif">
  <div style="display: flex; align-items: center; gap: 32px">
    <div style="width: 128px; height: 128px">{icon}</div>
    <div>
      <div style="font-size: 60px; font-weight: 700">Single Session Login</div>
      <div style="font-size: 28px">One active session per user: the newest login wins</div>
    </div>
  </div>
  <div style="position: relative; margin-top: 48px; height: 400px">
    <img src="data:image/png;base64,{page}" style="width: 700px; border-radius: 12px; box-shadow: 0 8px 40px #0008">
    <img src="data:image/png;base64,{notification}"
         style="position: absolute; left: 412px; top: 64px; width: 580px; border-radius: 8px;
                box-shadow: 0 8px 40px #000a">
  </div>
</body>
"""


def test_screenshots(make_template, make_database, folder, browser):
    modules = "portal,op_single_session_login"
    template = make_template("pictures", ENVIRONMENT.template, "-i", modules, modules=[ENVIRONMENT.addon_folder])
    with (
        Server([make_database("pictures", template)], folder / "pictures", "--proxy-mode") as server,
        Proxy(server) as proxy,
    ):
        make_people(server)
        tabs = [open_tab(browser, proxy, number) for number in range(2)]
        take_pictures(server, *tabs, folder)
        draw(browser, folder)


def make_people(server):
    admin = Device(server).login("admin", "admin")
    for login, name in PEOPLE.items():
        values = {"name": name, "login": login, "password": PASSWORD, "tz": "Europe/Paris"}
        assert admin.call("res.users", "create", values)["result"]
    assert admin.call("res.users", "write", [2], {"name": "Grace Adeyemi", "password": PASSWORD})["result"]


def come_from(headers, server, number):
    """Make requests come from an IP address that is reserved for documentation."""
    headers.update({"X-Forwarded-For": f"192.0.2.{number}", "X-Forwarded-Host": f"127.0.0.1:{server.port}"})


def open_tab(chromium, proxy, number):
    headers = {}
    come_from(headers, proxy, 10 + number)
    context = chromium.new_context(
        viewport={"width": 1360, "height": 640},
        user_agent=CHROME,
        extra_http_headers=headers,
        timezone_id="Europe/Paris",
    )
    return Tab(context, proxy.url)


def log_in(server, login, user_agent, number):
    device = Device(server)
    device.http.headers["User-Agent"] = user_agent
    come_from(device.http.headers, server, number)
    return device.login(login)


def take_pictures(server, employee, administrator, folder):
    log_in(server, "bruno", FIREFOX, 21)
    log_in(server, "chiara", CHROME, 22)
    log_in(server, "dev", SAFARI, 23).get("/web/session/logout")
    log_in(server, "bruno", SAFARI, 24)
    employee.login("ada")
    log_in(server, "ada", FIREFOX, 25)
    expect(employee.notification).to_be_visible()
    employee.page.wait_for_timeout(600)  # it fades in
    picture(employee, "notification")
    employee.notification.screenshot(path=folder / "notification.png")
    employee.expect_login_page()
    picture(employee, "login_page")

    administrator.login("admin").open("/web#action=op_single_session_login.op_single_session_login_action")
    page = administrator.page
    page.locator(".o_data_row", has_text="Chiara").get_by_role("button", name="End session").click()
    administrator.prove_identity()
    expect(page.locator(".o_data_row", has_text="Ended by an administrator")).to_be_visible()
    page.locator(".o_notification_close").first.click()
    expect(page.locator(".o_notification")).to_have_count(0)
    picture(administrator, "login_log")
    administrator.open("/web#action=base.action_res_users")
    page.locator(".o_cp_switch_buttons .o_list").click()
    page.locator(".o_data_row", has_text="Chiara").first.locator("td[name=name]").click()
    page.get_by_role("tab", name="Access Rights").click()
    page.locator("div[name=allow_multiple_sessions] input").check()
    page.locator("div[name=allow_multiple_sessions]").scroll_into_view_if_needed()
    picture(administrator, "checkbox")


def picture(tab, name):
    tab.page.mouse.move(0, 0)
    tab.page.wait_for_timeout(300)
    tab.page.screenshot(path=DESCRIPTION / f"{name}.png")


def draw(chromium, folder):
    """Draw the icon as PNG, and the banner from the icon and the pictures."""
    icon = (DESCRIPTION / "icon.svg").read_text()
    page = chromium.new_page(viewport={"width": 128, "height": 128})
    page.set_content(f'<body style="margin: 0">{icon}</body>')
    page.screenshot(path=DESCRIPTION / "icon.png", omit_background=True)
    page.set_viewport_size({"width": 1120, "height": 560})
    pictures = {"page": DESCRIPTION / "notification.png", "notification": folder / "notification.png"}
    page.set_content(BANNER.format(icon=icon, **{name: encoded(path) for name, path in pictures.items()}))
    page.screenshot(path=DESCRIPTION / "banner.png")


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()
