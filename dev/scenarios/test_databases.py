"""Several databases, the installation and the uninstallation under a running server."""

import pytest

from servers import Device, Server, alive, psql


def test_same_user_id_in_another_database(server, login):
    one, other = (Device(server, database).login(login) for database in server.databases)
    assert one.uid == other.uid
    again = Device(server, server.databases[0]).login(login)
    assert alive(one, other, again) == [False, True, True]


def test_json_login_without_a_database_in_the_cookie(server, login):
    first = Device(server).json_login(login)
    second = Device(server).json_login(login)  # the first has made no request in between
    assert not server.files_of(first.sid)
    third = Device(server, server.databases[1]).json_login(login)
    assert alive(first, second, third) == [False, True, True]
    fourth = Device(server).login(login)
    assert alive(second, third, fourth) == [False, True, True]
    fifth = Device(server).json_login(login)
    assert alive(fourth, fifth) == [False, True]


def test_json_login_to_another_database_than_the_cookies(server, login):
    one, other = (Device(server, database).login(login) for database in server.databases)
    device = Device(server).login("bob")
    device.json_login(login, server.databases[1])
    assert alive(one, other, device) == [True, False, True]


def test_token_asked_of_the_wrong_database(server, login):
    one, other = (Device(server, database).login(login) for database in server.databases)
    device = Device(server)
    device.open_login_page()
    answer = device.send_login(login, path=f"/web/login?fault=foreign&other={server.databases[1]}")
    assert answer.status_code == 303
    assert alive(one, other, device) == [False, True, True]


@pytest.fixture
def plain_server(make_database, plain_database, folder):
    with Server([make_database("install", plain_database)], folder / "install") as server:
        yield server


def module(device, button):
    """Press a button of the addon's card in the Apps menu."""
    [module_id] = device.call("ir.module.module", "search", [["name", "=", "op_single_session_login"]])["result"]
    if button == "button_immediate_install":
        device.call("ir.module.module", "update_list")
    answer = device.call("ir.module.module", button, [module_id])
    assert "result" in answer, answer


def test_install_and_uninstall(plain_server):
    """Sessions older than the addon end with the first login after it; uninstalling ends none."""
    server = plain_server
    admin = Device(server).login("admin", "admin")
    old = [Device(server).login("ada"), Device(server).json_login("ada"), Device(server).login("ada")]
    bob = Device(server).login("bob")
    assert alive(old[0], old[2]) == [True, True]
    admin.call("ir.module.module", "update_list")
    module(admin, "button_immediate_install")
    assert alive(admin, old[0], bob) == [True] * 3  # the second one has not made a request yet
    new = Device(server).login("ada")
    assert alive(*old, new, bob) == [False, False, False, True, True]

    module(admin, "button_immediate_uninstall")
    assert alive(new, bob, admin) == [True, True, True]
    assert alive(Device(server).login("ada"), new) == [True, True]
    [database] = server.databases
    queries = (
        "SELECT table_name FROM information_schema.tables WHERE table_name LIKE '%single_session%'",
        "SELECT column_name FROM information_schema.columns WHERE column_name = 'allow_multiple_sessions'",
        "SELECT name FROM ir_model_fields WHERE name = 'allow_multiple_sessions' OR model LIKE '%single.session%'",
        "SELECT model FROM ir_model WHERE model LIKE '%single.session%'",
        "SELECT key FROM ir_config_parameter WHERE key LIKE '%single_session%'",
        "SELECT name FROM ir_model_data WHERE module = 'op_single_session_login'",
        "SELECT conname FROM pg_constraint WHERE conname LIKE '%single_session%'",
        "SELECT arch_db FROM ir_ui_view WHERE arch_db::text LIKE '%allow_multiple_sessions%'",
    )
    assert [row for query in queries for row in psql(database, query)] == []
    assert server.unexpected_log_lines() == []
