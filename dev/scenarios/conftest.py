import contextlib
import os
import subprocess
from pathlib import Path

import pytest
from browsers import Proxy, Tab
from playwright.sync_api import Error

from devtools.environment import odoo_environ, postgresql, with_own_cluster
from devtools.test import copy_database
from servers import ENVIRONMENT, PASSWORD, WITH_ADDON, Device, Server, odoo

# Stops the requests that Chromium sends by itself.
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
# A host that Chromium does not trust as it trusts localhost: it sends no Sec-Fetch-* headers there.
HOSTS = "--host-resolver-rules=MAP odoo.test 127.0.0.1"
FAILED = pytest.StashKey()
ADDONS = "op_single_session_login,op_single_session_login_faults"
LANGUAGES = [] if WITH_ADDON else ["fr_FR", "de_DE", "es_ES", "nl_NL", "pt_BR", "it_IT", "ar_001", "hi_IN"]
USERS = """
from odoo import Command
def user(login, group="base.group_user", **values):
    field = "group_ids" if "group_ids" in env["res.users"] else "groups_id"
    groups = [Command.set([env.ref(group).id])]
    return env["res.users"].with_context(no_reset_password=True).create(
        dict(values, name=login, login=login, password={password!r}, **{{field: groups}}))
for lang in {languages}:
    env["res.lang"]._activate_lang(lang)
env["ir.module.module"].search([("name", "in", ["web", "portal"])])._update_translations({languages})
for login in {logins}:
    user(login)
user("pia", "base.group_portal")
user("eve", "base.group_system")
user("max", "base.group_erp_manager")
env.cr.commit()
"""


@pytest.fixture(scope="session")
def make_database():
    """Create databases. dev/test drops those whose names end with the id of this process."""

    def make(name, template=os.environ["DEV_DATABASE_TEMPLATE"]):
        name = f"{name}_{os.getpid()}"
        copy_database(ENVIRONMENT, template, name)
        return name

    return make


@pytest.fixture(scope="session")
def people():
    return ["ada", "bob", *(f"user{number}" for number in range(160))]


@pytest.fixture(scope="session")
def plain_database(make_database, people):
    """A database with users and without the addon."""
    name = make_database("plain")
    odoo("-d", name, script=USERS.format(password=PASSWORD, languages=LANGUAGES, logins=people))
    return name


@pytest.fixture(scope="session")
def addon_database(make_database, plain_database):
    """A database with the addon that no server uses, to be copied."""
    name = make_database("addon", plain_database)
    odoo("-d", name, "-i", ",".join(filter(None, [ADDONS, WITH_ADDON])), "--stop-after-init")
    return name


@pytest.fixture(scope="session")
def databases(make_database, addon_database):
    """Two databases with the addon. Users have the same ids in both."""
    return [make_database(name, addon_database) for name in ("first", "second")]


@pytest.fixture(scope="session")
def folder():
    return Path(os.environ["DEV_OUTPUT"])


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
    own = with_own_cluster(ENVIRONMENT, folder / "postgresql")
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

        copy_to_cluster(own, databases[0])
        options = [f"--db_host={own.pg_socket}"]
        yield running.enter_context(Server(databases[:1], folder / "own-postgresql", *options)), outage


def copy_to_cluster(target, database):
    environ, options = odoo_environ(ENVIRONMENT), ["-U", "odoo", "-h"]
    dump = [ENVIRONMENT.pg_bin / "pg_dump", *options, ENVIRONMENT.pg_socket, database]
    sql = subprocess.run(dump, env=environ, capture_output=True, check=True).stdout
    subprocess.run([target.pg_bin / "createdb", *options, target.pg_socket, database], env=environ, check=True)
    restore = [target.pg_bin / "psql", *options, target.pg_socket, "-Xq", "-v", "ON_ERROR_STOP=1", "-d", database]
    subprocess.run(restore, env=environ, input=sql, stdout=subprocess.DEVNULL, check=True)


@pytest.fixture
def login(people, plain_database):
    """The login of a user of all databases that no other test has used."""
    return people.pop()


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {**browser_type_launch_args, "executable_path": os.environ["DEV_CHROMIUM"]}


@pytest.fixture
def launch_in(launch_browser):
    """Start a Chromium in a language. It is an option of the program, since websockets do not use that of a page.

    Each scenario has its own. After 30 seconds, Playwright kills a browser that does not close. For a context to
    close, it waits forever.
    """
    with contextlib.ExitStack() as browsers:
        yield lambda lang: browsers.enter_context(launch_browser(args=[*QUIET, HOSTS, f"--accept-lang={lang}"]))


@pytest.fixture
def browser(launch_in):
    return launch_in("en-US")


@pytest.fixture(scope="module")
def site(single_database_server, folder):
    with Proxy(single_database_server, folder / "nginx") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def site_without_websocket(single_database_server, folder):
    with Proxy(single_database_server, folder / "nginx-without-websocket", websocket=False) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def site_in_frames(single_database_server, folder):
    with Proxy(single_database_server, folder / "nginx-frames", frames=True) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def admin(single_database_server):
    return Device(single_database_server).login("admin", "admin")


@pytest.fixture
def poll_every(admin):
    """Set the poll interval, in seconds, for pages that are opened later."""

    def write(seconds):
        assert "error" not in admin.call(
            "ir.config_parameter", "set_param", "op_single_session_login.poll_interval", str(seconds)
        )

    yield write
    write(30)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the end of the servers' logs when a scenario fails."""
    report = yield
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
        # without screenshots: those of each frame take as much time as everything else
        context.tracing.start(snapshots=True)
        tabs.append(Tab(context, url or request.getfixturevalue("site").url))
        return tabs[-1]

    yield open_one
    for number, tab in enumerate(tabs if FAILED in request.node.stash else []):
        # Closed by the scenario, or it does not answer: then no trace either, since that call has no limit of time.
        with contextlib.suppress(Error):
            tab.page.screenshot(path=f"{output_path}/screenshot-{number}.png", timeout=5_000)
            tab.page.context.tracing.stop(path=f"{output_path}/trace-{number}.zip")
