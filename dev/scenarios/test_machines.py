"""Several machines: servers that share only the database, and sessions in PostgreSQL or Redis."""

import contextlib
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from mirakuru import TCPExecutor
from test_databases import duplicate, module, serve_copies, state_of
from test_newest_wins import close_code, login_at_once, open_websocket

from devtools.environment import free_port
from servers import AT_ONCE, ENVIRONMENT, OTHER_ADDONS, PACKAGES_ENVIRON, Device, Server, alive, find_alive, load, psql


@pytest.fixture(scope="module")
def machines(databases, folder):
    """Two servers with session folders of their own."""
    with Server(databases[:1], folder / "machine1") as one, Server(databases[:1], folder / "machine2") as two:
        yield one, two


def at(server, *devices):
    """Send the requests of devices to a server, as a proxy does. Cookies are for all ports of 127.0.0.1."""
    for device in devices:
        device.server = server


def test_login_on_another_machine(machines, login, people):
    one, two = machines
    bystander, first = Device(one).login(people.pop()), Device(one).login(login)
    websocket = open_websocket(first)
    second = Device(two).login(login)
    assert close_code(websocket) == 4001
    assert alive(first, second, bystander) == [False, True, True]
    [file] = one.files_of(first.sid)  # out of reach for the other machine: the session check alone refuses it
    (two.sessions / first.sid[:2]).mkdir(exist_ok=True)
    shutil.copy(file, two.sessions / first.sid[:2])
    at(two, first)
    assert alive(first, second, bystander) == [False, True, True]
    third = Device(one).login(login)
    assert alive(second, third, bystander) == [False, True, True]


def test_one_browser_that_goes_to_and_fro(machines, login):
    one, two = machines
    device = Device(one).login(login)
    stolen = Device(one, sid=device.sid)
    at(two, device)
    device.login(login)
    assert alive(stolen, device) == [False, True]
    at(one, device)
    assert alive(device) == [False]  # plain Odoo does not know the session there either
    device.login(login)
    assert alive(device) == [True]


def session_db(sessions):
    """Return the option and the settings for a server with its sessions in PostgreSQL."""
    environ = {"SESSION_DB_URI": f"postgresql://odoo@/{sessions}?host={ENVIRONMENT.pg_socket}"}
    return load("session_db"), {"environ": environ, "addons": [OTHER_ADDONS]}


@contextlib.contextmanager
def redis(folder):
    """Run a Redis server. Yield the option and the settings for an Odoo server with its sessions there."""
    port = free_port()
    command = [str(ENVIRONMENT.redis), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with TCPExecutor(["setpriv", "--pdeathsig=TERM", *command], "127.0.0.1", port, timeout=60, expected_returncode=0):
        settings = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port), "REDIS_SSL": "False"}
        yield load("redis_session_store"), {"environ": {**PACKAGES_ENVIRON, **settings}, "addons": [OTHER_ADDONS]}


@pytest.fixture
def server_with_session_db(make_database, databases, folder):
    sessions = make_database("machines_sessions")
    option, settings = session_db(sessions)
    with Server(databases[:1], folder / "session-db", option, **settings) as server:
        yield server, sessions


def test_session_db(server_with_session_db, login):
    server, sessions = server_with_session_db
    first = Device(server).login(login)
    websocket = open_websocket(first)
    [[row]] = psql(sessions, "SELECT payload::text FROM http_sessions WHERE sid = %s", first.sid)
    second = Device(server).login(login)
    assert close_code(websocket) == 4001
    assert alive(first, second) == [False, True]
    query = "INSERT INTO http_sessions VALUES (%s, now(), %s) ON CONFLICT (sid) DO UPDATE SET payload = %s"
    psql(sessions, query, first.sid, row, row)
    assert alive(first, second) == [False, True]
    devices = [Device(server) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(Device.open_login_page, devices))
        assert login_at_once(pool, devices, login) == [303] * AT_ONCE
        assert len(find_alive(pool, devices)) == 1
    assert alive(second) == [False]
    query = "SELECT DISTINCT length(identifier) FROM op_single_session_login WHERE identifier IS NOT NULL"
    # halves, whatever the store's ids are
    assert set(psql(server.databases[0], query)) <= {(20,), (42,)}
    assert server.unexpected_log_lines() == []


@pytest.fixture(params=["session_db", "redis"])
def store(request, make_database, folder):
    """The name of a session store, and the option and the settings for a server with it."""
    if request.param == "session_db":
        yield request.param, *session_db(make_database(f"sessions_{request.function.__name__}"))
        return
    with redis(folder) as (option, settings):
        yield request.param, option, settings


def test_installation_with_another_store(make_database, plain_database, folder, store):
    """The first login after the installation ends older sessions, those that a request used in between at least."""
    name, option, settings = store
    database = make_database(f"install_{name}", plain_database)
    with Server([database], folder / f"install-{name}", option, **settings) as server:
        admin = Device(server).login("admin", "admin")
        old, bob = Device(server).login("ada"), Device(server).login("bob")
        unused = Device(server).login("ada") if name == "redis" else None  # no request has left a device
        assert alive(old, bob) == [True, True]
        module(admin, "button_immediate_install")
        assert alive(admin, old, bob) == [True] * 3
        new = Device(server).login("ada")
        assert alive(old, new, bob, admin) == [False, True, True, True]
        assert not unused or alive(unused, new) == [False, True]
        lengths = psql(database, "SELECT DISTINCT length(identifier) FROM op_single_session_login")
        assert set(lengths) <= {(20,), (42,)}
        assert server.unexpected_log_lines() == []
        if ENVIRONMENT.series != "17.0" and len(old.sid) == 84:
            query = f"SELECT DISTINCT revoked FROM res_device_log WHERE session_identifier = '{old.sid[:42]}'"
            assert psql(database, query) == [(True,)]


def test_copy_of_a_database_with_another_store(make_database, addon_database, folder, store):
    name, option, settings = store
    original = make_database(f"original_{name}", addon_database)
    copy = original.replace("original", "copy")
    options = serve_copies(folder / f"copy-{name}.conf", original, copy)
    with Server([original], folder / f"copy-{name}", option, *options, **settings) as server:
        ada, bob = Device(server).login("ada"), Device(server).login("bob")
        duplicate(ada, copy)
        in_copy, admin = Device(server, copy).login("ada"), Device(server, copy).login("admin", "admin")
        assert alive(ada, bob, in_copy, admin) == [True] * 4
        everything = admin.call("op.single.session.login", "search", [["user_id", "!=", admin.uid]])["result"]
        answer = admin.call("op.single.session.login", "action_end", everything)
        assert "result" in admin.prove_identity(answer, "admin")
        assert alive(ada, bob, in_copy, admin) == [True, True, False, True]
        if name == "redis":  # the store knows the databases of its sessions
            assert [state_of(admin, login) for login in ("ada", "bob")] == ["administrator"] * 2
        again = Device(server).login("ada")
        assert alive(ada, bob, again) == [False, True, True]
        assert server.unexpected_log_lines() == []
