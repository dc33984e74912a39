"""Several machines: servers that share only the database, and sessions in PostgreSQL or Redis."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_databases import module
from test_newest_wins import close_code, login_at_once, open_websocket

from servers import AT_ONCE, ENVIRONMENT, Device, Server, alive, find_alive, load, psql, redis, session_db


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


@pytest.fixture(params=["files", "session_db", "redis"])
def store(request, make_database, folder):
    """The name of a session store, and the option and the settings for a server with it."""
    if request.param == "session_db":
        yield request.param, *session_db(make_database(f"sessions_{request.function.__name__}"))
    elif request.param == "redis":
        with redis(folder) as (option, settings):
            yield request.param, option, settings
    else:
        yield request.param, load(), {}


@pytest.mark.parametrize("store", ["session_db", "redis"], indirect=True)
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


def serve_copies(config, *databases):
    """Return the options of a server for databases that do not all exist yet.

    :param config: path of its configuration file, which the database manager writes
    """
    config.write_text("[options]\n")
    return [f"--config={config}", "--database=", f"--db-filter=^({'|'.join(databases)})$"]


def duplicate(device, copy):
    """Duplicate the device's database in the database manager. The server then serves both.

    After the copy, 18.0 and 19.0 fail if the answer must set a cookie: they ask the closed database for its lifetime.
    """
    assert device.uid  # the first request must set a cookie
    data = {"master_pwd": "admin", "name": device.database, "new_name": copy}
    url = f"{device.server.url}/web/database/duplicate"
    answer = device.http.post(url, data, allow_redirects=False, timeout=120)
    assert answer.status_code == 303, answer.text
    device.server.databases = [*device.server.databases, copy]


def state_of(device, login):
    """Return the reason why the session of a user's newest entry has ended, False if it is open."""
    domain = [["user_id.login", "=", login]]
    [entry, *_] = device.call("op.single.session.login", "search_read", domain, ["end_reason"])["result"]
    return entry["end_reason"]


def test_copy_of_a_database(make_database, addon_database, folder, store):
    """A copy has the identifiers of the original's sessions. A login in the copy must not end them."""
    name, option, settings = store
    original = make_database(f"original_{name}", addon_database)
    copy = original.replace("original", "copy")
    options = serve_copies(folder / f"copy-{name}.conf", original, copy)
    with Server([original], folder / f"copy-{name}", option, *options, **settings) as server:
        ada, bob, several = (Device(server).login(login) for login in ("ada", "bob", "max"))
        assert alive(ada, bob, several) == [True] * 3
        duplicate(ada, copy)
        in_copy = Device(server, copy).login("ada")
        assert alive(ada, bob, several, in_copy) == [True] * 4
        admin = Device(server, copy).login("admin", "admin")
        if name == "files":  # the others cannot tell the original's sessions from those of the copy
            assert server.files_of(ada.sid)
            assert not [text for _level, text in server.single_session_lines() if "newer_login" in text]
            # the copy cannot know which of the original's sessions are still open
            assert [state_of(admin, login) for login in ("ada", "bob", "max")] == [False, False, False]

        everything = admin.call("op.single.session.login", "search", [["user_id", "!=", admin.uid]])["result"]
        answer = admin.prove_identity(admin.call("op.single.session.login", "action_end", everything), "admin")
        assert answer["result"]["params"]["message"] == "Sessions ended: 3"
        assert alive(ada, bob, several, in_copy) == [True, True, True, False]
        assert state_of(admin, "bob") == "administrator"

        again = [Device(server, database).login("ada") for database in server.databases]
        assert alive(ada, bob, several, in_copy, *again) == [False, True, True, False, True, True]
        assert not server.files_of(ada.sid)
        assert server.unexpected_log_lines() == []
