"""What other addons do with sessions: logins of their own, caches, watching for activity."""

import json
import re

import pytest
from test_newest_wins import close_code, open_websocket

from servers import STATUS, Device, Server, alive, psql, stored, wait_until


def log_in_by_itself(device, login, way):
    """Log in as some addons do, keeping the session id of the browser, if there is one."""
    answer = device.get(f"/fault/{'sso' if way == 'authenticate' else 'login'}?login={login}&way={way}")
    assert answer.status_code == 200
    return int(answer.text)


def entries(server, user_id):
    query = f"SELECT identifier, exclusive FROM op_single_session_login WHERE user_id = {user_id} ORDER BY id"
    return psql(server.databases[0], query)


@pytest.mark.parametrize("way", ["token", "finalize", "authenticate"])
def test_login_that_keeps_the_session_id(single_database_server, login, way):
    server = single_database_server
    first, second, third = (Device(server) for _ in range(3))
    for device in (first, second, third):
        device.open_login_page()
    sent = first.sid
    user_id = log_in_by_itself(first, login, way)
    assert first.sid[: len(sent) // 2] != sent[: len(sent) // 2]
    assert alive(first) == [True]
    log_in_by_itself(second, login, way)
    assert alive(first, second) == [False, True]
    third.send_login(login)
    assert alive(first, second, third) == [False, False, True]
    # in the browser whose session was ended
    ended = first.sid
    log_in_by_itself(first, login, way)
    assert first.sid != ended
    assert alive(first, second, third) == [True, False, False]
    assert entries(server, user_id) == [(row[0], True) for row in entries(server, user_id)]
    assert len(entries(server, user_id)) == 4


def test_login_over_another_user(single_database_server, login, people):
    """An addon finalizes a login without removing the user before."""
    server = single_database_server
    first, browser = Device(server).login(login), Device(server).login(people.pop())
    log_in_by_itself(browser, login, "finalize over")
    assert alive(first, browser) == [False, True]


def test_user_without_a_token_is_not_logged_in(single_database_server, login):
    """An addon that sets only the user means this one request: Odoo refuses the session at the next one."""
    first, other = Device(single_database_server).login(login), Device(single_database_server)
    other.open_login_page()
    user_id = log_in_by_itself(other, login, "no token")
    assert alive(first, other) == [True, False]
    assert len(entries(single_database_server, user_id)) == 1


def test_program_that_logs_in_for_one_request(single_database_server, login):
    server = single_database_server
    browser = Device(server).login(login)
    user_id = browser.uid
    for _ in range(3):
        assert Device(server).get(f"/fault/program?login={login}").text == str(user_id)
    assert alive(browser) == [True]
    assert len(entries(server, user_id)) == 1


def test_program_that_comes_back_with_its_cookie(single_database_server, login):
    """Its session ends no other one. The user's next login after its first request ends it."""
    server = single_database_server
    browser, used, unused = Device(server).login(login), Device(server), Device(server)
    for program in (used, unused):
        program.get(f"/fault/program?login={login}")
    assert alive(used, browser) == [True, True]
    newest = Device(server).login(login)
    assert alive(used, unused, browser, newest) == [False, True, False, True]
    last = Device(server).login(login)
    assert alive(unused, newest, last) == [False, False, True]


def test_link_that_logs_in_a_new_browser(single_database_server, login):
    """It has no cookie yet, as a program. But browsers say how they fetch a page."""
    first, second = Device(single_database_server), Device(single_database_server)
    for device in (first, second):
        device.get(f"/fault/program?login={login}", headers={"Sec-Fetch-Mode": "navigate"})
    assert alive(first, second) == [False, True]


@pytest.fixture(scope="module")
def caching_server(databases, folder):
    """A server with an addon that is loaded after ours and caches the tokens of sessions."""
    with Server(databases[:1], folder / "caching", environ={"FAULT_CACHE": "1"}) as server:
        yield server


def test_cached_token(caching_server, login):
    server = caching_server
    first = Device(server).login(login)
    [file] = server.files_of(first.sid)
    content = file.read_bytes()
    websocket = open_websocket(first)
    for _ in range(16):
        assert first.uid  # now all workers have cached the token
    second = Device(server).login(login)
    assert close_code(websocket) == 4001
    for _ in range(16):
        file.write_bytes(content)
        assert alive(first) == [False]
    file.write_bytes(content)
    assert alive(second) == [True]


def test_cached_token_of_a_websocket(caching_server, login):
    """The websocket sends a message after the session has ended."""
    server = caching_server
    first = Device(server).login(login)
    websocket, user_id = open_websocket(first), first.uid
    wait_until(lambda: f"SUBSCRIBED user={user_id} " in server.log.read_text())
    [file] = server.files_of(first.sid)
    content = file.read_bytes()
    query = f"""
        INSERT INTO op_single_session_login (user_id, identifier, exclusive, login_date)
             VALUES ({user_id}, 'x', TRUE, now() AT TIME ZONE 'UTC')
    """
    psql(server.databases[0], query)  # without a notification
    file.write_bytes(content)
    websocket.send(json.dumps({"event_name": "subscribe", "data": {"channels": [], "last": 0}}))
    assert close_code(websocket) == 4001
    assert server.log.read_text().count(f"SUBSCRIBED user={user_id} ") == 1


def test_cached_token_of_a_request_that_is_repeated(caching_server, login):
    """Odoo loads the session anew before it repeats a request."""
    server = caching_server
    first = Device(server).login(login)
    [file] = server.files_of(first.sid)
    content = file.read_bytes()
    for _ in range(16):
        assert first.uid  # now all workers have cached the token
    assert first.get("/fault/repeated").text == str(first.uid)
    Device(server).login(login)
    for _ in range(4):  # Odoo waits before it repeats a request
        file.write_bytes(content)
        assert first.get("/fault/repeated").text == "None"


FAILING = ("/my/counters", "/web/session/get_session_info")


# tests/test_login.py has the others without a parameter
@pytest.mark.parametrize("path", [*FAILING, *(f"{path}?debug=1" for path in (*FAILING, "/no/such/page", "/web/login"))])
def test_pages_that_fail_serve_no_ended_session(single_database_server, login, path):
    """They fail before Odoo authenticates the request, for example a JSON route opened as a page."""
    server = single_database_server
    first = Device(server).login(login)
    user_id, sid = first.uid, first.sid
    [file] = server.files_of(sid)
    content = file.read_bytes()
    Device(server).login(login)
    file.write_bytes(content)
    page = first.get(path, headers={"Accept": "text/html"})
    assert not re.search(rf'"(uid|user_id)": {user_id}\b', page.text)
    assert login not in page.text.replace(f"login={login}", "")
    if file.exists() and file.read_bytes() != content:
        assert stored(file).get("uid") is None
    assert alive(first) == [False]


def test_polling_is_no_activity(single_database_server, login):
    """Addons that are loaded after ours see no user either."""
    device = Device(single_database_server).login(login)
    assert device.get("/web/webclient/version_info").status_code
    assert "X-Fault-User" in device.get("/web/health?").headers or "X-Fault-User" in device.get("/my").headers
    answer = device.get(STATUS)
    assert answer.json() == {"state": "alive"}
    assert "X-Fault-User" not in answer.headers
    assert "Set-Cookie" not in answer.headers


def test_logout_is_not_taken_for_another_login(single_database_server, login):
    """A late answer may bring the old cookie back after a logout."""
    server = single_database_server
    device = Device(server).login(login)
    sid, late = device.sid, Device(server, sid=device.sid)
    [file] = server.files_of(sid)
    content = file.read_bytes()
    device.get("/web/session/logout")
    assert alive(device) == [False]
    assert late.get(STATUS).json() == {"state": "none"}
    newest = Device(server).login(login)
    assert late.get(STATUS).json() == {"state": "none"}
    file.write_bytes(content)
    assert alive(late, newest) == [False, True]
    late.sid = sid
    assert "Your session has ended" not in late.get("/web/login").text
