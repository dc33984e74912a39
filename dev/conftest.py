import contextlib
import functools
import subprocess

import pytest
from browsers import Proxy, Tab
from playwright.sync_api import Error, expect

from devtools.databases import copy_database, make_once
from devtools.environment import DEV
from devtools.postgresql import make_cluster, make_standby
from devtools.postgresql import running as postgresql
from servers import ABSENT, ENVIRONMENT, PASSWORD, POLL_INTERVAL, Device, Server, odoo_settings, shell

# Stops the requests that Chromium sends by itself.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
# A host that Chromium does not trust as it trusts localhost: it sends no Sec-Fetch-* headers there.
HOSTS = "--host-resolver-rules=MAP odoo.test 127.0.0.1"
FAILED = pytest.StashKey()
expect.set_options(timeout=20_000)  # for a busy machine; where time matters, a test says so
ADDONS = "op_single_session_login,op_single_session_login_faults"
LANGUAGES = ["fr_FR", "de_DE", "es_ES", "nl_NL", "pt_BR", "it_IT", "ar_001", "hi_IN"]
PEOPLE = ["ada", "bob", *(f"user{number}" for number in range(300))]
# The modules of tests that take longest start first, so that both workers end at the same time.
LONGEST = "test_browsers test_fuzzing test_point_of_sale test_in_odoo test_administration test_machines".split()


def pytest_addoption(parser):
    parser.addoption("--rounds", type=int, default=30, help="how many rounds a storm has (default: %(default)s)")
    parser.addoption("--seed", type=int, default=0, help="the seed of a storm")


def pytest_collection_modifyitems(config, items):
    if not ENVIRONMENT.with_addon:
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("in_tests")])
        items[:] = [item for item in items if not item.get_closest_marker("in_tests")]
    order = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.module.__name__, len(order)))


# ---------------- Databases and servers. Each process of pytest has its own. ----------------


@pytest.fixture(scope="session")
def folder(worker_id):
    path = ENVIRONMENT.output / worker_id
    path.mkdir(exist_ok=True)
    return path


@pytest.fixture(scope="session")
def make_database(worker_id):
    """Create databases of this run. dev/test drops them at the end."""

    def make(name, template=ENVIRONMENT.template):
        name = f"{name}_{worker_id}_{ENVIRONMENT.run}"
        copy_database(ENVIRONMENT.cluster, template, name)
        return name

    return make


@pytest.fixture(scope="session")
def make_template():
    """Create databases to be copied, once for all runs."""
    options, settings = odoo_settings()

    def make(name, template, *arguments, modules=(), script=None):
        files = sorted(path for module in modules for path in module.rglob("*") if path.is_file())
        content = [(str(path), path.read_bytes()) for path in files if path.suffix != ".pyc"]
        arguments = [*options, *arguments]
        return make_once(ENVIRONMENT, name, template, *arguments, script=script, content=content, **settings)

    return make


@pytest.fixture(scope="session")
def people():
    return list(PEOPLE)


@pytest.fixture(scope="session")
def plain_database(make_template):
    """A database with users, whose passwords cost next to nothing, and without the addon."""
    load = "op_single_session_login_load"
    script = shell("users", password=PASSWORD, languages=LANGUAGES, logins=PEOPLE)
    return make_template("plain", ENVIRONMENT.template, "-i", load, modules=[DEV / "addons" / load], script=script)


@pytest.fixture(scope="session")
def addon_database(make_template, plain_database):
    """A database with the addon that no server uses, to be copied."""
    modules = [ENVIRONMENT.addon_folder, DEV / "addons" / "op_single_session_login_faults"]
    names = ",".join(filter(None, [ADDONS, ENVIRONMENT.with_addon]))
    return make_template("addon", plain_database, "-i", names, modules=modules)


@pytest.fixture(scope="session")
def databases(make_database, addon_database):
    """Two databases with the addon. Users have the same ids in both."""
    return [make_database(name, addon_database) for name in ("first", "second")]


@pytest.fixture(scope="session")
def shared_server(databases, folder):
    with Server(databases, folder / "server") as server:
        yield server


@pytest.fixture
def server(shared_server):
    """The server of most scenarios. Each of them must leave its log clean."""
    before = len(shared_server.unexpected_log_lines())
    yield shared_server
    assert shared_server.unexpected_log_lines()[before:] == []


@pytest.fixture(scope="session")
def single_database_server(databases, folder):
    """With several databases, Odoo loses the login form's database when it retries a request."""
    with Server(databases[:1], folder / "single") as server:
        yield server


@pytest.fixture(scope="session")
def server_with_own_postgresql(databases, folder):
    """A server with a PostgreSQL of its own, and a context manager that stops it."""
    shared = ENVIRONMENT.cluster
    (folder / "postgresql").mkdir()
    own = make_cluster(folder / "postgresql", shared.programs, shared.libraries)
    with contextlib.ExitStack() as running:
        cluster = running.enter_context(contextlib.ExitStack())
        cluster.enter_context(postgresql(own))

        @contextlib.contextmanager
        def outage():
            cluster.close()
            try:
                yield
            finally:
                cluster.enter_context(postgresql(own))

        copy_to_cluster(shared, own, databases[0])
        options = [f"--db_host={own.sockets}"]
        yield running.enter_context(Server(databases[:1], folder / "own-postgresql", *options)), outage


