"""What the status route costs beside Odoo's cheapest route, on one server with workers, in one run."""

import os
import statistics
import sys
import time
from pathlib import Path

from servers import Device, Server

HEALTH = "/web/health"
STATUS = "/op_single_session_login/status"
ROUNDS = 20
REQUESTS = 50


def main(database, folder):
    with Server([database], Path(folder) / "server") as server:
        ended, living = Device(server).login("admin", "admin"), Device(server).login("admin", "admin")
        visitors = {"nobody": Device(server), "a living session": living, "an ended session": ended}
        print(f"{STATUS} / {HEALTH}, {ROUNDS} rounds of {REQUESTS} requests each")
        for name, device in visitors.items():
            ratios = sorted(measure(device) for _ in range(ROUNDS))
            low, high = ratios[ROUNDS // 10], ratios[-1 - ROUNDS // 10]
            print(f"  {name:<18} {statistics.median(ratios):.2f}  ({low:.2f} to {high:.2f})", flush=True)


def measure(device):
    """Return the ratio of the median times of both routes, whose requests take turns."""
    times = {HEALTH: [], STATUS: []}
    for _ in range(REQUESTS):
        for path, durations in times.items():
            sid = device.sid
            start = time.perf_counter()
            assert device.get(path).ok
            durations.append(time.perf_counter() - start)
            if sid:
                device.sid = sid
    return statistics.median(times[STATUS]) / statistics.median(times[HEALTH])


if __name__ == "__main__":
    main(os.environ["DEV_DATABASE"], sys.argv[1])
