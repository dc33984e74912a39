"""Faults during logins: running requests, stores, errors after the authentication."""

import re

import pytest

from servers import Device, Server, alive, load, odoo, shell, skip_without, skip_without_devices, wait_until


@pytest.mark.parametrize("path", ["/web/dataset/call_kw/res.users/context_get", "/web/session/get_session_info"])
def test_running_request_reopens_nothing(server, login, path):
    """A running request saves its session after a login has ended it and deleted its file."""
    first = Device(server).login(login)
    second = Device(server)
    second.open_login_page()
    params = {"model": "res.users", "method": "context_get", "args": [], "kwargs": {}}
    lines = server.log.read_text().count(line := f"{'LOADED' if 'call_kw' in path else 'AUTHENTICATED'} {path}")
    held_back = f"{path}?debug=1&fault=held back".replace(" ", "%20")
    finish = first.hold_back(held_back, {"params": params if "call_kw" in path else {}})
    wait_until(lambda: server.log.read_text().count(line) > lines)
    second.send_login(login)
    assert not server.files_of(first.sid)
    answer = finish()
    if "call_kw" not in path:  # 18.0 and later read the body of a call_kw before the session check
        assert '"uid"' in answer, "the request was not in flight"
        assert server.files_of(first.sid), "the request did not save its session"
    for sid in {first.sid, *re.findall(r"session_id=([\w-]+)", answer)}:
        assert alive(Device(server, sid=sid)) == [False]
    assert alive(second) == [True]


def test_undeletable_session_file(server, login):
    first = Device(server).login(login)
    [file] = server.files_of(first.sid)
    file.parent.chmod(0o555)
    try:
        second = Device(server).login(login)
        assert file.exists()
        assert alive(first) == [False]
    finally:
        file.parent.chmod(0o755)
    assert alive(first, second) == [False, True]


def test_store_without_the_method(databases, folder, login):
    option, environ = load("op_single_session_login_faults"), {"FAULT_STORE": "bare"}
    with Server(databases, folder / "bare", option, environ=environ) as server:
        first = Device(server).login(login)
        second = Device(server).login(login)
        assert not server.files_of(first.sid)
        assert alive(first, second) == [False, True]
        assert server.unexpected_log_lines() == []


@pytest.mark.parametrize("fault", ["error", "conflict", "abort"])
def test_login_that_fails_after_the_authentication(single_database_server, login, fault):
    server = single_database_server
    first, second = Device(server).login(login), Device(server)
    second.open_login_page()
    answer = second.send_login(login, path=f"/web/login?fault={fault}")
    if fault == "abort" and answer.status_code == 500:
        assert alive(first, second) == [True, False]
        # 17.0 and 18.0 compute the session's token with the closed cursor of the request
        skip_without("logins answered by abort(response)", False)
    completed = fault != "error"
    assert answer.status_code == (303 if completed else 500)
    assert alive(first, second) == [not completed, completed]
    *others, last = every_session(server, answer)
    assert len(others) == (1 if fault == "conflict" else 0)
    assert alive(*others, last) == [False] * len(others) + [completed]


def test_cleanup_during_another(databases):
    """The cleanup does not fail if another one has changed a device in the meantime."""
    skip_without_devices(databases[1])
    odoo("-d", databases[1], script=shell("cleanup_amid_another"))


def every_session(server, answer):
    """Return a device for each session id that an answer sets, in order."""
    sids = re.findall(r"session_id=([\w-]+)", answer.headers.get("Set-Cookie", ""))
    return [Device(server, sid=sid) for sid in sids or [None]]
