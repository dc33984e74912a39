"""Several machines: servers that share the database and nothing else, and sessions in PostgreSQL."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_newest_wins import AT_ONCE, close_code, login_at_once, open_websocket, uid_of

from devtools.test import has_module
from servers import ENVIRONMENT, Device, Server, alive, psql


@pytest.fixture(scope="module")
def machines(databases, folder):
    """Two servers with session folders of their own."""
    with Server(databases[:1], folder / "machine1") as one, Server(databases[:1], folder / "machine2") as two:
        yield one, two


def at(server, *devices):
    """Lead devices to a server, as a proxy does; their cookies are for all ports of 127.0.0.1."""
    for device in devices:
        device.server = server


def test_login_on_another_machine(machines, login, people):
    one, two = machines
    bystander, first = Device(one).login(people.pop()), Device(one).login(login)
    websocket = open_websocket(first)
    second = Device(two).login(login)
    assert close_code(websocket) == 4001
    assert alive(first, second, bystander) == [False, True, True]
    [file] = one.files_of(first.sid)  # out of reach for the other machine: the gate alone refuses it
    (two.sessions / first.sid[:2]).mkdir(exist_ok=True)
    shutil.copy(file, two.sessions / first.sid[:2])
    at(two, first)
    assert alive(first, second, bystander) == [False, True, True]
    third = Device(one).login(login)
    assert alive(second, third, bystander) == [False, True, True]


def test_one_browser_that_goes_to_and_fro(machines, login):
    one, two = machines
    device = Device(one).login(login)
    stolen = Device(one)
    stolen.sid = device.sid
    at(two, device)
    device.login(login)
    assert alive(stolen, device) == [False, True]
    at(one, device)
    assert alive(device) == [False]  # plain Odoo does not know it there either
    device.login(login)
    assert alive(device) == [True]


@pytest.fixture
def server_with_session_db(make_database, databases, folder):
    sessions = make_database("sessions")
    modules = [name for name in ("base", "rpc", "web") if has_module(ENVIRONMENT, name)]
    server = Server(
        databases[:1],
        folder / "session-db",
        f"--load={','.join([*modules, 'session_db'])}",
        environ={"SESSION_DB_URI": f"postgresql://odoo@/{sessions}?host={ENVIRONMENT.pg_socket}"},
        addons=[os.environ["DEV_SESSION_DB"]],
    )
    server.sessions_database = sessions
    with server:
        yield server


def test_session_db(server_with_session_db, login):
    server = server_with_session_db
    first = Device(server).login(login)
    websocket = open_websocket(first)
    [[row]] = psql(server.sessions_database, f"SELECT payload FROM http_sessions WHERE sid = '{first.sid}'")
    second = Device(server).login(login)
    assert close_code(websocket) == 4001
    assert alive(first, second) == [False, True]
    payload = row.replace("'", "''")
    psql(
        server.sessions_database,
        f"INSERT INTO http_sessions VALUES ('{first.sid}', now(), '{payload}')"
        " ON CONFLICT (sid) DO UPDATE SET payload = EXCLUDED.payload",
    )
    assert alive(first, second) == [False, True]
    devices = [Device(server) for _ in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(Device.open_login_page, devices))
        assert login_at_once(pool, devices, login) == [303] * AT_ONCE
        assert sum(map(bool, pool.map(uid_of, devices))) == 1
    assert alive(second) == [False]
    lengths = psql(server.databases[0], "SELECT DISTINCT length(identifier) FROM op_single_session_login")
    assert {length for [length] in lengths} <= {"20", "42"}  # halves, whatever the store's ids are
    assert server.unexpected_log_lines() == []
