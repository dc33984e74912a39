"""What the status route costs compared with Odoo's cheapest route."""

import statistics

from _bench import bench_server, print_ratio, timed

from servers import STATUS, Device

HEALTH = "/web/health"
ROUNDS = 20
REQUESTS = 50


def test_status_route():
    with bench_server(f"{STATUS} / {HEALTH}, {ROUNDS} rounds of {REQUESTS} requests each", "addon") as server:
        ended, living = Device(server).login("admin", "admin"), Device(server).login("admin", "admin")
        visitors = {"no session": Device(server), "an open session": living, "an ended session": ended}
        for name, device in visitors.items():
            print_ratio(name, [measure(device) for _ in range(ROUNDS)])


def measure(device):
    """Return the ratio of the median times of both routes, whose requests take turns."""
    times = {HEALTH: [], STATUS: []}
    sid = device.sid
    for _ in range(REQUESTS):
        for path, durations in times.items():
            durations.append(timed(device.get, path))
            if sid:
                device.sid = sid
    return statistics.median(times[STATUS]) / statistics.median(times[HEALTH])
