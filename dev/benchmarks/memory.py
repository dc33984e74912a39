"""What a worker keeps in memory with a hundred thousand logins in the login log."""

import re
from pathlib import Path

from _bench import DATABASES, bench_server, fill_login_log, make_users, print_ratio

from servers import STATUS, Device

ENTRIES = 100_000
REQUESTS = 300


def test_memory():
    title = f"memory of each worker after {REQUESTS} more logins, calls and status requests / before"
    with bench_server(title, "addon") as server:
        database = DATABASES["addon"]
        logins = make_users(server, "addon", 100)
        use(server, logins)
        use(server, logins)
        before = private_memory(server)
        use(server, logins)
        idle = private_memory(server)
        fill_login_log(database, ENTRIES, *logins)
        use(server, logins)
        after = private_memory(server)
    print_ratio("with a small login log", [idle[pid] / before[pid] for pid in before])
    print_ratio(f"with {ENTRIES:,} entries more", [after[pid] / idle[pid] for pid in before])


def use(server, logins):
    """Log in, call and ask, so that each worker gets its share."""
    for number in range(REQUESTS):
        device = Device(server).json_login(logins[number % len(logins)])
        device.call("res.users", "context_get", [])
        device.get(STATUS)


def private_memory(server):
    """Return how many kB each worker has for itself, by its process id."""
    memory = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        is_child = re.search(rf"^PPid:\s{server.process.pid}$", read(status), re.MULTILINE)
        if is_child and "\0gevent\0" not in read(status.with_name("cmdline")):
            kinds = re.findall(r"^Private_\w+:\s+(\d+) kB", read(status.with_name("smaps_rollup")), re.MULTILINE)
            memory[status.parent.name] = sum(map(int, kinds))
    return memory


def read(path):
    try:
        return path.read_text()
    except OSError:
        return ""
