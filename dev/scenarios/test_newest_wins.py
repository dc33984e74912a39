"""The newest login wins, ended sessions stay ended, others are not affected: on a server with several workers."""

import contextlib
import functools
import json
import re
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from websocket import ABNF, WebSocketConnectionClosedException, WebSocketTimeoutException, create_connection

import servers
from servers import AT_ONCE, PASSWORD, Device, alive, find_alive, psql, skip_without, skip_without_devices, stored

pytestmark = pytest.mark.core
in_tests = pytest.mark.in_tests
ROUNDS = 5  # dev/storm has more


@pytest.fixture
def admin(server):
    return Device(server).login("admin", "admin")


@pytest.fixture
def set_bypass(admin, login):
    """Check or uncheck the bypass of the test's user, as an administrator does."""
    return lambda allowed: admin.write_user(login, allow_multiple_sessions=allowed)


def test_second_login_ends_first(server, login):
    first = Device(server).login(login)
    assert first.uid
    second = Device(server).login(login)
    assert not server.files_of(first.sid)
    assert alive(first, second) == [False, True]
    level, line = server.single_session_lines()[-1]
    assert level == "INFO"
    uid = second.uid
    facts = rf"count=1 user={uid} reason=newer_login by_user={uid} by_login=\d+ address=127\.0\.0\.1"
    assert re.fullmatch(f"Single session: ENDED {facts}", line.strip())


@in_tests
def test_third_login_ends_second(server, login):
    devices = [Device(server).login(login) for _ in range(3)]
    assert alive(*devices) == [False, False, True]
    assert [bool(server.files_of(device.sid)) for device in devices] == [False, False, True]


@in_tests
def test_portal_user(server):
    devices = [Device(server).login("pia") for _ in range(2)]
    assert alive(*devices) == [False, True]


def test_first_login_logs_nothing(server, login):
    before = server.single_session_lines()
    Device(server).login(login)
    assert server.single_session_lines() == before


def test_devices_of_ended_sessions_are_revoked(server, login):
    skip_without_devices(server.databases[0])
    first = Device(server).login(login)
    uid = first.uid
    second = Device(server).login(login)
    assert second.uid
    query = f"SELECT revoked, session_identifier FROM res_device_log WHERE user_id = {uid} ORDER BY id"
    assert psql(server.databases[0], query) == [(True, first.sid[:42]), (False, second.sid[:42])]


def test_login_waits_for_no_device(server, login):
    """Simultaneous logins revoke the same devices."""
    skip_without_devices(server.databases[0])
    first = Device(server).login(login)
    assert first.uid
    with servers.locked(server.databases[0], "res_device_log", f"session_identifier = '{first.sid[:42]}'"):
        second = Device(server).login(login)
        assert alive(first, second) == [False, True]


def test_login_waits_for_no_change_of_its_user(server, login):
    """A transaction that takes long has changed the user."""
    with servers.connect(server.databases[0]) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE res_users SET signature = NULL WHERE login = %s", [login])
        assert alive(Device(server).login(login)) == [True]


@in_tests
def test_bypass(server, login, set_bypass):
    set_bypass(True)
    devices = [Device(server).login(login) for _ in range(3)]
    assert alive(*devices) == [True, True, True]
    set_bypass(False)
    assert alive(*devices) == [True, True, True]
    newest = Device(server).login(login)
    assert alive(*devices, newest) == [False, False, False, True]


@in_tests
def test_bypass_checked_later_reopens_nothing(server, login, set_bypass):
    first = Device(server).login(login)
    [file] = server.files_of(first.sid)
    content = file.read_bytes()
    Device(server).login(login)
    set_bypass(True)
    file.write_bytes(content)
    assert alive(first) == [False]


def test_simultaneous_logins_leave_exactly_one(server, login):
    survivor = Device(server).login(login)
    for _ in range(ROUNDS):
        devices = [Device(server) for _ in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(Device.open_login_page, devices))
            assert login_at_once(pool, devices, login) == [303] * AT_ONCE
            assert sum(bool(server.files_of(device.sid)) for device in devices) == 1
            survivors = find_alive(pool, devices)
        assert not survivor.uid
        [survivor] = survivors


def login_at_once(pool, devices, login):
    """Send the login forms of all devices at the same moment, and return the status codes."""
    answers = servers.at_once(pool, [functools.partial(device.send_login, login) for device in devices])
    return [answer.status_code for answer in answers]


@in_tests
def test_rotation(server, login):
    first = Device(server).login(login)
    [file] = server.files_of(first.sid)
    skip_without("soft rotation of sessions", servers.make_rotate(file))
    old_sid = first.sid
    assert first.uid
    assert first.sid != old_sid
    contents = {path: path.read_bytes() for path in server.files_of(first.sid)}
    assert len(contents) == 2
    Device(server).login(login)
    for path, content in contents.items():
        path.write_bytes(content)
    assert alive(first, Device(server, sid=old_sid)) == [False, False]


