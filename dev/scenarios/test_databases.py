"""Several databases, copies, replicas; installing, updating and uninstalling the addon."""

import pytest

from servers import ENVIRONMENT, POLL_INTERVAL, STATUS, Device, Server, alive, odoo, odoo_source, psql, skip_without


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
    # 17.0 makes the token with the cookie's database, 18.0 with a closed cursor
    works = "def authenticate(self, env," in odoo_source("http.py")
    skip_without("JSON logins to another database than the cookie's", works)
    one, other = (Device(server, database).login(login) for database in server.databases)
    device = Device(server).login("bob")
    device.json_login(login, server.databases[1])
    assert alive(one, other, device) == [True, False, True]


def test_status_is_that_of_the_database_of_the_page(server, login):
    """The browser may have logged in to another database since the page was loaded."""
    first = Device(server).login(login)
    answers = [first.get(STATUS, headers={"X-Odoo-Database": database}) for database in server.databases]
    assert answers[0].json() == {"state": "alive"}
    assert answers[1].status_code == 403 or answers[1].json() == {"state": "none"}


def test_token_asked_of_the_wrong_database(server, login):
    one, other = (Device(server, database).login(login) for database in server.databases)
    device = Device(server)
    device.open_login_page()
    answer = device.send_login(login, path=f"/web/login?fault=foreign&other={server.databases[1]}")
    assert answer.status_code == 303
    assert alive(one, other, device) == [False, True, True]


def test_replica(databases, folder, login):
    """On 18.0, a JSON login opens its session in a transaction that may only read."""
    skip_without("replicas of the database", "db_replica_host" in odoo_source("tools/config.py"))
    with Server(databases[:1], folder / "replica", f"--db_replica_host={ENVIRONMENT.cluster.sockets}") as server:
        devices = [Device(server).json_login(login), Device(server).login(login), Device(server).json_login(login)]
        assert alive(*devices) == [False, False, True]
        assert [bool(server.files_of(device.sid)) for device in devices] == [False, False, True]
        assert server.unexpected_log_lines() == []


@pytest.fixture
def plain_server(make_database, plain_database, folder):
    with Server([make_database("install", plain_database)], folder / "install") as server:
        yield server


def module(device, button):
    """Click a button of the addon in the Apps menu."""
    [module_id] = device.call("ir.module.module", "search", [["name", "=", "op_single_session_login"]])["result"]
    if button == "button_immediate_install":
        device.call("ir.module.module", "update_list")
    answer = device.call("ir.module.module", button, [module_id])
    assert "result" in answer, answer


# What is left of the addon in a database.
LEFT = r"""
    SELECT 'table', table_name FROM information_schema.tables WHERE table_name LIKE '%single\_session%'
    UNION SELECT 'column', table_name FROM information_schema.columns WHERE column_name = 'allow_multiple_sessions'
    UNION SELECT 'constraint', conname FROM pg_constraint WHERE conname LIKE '%single\_session%'
    UNION SELECT 'model', model FROM ir_model WHERE model LIKE '%single.session%'
    UNION SELECT 'field', name FROM ir_model_fields
           WHERE name = 'allow_multiple_sessions' OR model LIKE '%single.session%'
    UNION SELECT 'external id', name FROM ir_model_data WHERE module = 'op_single_session_login'
    UNION SELECT 'parameter', key FROM ir_config_parameter WHERE key LIKE '%single\_session%'
    UNION SELECT 'view', name FROM ir_ui_view WHERE arch_db::text LIKE '%allow_multiple_sessions%'
    UNION SELECT 'menu', name::text FROM ir_ui_menu WHERE name::text LIKE '%Login Sessions%'
    UNION SELECT 'action', name::text FROM ir_actions
           WHERE name::text LIKE '%Login Sessions%' OR name::text LIKE '%multiple sessions%'
    UNION SELECT 'state', state FROM ir_module_module
           WHERE name = 'op_single_session_login' AND state != 'uninstalled'
"""


def test_install_and_uninstall(plain_server):
    """The first login after the installation ends older sessions. Uninstalling ends none."""
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
    assert psql(database, LEFT) == []
    assert server.unexpected_log_lines() == []


IDENTIFIER_OF_17 = "0123456789abcdef0123"


def test_update(make_database, plain_database, folder):
    """An update loses no entry and ends no session, also with entries of an earlier series."""
    database = make_database("update", plain_database)
    odoo("-d", database, "-i", "op_single_session_login", "--stop-after-init")
    with Server([database], folder / "update") as server:
        admin = Device(server).login("admin", "admin")
        admin.write_user("bob", allow_multiple_sessions=True)
        admin.set_parameter(POLL_INTERVAL, "7")
        ada, bobs = [Device(server).login("ada") for _ in range(2)], [Device(server).login("bob") for _ in range(2)]
        psql(
            database,
            f"""INSERT INTO op_single_session_login (user_id, identifier, login_date)
                SELECT id, '{IDENTIFIER_OF_17}', now() FROM res_users WHERE login = 'ada'""",
        )
        before = everything(database)
        server.stop()
        odoo("-d", database, "-u", "op_single_session_login", "--stop-after-init")
        assert everything(database) == before
        server.start()
        assert alive(*ada, *bobs) == [False, True, True, True]
        newest = Device(server).login("ada")
        assert not server.files_of(ada[1].sid)
        assert alive(ada[1], newest) == [False, True]
        assert server.unexpected_log_lines() == []


def everything(database):
    """Return everything that the addon stores in a database."""
    queries = (
        "SELECT * FROM op_single_session_login ORDER BY id",
        "SELECT id FROM res_users WHERE allow_multiple_sessions",
        "SELECT key, value FROM ir_config_parameter WHERE key LIKE 'op_single_session_login%'",
    )
    rows = [psql(database, query) for query in queries]
    assert all(rows)
    return rows
