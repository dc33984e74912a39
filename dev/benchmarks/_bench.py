"""What the benchmarks share: databases, servers, ratios with their spread."""

import contextlib
import statistics
import time

from servers import ENVIRONMENT, PASSWORD, Device, Server, psql

DATABASES = {}  # by what is in them: conftest.py


@contextlib.contextmanager
def bench_server(title, *names):
    """Run a server with some of the databases, whose requests then meet the same workers."""
    print(f"\n{title}", flush=True)
    # a request may take long, and workers must not be replaced while it measures
    options = ["--limit-time-real=100000", "--limit-time-cpu=100000", "--limit-request=1000000"]
    folder = ENVIRONMENT.output / str(time.time_ns())
    with Server([DATABASES[name] for name in names], folder, *options) as server:
        yield server


def make_users(server, name, count):
    logins = [f"{name}{time.time_ns()}-{number}" for number in range(count)]
    values = [{"name": login, "login": login, "password": PASSWORD} for login in logins]
    assert Device(server, DATABASES[name]).login("admin", "admin").call("res.users", "create", values)["result"]
    return logins


def timed(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


def print_ratio(label, ratios):
    """Print the median of ratios and the range that eight tenths of them fell into."""
    ratios = sorted(ratios)
    low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
    spread = f"  ({low:.3f} to {high:.3f})" if len(ratios) > 1 else ""
    print(f"  {label:<54} {statistics.median(ratios):>9.3f}{spread}", flush=True)


def fill_login_log(database, count, *logins):
    """Add entries of ended sessions of these users in turn, older than their sessions."""
    users = ", ".join(f"'{login}'" for login in logins)
    psql(
        database,
        f"""INSERT INTO op_single_session_login
                   (user_id, identifier, exclusive, login_date, browser, platform, end_reason, end_date)
            SELECT ids[1 + i % array_length(ids, 1)], left(repeat(md5(i::text), 2), 42), TRUE, now(), 'Chrome', 'Linux',
                   'newer_login', now()
              FROM generate_series(1, {count}) i,
                   (SELECT array_agg(id) AS ids FROM res_users WHERE login IN ({users})) users""",
    )
    psql(database, "VACUUM ANALYZE op_single_session_login")
