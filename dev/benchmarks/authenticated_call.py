"""What the session check costs: the cheapest authenticated call and a usual one, with a million entries."""

import statistics

from _bench import DATABASES, bench_server, fill_login_log, make_users, print_ratio, timed

from servers import Device, odoo, shell

ENTRIES = 1_000_000
ROUNDS = 40
CALLS = 100
METHODS = {
    "the cheapest call (context_get)": ("res.users", "context_get", []),
    "a list of partners (web_search_read)": ("res.partner", "web_search_read", [], {"display_name": {}, "email": {}}),
}


def test_authenticated_call():
    title = f"a call with the addon / without, {ROUNDS} rounds of {CALLS} calls each, {ENTRIES:,} entries"
    with bench_server(title, "plain", "addon", "query") as server:
        users = {name: make_users(server, name, 8) for name in ("plain", "addon", "query")}
        fill_login_log(DATABASES["addon"], ENTRIES, *users["addon"])
        devices = {name: Device(server, DATABASES[name]).login(users[name][0]) for name in users}
        for label, call in METHODS.items():
            measure(devices, call)
            rounds = [measure(devices, call) for _ in range(ROUNDS)]
            for name, title in (("addon", label), ("query", "  with SELECT 1 in place of the addon")):
                print_ratio(title, [medians[name] / medians["plain"] for medians in rounds])
        print(odoo("-d", DATABASES["addon"], script=shell("explain_check", sid=devices["addon"].sid)))


def measure(devices, call):
    """Return the median time of each device's calls, which take turns."""
    times = {name: [] for name in devices}
    for number in range(CALLS):
        for name in sorted(devices, reverse=number % 2):
            times[name].append(timed(devices[name].call, *call))
    return {name: statistics.median(durations) for name, durations in times.items()}
