"""How soon the old browser says that its session has ended, after the answer to the other login."""

import os
import time

from _bench import FOLDER, bench_server, make_users, print_ratio
from browsers import Proxy, Tab
from playwright.sync_api import sync_playwright

from servers import Device

INTERVAL = 5  # seconds, the shortest that may be set
ROUNDS = 10


def main():
    title = (
        f"time from the other login's answer to the notification / the poll interval of {INTERVAL} s, {ROUNDS} rounds"
    )
    with bench_server(title, "addon") as server, sync_playwright() as playwright:
        [login] = make_users(server, "addon", 1)
        admin = Device(server).login("admin", "admin")
        with playwright.chromium.launch(executable_path=os.environ["DEV_CHROMIUM"]) as chromium:
            for websocket, label in ((True, "with the websocket, pages do not ask"), (False, "without")):
                set_interval(admin, 0 if websocket else INTERVAL)
                with Proxy(server, FOLDER / f"nginx-{websocket}", websocket=websocket) as proxy:
                    times = [measure(server, chromium, proxy, login) for _ in range(ROUNDS)]
                print_ratio(label, [seconds / INTERVAL for seconds in times])


def set_interval(admin, seconds):
    answer = admin.call("ir.config_parameter", "set_param", "op_single_session_login.poll_interval", str(seconds))
    assert "result" in answer, answer


def measure(server, chromium, proxy, login):
    context = chromium.new_context()
    tab = Tab(context, proxy.url).login(login)
    tab.page.wait_for_timeout(1000 + time.time() % 1 * 1000 * INTERVAL)  # at any moment of the interval
    Device(server).json_login(login)
    start = time.perf_counter()
    tab.notification.wait_for(timeout=60_000)
    seconds = time.perf_counter() - start
    context.close()
    return seconds


if __name__ == "__main__":
    main()
