"""How soon the old browser says that its session has ended, after the answer to the other login."""

import time

from _bench import bench_server, make_users, print_ratio
from browsers import Proxy, Tab

from servers import POLL_INTERVAL, Device

INTERVAL = 5  # seconds, the shortest that may be set
ROUNDS = 10


def test_notification(browser):
    title = "time from the other login's answer to the notification / the poll interval of"
    with bench_server(f"{title} {INTERVAL} s, {ROUNDS} rounds", "addon") as server:
        [login] = make_users(server, "addon", 1)
        admin = Device(server).login("admin", "admin")
        for websocket, label in ((True, "with the websocket, pages do not ask"), (False, "without")):
            admin.set_parameter(POLL_INTERVAL, "0" if websocket else str(INTERVAL))
            with Proxy(server, websocket=websocket) as proxy:
                times = [measure(server, browser, proxy, login) for _ in range(ROUNDS)]
            print_ratio(label, [seconds / INTERVAL for seconds in times])


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
