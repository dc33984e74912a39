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


def test_copy_of_a_database(make_database, addon_database, folder):
    """A copy has the identifiers of the original's sessions. A login in the copy must not end them."""
    original = make_database("original", addon_database)
    copy = original.replace("original", "copy")
    with Server([original], folder / "copy", *serve_copies(folder / "copy.conf", original, copy)) as server:
        ada, bob, several = (Device(server).login(login) for login in ("ada", "bob", "max"))
        assert alive(ada, bob, several) == [True] * 3
        duplicate(ada, copy)
        in_copy = Device(server, copy).login("ada")
        assert alive(ada, bob, several, in_copy) == [True] * 4
        assert server.files_of(ada.sid)
        assert not [text for _level, text in server.single_session_lines() if "newer_login" in text]

        admin = Device(server, copy).login("admin", "admin")
        # the copy cannot know which of the original's sessions are still open
        assert [state_of(admin, login) for login in ("ada", "bob", "max")] == [False, False, False]
        everything = admin.call("op.single.session.login", "search", [["user_id", "!=", admin.uid]])["result"]
        answer = admin.prove_identity(admin.call("op.single.session.login", "action_end", everything), "admin")
        assert answer["result"]["params"]["message"] == "Sessions ended: 3"
        assert alive(ada, bob, several, in_copy) == [True, True, True, False]

        again = [Device(server, database).login("ada") for database in server.databases]
        assert alive(ada, bob, several, in_copy, *again) == [False, True, True, False, True, True]
        assert not server.files_of(ada.sid)
        assert server.unexpected_log_lines() == []


def test_replica(databases, folder, login):
    """On 18.0, a JSON login opens its session in a transaction that may only read."""
    skip_without("replicas of the database", "db_replica_host" in odoo_source("tools/config.py"))
    with Server(databases[:1], folder / "replica", f"--db_replica_host={ENVIRONMENT.pg_socket}") as server:
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
