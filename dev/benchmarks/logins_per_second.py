"""How many logins a server completes in a time, with simultaneous clients."""

from concurrent.futures import ThreadPoolExecutor

from _bench import DATABASES, bench_server, make_users, print_ratio, timed

from servers import Device

CLIENTS = 8
ROUNDS = 15


def test_logins_per_second():
    compare("passwords that cost nothing", "plain", "addon", 15)
    compare("passwords hashed as usual", "plain_hashed", "addon_hashed", 2)


def compare(passwords, plain, addon, logins):
    size = f"{CLIENTS} clients, {ROUNDS} rounds of {logins} logins each"
    title = f"logins in a time with the addon / without, {passwords}, {size}"
    with bench_server(title, plain, addon) as server, ThreadPoolExecutor(CLIENTS) as pool:
        users = {name: make_users(server, name, CLIENTS) for name in (plain, addon)}

        def log_in(name, user):
            for _ in range(logins):
                Device(server, DATABASES[name]).json_login(user)

        def run(name, different):
            jobs = [pool.submit(log_in, name, users[name][client % different]) for client in range(CLIENTS)]
            return [job.result() for job in jobs]

        for different, who in ((1, "all as one user"), (CLIENTS, "each as another user")):
            for name in users:
                run(name, different)
            print_ratio(who, [timed(run, plain, different) / timed(run, addon, different) for _ in range(ROUNDS)])
