"""A session belongs to the login that opened it, whatever requests, addons and administrators do with it."""

import base64
import contextlib
import hashlib
import hmac
import json
import struct
import threading
import time

import pytest
from test_other_addons import entries

import servers
from servers import ENVIRONMENT, STATUS, Device, Server, alive, odoo, psql, shell, skip_without, stored

KEY = 4711  # of the advisory lock that a request waits for


@pytest.fixture
def server(single_database_server):
    return single_database_server


@contextlib.contextmanager
def held(server, send):
    """Send a request in a thread of its own, and hold it up until the context ends. Yield its result, a list."""
    before, results = server.log.read_text().count("WAITING for"), []
    thread = threading.Thread(target=lambda: results.append(send()))
    with servers.connect(server.databases[0]) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [KEY])
        thread.start()
        servers.wait_until(lambda: server.log.read_text().count("WAITING for") > before)
        yield results
    thread.join()


def reason_of(device):
    """Return why the device's session has ended, as the login log says."""
    query = f"SELECT coalesce(end_reason, '') FROM op_single_session_login WHERE identifier = '{device.identifier}'"
    [[reason]] = psql(device.database, query)
    return reason


# ---------------- What is rolled back ends nothing ----------------


def test_ends_that_are_rolled_back(server, login):
    device, lines = Device(server).login(login), server.single_session_lines()
    other = Device(server).login("admin", "admin")
    assert other.get(f"/fault/rolled_back?login={login}").text == "rolled back"
    assert alive(device, other) == [True, True]
    assert server.files_of(device.sid)
    assert reason_of(device) == ""
    assert [line for line in server.single_session_lines()[len(lines) :] if f" user={device.uid} " in line[1]] == []


def test_import_that_is_only_tested(server, login):
    """*Test* in the import of users with passwords, and an import with a bad row."""
    device, admin = Device(server).login(login), Device(server).login("admin", "admin")
    uid = device.uid
    values = {"res_model": "res.users", "file_name": "users.csv", "file_type": "text/csv"}
    values["file"] = f".id,password\n{uid},another\n"
    wizard = admin.call("base_import.import", "create", values)["result"]
    options = {"quoting": '"', "separator": ",", "encoding": "utf-8", "has_headers": True}
    fields = [".id", "password"]
    answer = admin.call("base_import.import", "execute_import", wizard, fields, fields, options, dryrun=True)
    assert answer["result"]["messages"] == []
    answer = admin.call("res.users", "load", fields, [[str(uid), "another"], [str(2**31 - 1), "another"]])
    assert answer["result"]["ids"] is False
    assert alive(device) == [True]
    assert server.files_of(device.sid)
    assert alive(Device(server).login(login)) == [True]


# ---------------- What is no login ----------------