@in_tests
def test_external_api_ends_no_session(server, login):
    first = Device(server).login(login)
    database = first.database
    uid = xmlrpc.client.ServerProxy(f"{server.url}/xmlrpc/2/common").authenticate(database, login, PASSWORD, {})
    models = xmlrpc.client.ServerProxy(f"{server.url}/xmlrpc/2/object")
    assert models.execute_kw(database, uid, PASSWORD, "res.users", "context_get", [])["uid"] == uid
    payload = {"service": "common", "method": "login", "args": [database, login, PASSWORD]}
    answer = requests.post(f"{server.url}/jsonrpc", json={"jsonrpc": "2.0", "params": payload}, timeout=60)
    assert answer.json()["result"] == uid
    assert alive(first) == [True]


def test_api_key_ends_no_session(server, admin):
    admin_uid = admin.uid
    key = make_api_key(admin)
    models = xmlrpc.client.ServerProxy(f"{server.url}/xmlrpc/2/object")
    context = models.execute_kw(admin.database, admin_uid, key, "res.users", "context_get", [])
    assert context["uid"] == admin_uid
    assert alive(admin) == [True]


def test_bearer_token_ends_no_session(server, admin):
    admin_uid = admin.uid
    key = make_api_key(admin)
    url = f"{server.url}/json/2/res.users/context_get"
    headers = {"Authorization": f"Bearer {key}", "X-Odoo-Database": admin.database}
    answer = requests.post(url, json={}, headers=headers, timeout=60)
    skip_without("calls at /json/2", answer.status_code != 404)
    assert answer.json()["uid"] == admin_uid
    assert alive(admin) == [True]


def make_api_key(device, password="admin"):
    """Create an API key in the user's preferences, with the identity check."""
    known = device.call("res.users.apikeys.description", "fields_get", [])["result"]
    values = {name: value for name, value in {"name": "scenario", "duration": "1"}.items() if name in known}
    # on 18.0, RPC calls cannot create this model
    [wizard] = device.call("res.users.apikeys.description", "web_save", [], values, specification={})["result"]
    answer = device.call("res.users.apikeys.description", "make_key", [wizard["id"]])
    return device.prove_identity(answer, password)["result"]["context"]["default_key"]


@in_tests
def test_wrong_password_ends_no_session(server, login):
    first = Device(server).login(login)
    other = Device(server)
    other.open_login_page()
    assert other.send_login(login, "wrong").status_code == 200
    assert alive(first, other) == [True, False]


@in_tests
def test_become_superuser(server):
    first = Device(server).login("eve")
    first.get("/web/become")
    assert first.uid == 1
    second = Device(server).login("eve")
    assert alive(first, second) == [False, True]


@in_tests
def test_login_again_in_the_same_browser(server, login, people):
    other = people.pop()
    elsewhere = Device(server).login(other)
    device = Device(server).login(login)
    uid = device.uid
    assert device.json_login(login).uid == uid
    assert device.json_login(other).uid not in (uid, None)
    assert alive(elsewhere) == [False]


def test_websocket_of_the_ended_session_is_closed(server, login, people):
    first, bystander = Device(server).login(login), Device(server).login(people.pop())
    sockets = [open_websocket(device) for device in (first, bystander)]
    Device(server).login(login)
    assert close_code(sockets[0]) == 4001
    sockets[1].settimeout(0.5)
    with pytest.raises(WebSocketTimeoutException):
        close_code(sockets[1])


def test_websocket_of_an_ended_session_that_is_saved_again(server, login):
    """The session is saved without a user, and Odoo itself checks only sessions with one."""
    device = Device(server).login(login)
    websocket, holder = open_websocket(device), Device(server, sid=device.sid)
    device.login(login)  # in the same browser, which gets no notification
    holder.open_login_page()
    assert stored(*server.files_of(holder.sid)).get("uid") is None
    Device(server).login(login)
    assert close_code(websocket) == 4001


def open_websocket(device):
    """Open a websocket and subscribe, as the web client does."""
    websocket = create_connection(
        f"ws://127.0.0.1:{device.server.websocket_port}/websocket?version={websocket_version(device)}",
        cookie=f"session_id={device.sid}",
        origin=device.server.url,
        timeout=10,
    )
    websocket.send(json.dumps({"event_name": "subscribe", "data": {"channels": [], "last": 0}}))
    return websocket


def websocket_version(device):
    return device.rpc("/web/session/get_session_info")["result"].get("websocket_worker_version", "")


def close_code(websocket):
    """Wait until the server closes the websocket, and return the close code."""
    with contextlib.suppress(WebSocketConnectionClosedException):
        while True:
            opcode, data = websocket.recv_data()
            if opcode == ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")
    return None
