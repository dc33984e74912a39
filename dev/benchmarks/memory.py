"""What a worker keeps in memory with a hundred thousand logins in the login log."""

import psutil
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
    """Return how many bytes each worker has for itself, by its process id."""
    children = psutil.Process(server.process.pid).children()
    workers = [child for child in children if "gevent" not in child.cmdline()]
    return {worker.pid: worker.memory_full_info().uss for worker in workers}