def test_new_id_for_an_open_session(server, login):
    """Another addon gives it one while the user logs in elsewhere. Neither ends anybody."""
    first, second = Device(server).login(login), Device(server)
    sid = first.sid
    assert first.get("/fault/rotate?lock=1").text == "rotated"
    assert first.sid[: len(sid) // 2] != sid[: len(sid) // 2]
    assert alive(first) == [True]
    second.open_login_page()
    with held(server, lambda: first.get(f"/fault/rotate?lock={KEY}")) as answers:
        second.send_login(login)
        assert alive(second) == [True]
    assert answers[0].text == "rotated"
    assert alive(first, second) == [False, True]
    assert first.get(STATUS).json()["state"] == "ended"
    assert len(entries(server, second.uid)) == 2


def test_impersonation(server, login, people):
    """It ends no session of the user. It ends with the next login of the impersonating user."""
    support, user = people.pop(), Device(server).login(login)
    impersonator = Device(server).login(support)
    uid = impersonator.uid
    assert impersonator.get(f"/fault/login?login={login}&way=impersonate").text == str(user.uid)
    assert (impersonator.uid, alive(user)) == (user.uid, [True])
    assert len(entries(server, user.uid)) == 1
    assert alive(Device(server).login(login), impersonator) == [True, True]
    assert Device(server).login(support).uid == uid
    assert alive(impersonator) == [False]


# tests/test_session_store.py has a session that another addon stores
def test_session_that_no_login_opens(server, login):
    """It ends no other session, gets an entry at its first request, and ends with the user's next login."""
    first, other = Device(server).login(login), Device(server)
    other.open_login_page()
    other.get(f"/fault/login?login={login}&way=abort")
    # 17.0 and 18.0 do not save the session
    skip_without("sessions after abort(response)", other.uid)
    assert other.get(STATUS).json() == {"state": "alive"}
    assert alive(first, other) == [True, True]
    assert [exclusive for _identifier, exclusive in entries(server, first.uid)] == [True, None]
    newest = Device(server).login(login)
    assert alive(first, other, newest) == [False, False, True]


# ---------------- Logging out ----------------


def test_logout_that_is_not_saved(server, login):
    device = Device(server).login(login)
    assert device.get("/fault/logout").text == "logged out"
    assert alive(device) == [True]
    assert reason_of(device) == ""


def test_logout_with_an_id_from_before_a_rotation(server, login):
    """Odoo no longer accepts that id. The session under its next id goes on."""
    device = Device(server).login(login)
    [file] = server.files_of(device.sid)
    skip_without("soft rotation of sessions", servers.make_rotate(file))
    late = Device(server, sid=device.sid)
    assert device.uid
    assert late.sid != device.sid
    assert late.identifier == device.identifier
    file.write_text(json.dumps({**stored(file), "deletion_time": time.time() - 1}))
    late.get("/web/session/logout")
    assert alive(device) == [True]
    assert reason_of(device) == ""


# ---------------- One browser ----------------


def test_second_factor_in_the_same_browser(server, login):
    """No page says that another device logged in."""
    secret = base64.b32encode(b"twenty bytes of it..").decode()
    psql(server.databases[0], f"UPDATE res_users SET totp_secret = '{secret}' WHERE login = '{login}'")
    device = Device(server)
    log_in_with_code(device, login, secret)
    uid, identifier, old = device.uid, device.identifier, device.sid
    log_in_with_code(device, login, secret)
    assert (device.uid, device.identifier != identifier) == (uid, True)
    assert device.ended == []
    before = Device(server, sid=old)
    assert reason_of(before) == "logged_out"
    assert before.get(STATUS).json() == {"state": "none"}


def log_in_with_code(device, login, secret):
    column = psql(device.database, "SELECT 1 FROM information_schema.columns WHERE column_name = 'totp_last_counter'")
    if column:  # on 19.0, a code works only once
        psql(device.database, f"UPDATE res_users SET totp_last_counter = NULL WHERE login = '{login}'")
    device.open_login_page()
    device.send_login(login)
    device.open_login_page("/web/login/totp")
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    offset = digest[-1] & 0xF
    code = f"{(struct.unpack_from('>I', digest, offset)[0] & 0x7FFFFFFF) % 10**6:06}"
    assert device.send_form("/web/login/totp", totp_token=code).status_code == 303


def test_session_that_the_store_has_lost(server, login):
    """As after a redeployment: the cookie still names the session."""
    device = Device(server).login(login)
    assert device.uid
    [file] = server.files_of(device.sid)
    file.unlink()
    before = Device(server, sid=device.sid)
    device.login(login)
    assert device.ended == []
    assert reason_of(before) == "expired"


def test_half_of_an_id_ends_no_session(server, login, people):
    """Lists and logs show it. It records no end, and hides none from the user."""
    victim = Device(server).login(login)
    forged = victim.identifier + "0" * (len(victim.sid) - len(victim.identifier))
    Device(server, sid=forged).login(people.pop())
    assert (alive(victim), reason_of(victim)) == ([True], "")
    thief = Device(server, sid=forged).login(login)
    assert len(thief.ended) == 1
    assert victim.get(STATUS).json()["state"] == "ended"
    assert reason_of(victim) == "newer_login"


def test_login_name_that_an_administrator_changes(server, login):
    """Odoo refuses the session. Later logins in the browser end no other device's session."""
    admin, device = Device(server).login("admin", "admin"), Device(server).login(login)
    assert "result" in admin.call("res.users", "write", [device.uid], {"login": f"{login}2"})
    before = Device(server, sid=device.sid)
    device.open_login_page()
    assert reason_of(before) == "expired"
    device.login(f"{login}2")
    assert device.uid
    assert device.ended == []


def test_other_user_in_the_same_browser(server, login, people):
    """The first user has logged out: the user's next login elsewhere ended nothing."""
    browser = Device(server).login(login)
    uid, before = browser.uid, Device(server, sid=browser.sid)
    browser.login(people.pop())
    assert browser.uid not in (uid, None)
    assert reason_of(before) == "logged_out"
    elsewhere = Device(server).login(login)
    assert elsewhere.ended == []
    assert before.get(STATUS).json() == {"state": "none"}
    assert alive(browser, elsewhere) == [True, True]


# ---------------- Other code, updates, replicas, backups ----------------


def test_savepoint_of_another_addon(databases, folder, login):
    """An override of the session's token flushes, before Odoo has saved the session."""
    with Server(databases[:1], folder / "savepoint", environ={"FAULT_SAVEPOINT": "1"}) as server:
        devices = [Device(server).login(login) for _ in range(2)] + [Device(server).json_login(login)]
        assert alive(*devices) == [False, False, True]
        assert server.unexpected_log_lines() == []


def test_update_during_logins(make_database, addon_database, folder):
    """The update waits for no login, and no login for the update."""
    database = make_database("updated", addon_database)
    with Server([database], folder / "updated", "--workers=2") as server:
        device, stop, answers = Device(server), threading.Event(), []

        def log_in():
            while not stop.is_set():
                device.open_login_page()
                answers.append(device.send_login("ada").status_code)

        thread = threading.Thread(target=log_in)
        thread.start()
        try:
            servers.wait_until(lambda: len(answers) > 1)
            odoo("-d", database, "-u", "op_single_session_login", "--stop-after-init")
        finally:
            stop.set()
            thread.join()
        assert set(answers) == {303}
        newest = Device(server).login("ada")
        assert alive(device, newest) == [False, True]


def test_backup_that_is_restored(server, login):
    """The login log does not know a session that is newer than the backup."""
    device, other = Device(server).login(login), Device(server).login("max")
    odoo("-d", server.databases[0], script=shell("restore_backup", identifier=device.identifier))
    assert alive(device, other) == [False, True]
    assert alive(Device(server).login(login)) == [True]


def test_password_that_changes_during_a_login(server, people):
    """A login with the old password has not saved its session yet. It fails, and ends no session."""
    # 18.0 has no open transaction between the password and the session
    skip_without("a transaction from the password to the session", ENVIRONMENT.series != "18.0")
    login = people.pop()
    owner, late = Device(server).login(login), Device(server)
    late.open_login_page()
    with held(server, lambda: late.send_login(login, path=f"/web/login?held={KEY}")) as answers:
        owner.change_password()
        assert alive(owner) == [True]
    assert answers[0].status_code == 200, "the login page once more"
    assert alive(owner, late) == [True, False]
    assert len(entries(server, owner.uid)) == 1


@pytest.fixture
def with_replicas():
    skip_without("replicas of the database", "db_replica_host" in servers.odoo_source("tools/config.py"))


def test_lagging_replica(with_replicas, lagging_server, login):
    """The replica does not know of the login that has ended the session. Nothing is written all the same."""
    server, primary, pause_replay = lagging_server
    first = Device(server).login(login)
    user_id = first.find_user(login)
    [file] = server.files_of(first.sid)
    content = file.read_bytes()
    pause_replay()
    second = Device(server).login(login)
    assert second.uid == user_id, "the replica does not know its entry"
    file.write_bytes(content)
    answer = first.call("res.users", "write", [user_id], {"signature": "written by an ended session"})
    assert "error" in answer
    signature = primary.psql(server.databases[0], f"SELECT signature FROM res_users WHERE id = {user_id}")
    assert "ended session" not in str(signature)