@pytest.fixture
def lagging_server(databases, folder):
    """A server that reads from a hot standby, with both clusters and a function that stops the standby's replay."""
    shared = ENVIRONMENT.cluster
    (folder / "replicated").mkdir()
    primary = make_cluster(folder / "replicated", shared.programs, shared.libraries)
    with contextlib.ExitStack() as running:
        running.enter_context(postgresql(primary))
        copy_to_cluster(shared, primary, databases[0])
        standby = make_standby(primary, folder / "standby")
        running.enter_context(postgresql(standby))
        options = [f"--db_host={primary.sockets}", f"--db_replica_host={standby.sockets}"]
        server = running.enter_context(Server(databases[:1], folder / "lagging", *options))
        yield server, primary, lambda: standby.psql("postgres", "SELECT pg_wal_replay_pause()")


def copy_to_cluster(source, target, database):
    options = ["-U", "odoo", "-h"]
    dump = [source.programs / "pg_dump", *options, source.sockets, database]
    sql = subprocess.run(dump, env=source.environ, capture_output=True, check=True).stdout
    target.psql("postgres", f'CREATE DATABASE "{database}"')
    restore = [target.programs / "psql", *options, target.sockets, "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database]
    subprocess.run(restore, env=target.environ, input=sql, stdout=subprocess.DEVNULL, check=True)


@pytest.fixture
def login(people, plain_database):
    """The login of a user of all databases that no other test has used."""
    return people.pop()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {**browser_type_launch_args, "executable_path": str(ENVIRONMENT.chromium)}


@pytest.fixture(scope="module")
def launch_in(launch_browser):
    """Start a Chromium in a language. It is an option of the program, since websockets do not use that of a page.

    A module has one for each language. After 30 seconds, Playwright kills a browser that does not close. For a
    context to close, it waits forever, so these stay open.
    """
    with contextlib.ExitStack() as browsers:

        @functools.cache
        def launch(lang):
            return browsers.enter_context(launch_browser(args=[*QUIET, HOSTS, f"--accept-lang={lang}"]))

        yield launch


@pytest.fixture(scope="module")
def browser(launch_in):
    return launch_in("en-US")


@pytest.fixture(scope="module")
def make_site(single_database_server):
    """Start a proxy for a server, with its options. A module has one of each kind."""
    with contextlib.ExitStack() as proxies:

        @functools.cache
        def make(server=single_database_server, **options):
            return proxies.enter_context(Proxy(server, **options))

        yield make


@pytest.fixture
def site(make_site):
    return make_site(websocket=True)


@pytest.fixture
def site_without_websocket(make_site):
    return make_site(websocket=False)


@pytest.fixture(scope="module")
def admin(single_database_server):
    return Device(single_database_server).login("admin", "admin")


@pytest.fixture
def poll_every(admin):
    """Set the poll interval, in seconds, for pages that are opened later."""

    def write(seconds):
        admin.set_parameter(POLL_INTERVAL, str(seconds))

    yield write
    write(30)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the end of the servers' logs when a scenario fails. A skipped one fails, unless it may be skipped."""
    report = yield
    if report.skipped and (ENVIRONMENT.series == "19.0" or ABSENT not in str(report.longrepr)):
        report.outcome, report.longrepr = "failed", f"Skipped: {report.longrepr}"
    if report.failed:
        item.stash[FAILED] = True
        for server in filter(lambda server: server.log.is_file(), Server.started):
            report.sections.append((str(server.log), server.log.read_text()[-2000:]))
    return report


@pytest.fixture
def open_tab(browser, output_path, request):
    """Open a tab with cookies of its own; if the scenario fails, keep a screenshot and a trace of each."""
    tabs = []

    def open_one(url=None, browser=browser, **options):
        context = browser.new_context(**options)
        # without screenshots and snapshots, which take as much time as everything else
        context.tracing.start()
        context.set_default_timeout(60_000)  # for a busy machine
        tabs.append(Tab(context, url or request.getfixturevalue("site").url))
        return tabs[-1]

    yield open_one
    for number, tab in enumerate(tabs if FAILED in request.node.stash else []):
        # Closed by the scenario, or it does not answer: then no trace either, since that call has no limit of time.
        with contextlib.suppress(Error):
            tab.page.screenshot(path=f"{output_path}/screenshot-{number}.png", timeout=5_000)
            tab.page.context.tracing.stop(path=f"{output_path}/trace-{number}.zip")
    for page in (page for tab in tabs for page in tab.page.context.pages):
        with contextlib.suppress(Error):
            page.goto("about:blank", timeout=5_000)  # and stop all that it does
