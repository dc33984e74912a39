"""Outages during logins: workers, the database, the session folder, the bus, the clock."""

import contextlib
import itertools
import shutil
import socket
import string
import subprocess
from pathlib import Path

import pytest
import requests

from servers import ENVIRONMENT, PASSWORD, STATUS, Device, Server, alive, psql, wait_until


@pytest.mark.parametrize(
    ("moment", "completed"), [("before the commit", False), ("before the cleanup", True), ("in the cleanup", True)]
)
def test_worker_is_killed(server, login, people, moment, completed):
    bystander, first, second = Device(server).login(people.pop()), Device(server).login(login), Device(server)
    second.open_login_page()
    with pytest.raises(requests.ConnectionError):
        second.send_login(login, path=f"/web/login?fault=killed {moment}")
    assert alive(first, bystander) == [not completed, True]
    assert bool(server.files_of(first.sid)) == (moment != "in the cleanup")
    third = Device(server).login(login)
    assert alive(first, third, bystander) == [False, True, True]


def test_postgresql_is_restarted(server_with_own_postgresql, login):
    server, postgresql_outage = server_with_own_postgresql
    ended, living = Device(server).login(login), Device(server).login(login)
    other = Device(server)
    other.open_login_page()
    assert alive(ended, living) == [False, True]
    sid = living.sid
    with postgresql_outage():
        assert living.get(STATUS).status_code >= 400
        # without PostgreSQL, Odoo finds no database
        assert "/web/database/" in other.send_login(login).headers.get("Location", "/web/database/")
    living.sid = sid
    assert alive(ended, living, other) == [False, True, False]
    newest = Device(server).login(login)
    assert alive(ended, living, newest) == [False, False, True]


@pytest.mark.parametrize("behind", [1, 1000])
def test_sequence_behind_its_rows(single_database_server, login, behind):
    """As after a database was replicated or restored in part."""
    server = single_database_server
    database, lines = server.databases[0], server.single_session_lines()
    first = Device(server).login(login)
    psql(database, f"UPDATE op_single_session_login SET id = id + {behind} WHERE identifier = '{first.identifier}'")
    second = Device(server).login(login)
    assert alive(first, second) == [False, True]
    assert "another device" in first.get(STATUS).json()["message"]
    faults = [line for line in server.single_session_lines()[len(lines) :] if line[0] == "ERROR"]
    # where only the next id is taken, the refused attempt has used it up
    assert [line.split()[2] for _level, line in faults] == ["MENDED"] * (behind > 1)


# ---------------- The folder of the sessions ----------------


@pytest.fixture(scope="module")
def fragile_server(databases, folder):
    # a worker creates the folder or fails at its first request: with one worker, that is done
    with Server(databases[:1], folder / "fragile", "--workers=1") as server:
        yield server


@contextlib.contextmanager
def read_only(folder):
    """Make a folder read-only, with all subfolders that a session may need."""
    characters = string.ascii_letters + string.digits + "-_"
    folders = [folder / "".join(pair) for pair in itertools.product(characters, repeat=2)]
    for path in folders:
        path.mkdir(exist_ok=True)
        path.chmod(0o555)
    try:
        yield
    finally:
        for path in folders:
            path.chmod(0o755)


@pytest.mark.parametrize("whole", [True, False])
def test_store_is_read_only(fragile_server, login, whole):
    """Odoo fails if it cannot write the temporary file, but reports nothing if it cannot rename that file."""
    server = fragile_server
    first, second = Device(server).login(login), Device(server)
    second.open_login_page()
    assert first.uid  # Odoo saves the session at the first request
    with read_only(server.sessions):
        server.sessions.chmod(0o555 if whole else 0o755)
        try:
            assert second.send_login(login).status_code == (500 if whole else 303)
            assert alive(first, second) == [True, False]
        finally:
            server.sessions.chmod(0o755)
    assert alive(first, second) == [True, False]
    third = Device(server).login(login)
    assert alive(first, second, third) == [False, False, True]


def test_store_has_vanished(fragile_server, login):
    server = fragile_server
    ended, living, other = Device(server).login(login), Device(server), Device(server)
    content = server.files_of(ended.sid)[0].read_bytes()
    living.login(login)
    other.open_login_page()
    away = server.sessions.rename(server.data / "away")
    assert other.send_login(login).status_code >= 400
    away.rename(server.sessions)
    (server.sessions / ended.sid[:2] / ended.sid).write_bytes(content)
    assert alive(ended, living, other) == [False, True, False]
    shutil.rmtree(server.sessions)
    server.sessions.mkdir()
    newest = Device(server).login(login)
    assert alive(living, newest) == [False, True]


def test_store_is_full(databases, folder, people):
    """The sessions are in a file system with space for a few of them."""
    server = Server(databases[:1], folder / "full")
    server.sessions.mkdir(parents=True)
    mount = 'mount -t tmpfs -o mode=777,nr_blocks=8 none "$0" && exec "$@"'
    server.command_parts = [*unshare(), "sh", "-c", mount, str(server.sessions), *server.command_parts]
    with server:
        living = {}
        while try_to_login(device := Device(server), login := people.pop()):
            if device.uid:  # this request saves the session, for which the space may be missing
                living[login] = device
        refused, [login, first] = Device(server), living.popitem()
        assert not try_to_login(refused, login)
        assert alive(refused, first, *living.values()) == [False, True, *[True] * len(living)]
        for _ in range(2):  # the session of the refused login has taken a place, too
            _, other = living.popitem()
            Path(f"/proc/{server.process.pid}/root{server.sessions}", other.sid[:2], other.sid).unlink()
        newest = Device(server).json_login(login)
        assert alive(newest, first, *living.values()) == [True, False, *[True] * len(living)]


def try_to_login(device, login):
    answer = device.rpc("/web/session/authenticate", db=device.database, login=login, password=PASSWORD)
    return "result" in answer


def unshare():
    """Return the command that runs a program with mounts of its own, as root or as an ordinary user."""
    commands = ["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"]
    for command in commands:
        probe = [*command, "mount", "-t", "tmpfs", "none", "/mnt"]
        if not subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode:
            return command
    pytest.fail("no user may mount a file system on this machine")


# ---------------- The bus, the clock ----------------


def test_bus_port_is_closed(databases, folder, login):
    """Another program uses the port, so Odoo's websocket process never starts."""
    server = Server(databases[:1], folder / "no-bus")
    with socket.create_server(("127.0.0.1", server.websocket_port)):
        server.ports = [server.port]
        with server:
            first = Device(server).login(login)
            assert first.uid
            second = Device(server).login(login)
            assert first.get(STATUS).json()["state"] == "ended"
            assert alive(first, second) == [False, True]
            wait_until(lambda: "Address already in use" in server.log.read_text())


def test_clock_is_set_back(databases, folder, login, people):
    offset = folder / "offset"
    environ = {
        "LD_PRELOAD": str(ENVIRONMENT.faketime),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    offset.write_text("+0")
    with Server(databases[:1], folder / "clock", environ=environ) as server:
        bystander, first = Device(server).login(people.pop()), Device(server).login(login)
        offset.write_text("-1h")
        second = Device(server).login(login)
        assert first.get(STATUS).json()["state"] == "ended"
        assert alive(first, second, bystander) == [False, True, True]
        third = Device(server).login(login)
        assert alive(first, second, third, bystander) == [False, False, True, True]
        query = f"SELECT login_date FROM op_single_session_login WHERE user_id = {third.uid} ORDER BY id"
        dates = psql(databases[0], query)
        assert dates[1] <= dates[2] < dates[0]
