import os
import subprocess
from pathlib import Path

import pytest

from devtools.environment import odoo_environ
from devtools.test import copy_database
from servers import ENVIRONMENT, PASSWORD, Server, odoo_command

ADDONS = "op_single_session_login,op_single_session_login_faults"
USERS = """
from odoo import Command
def user(login, group="base.group_user", **values):
    field = "group_ids" if "group_ids" in env["res.users"] else "groups_id"
    groups = [Command.set([env.ref(group).id])]
    return env["res.users"].with_context(no_reset_password=True).create(
        dict(values, name=login, login=login, password={password!r}, **{{field: groups}}))
for lang in ("fr_FR", "ar_001"):
    env["res.lang"]._activate_lang(lang)
env["ir.module.module"].search([("name", "in", ["web", "portal"])])._update_translations(["fr_FR", "ar_001"])
for login in {logins}:
    user(login)
user("pia", "base.group_portal")
user("eve", "base.group_system")
env.cr.commit()
"""


def odoo(*arguments, script=None):
    """Run Odoo until it stops, with a script for its shell perhaps."""
    command = [*odoo_command(), "--max-cron-threads=0", "--no-http", *arguments]
    if script:
        command.insert(command.index(str(ENVIRONMENT.odoo_bin)) + 1, "shell")
    done = subprocess.run(
        command, input=script or "", env=odoo_environ(ENVIRONMENT), capture_output=True, text=True, check=False
    )
    assert not done.returncode and "Traceback" not in done.stderr, done.stderr[-4000:]


@pytest.fixture(scope="session")
def make_database():
    """Create databases; dev/test drops what ends with the number of this process."""

    def make(name, template=os.environ["DEV_DATABASE_TEMPLATE"]):
        name = f"{name}_{os.getpid()}"
        copy_database(ENVIRONMENT, template, name)
        return name

    return make


@pytest.fixture(scope="session")
def people():
    return ["ada", "bob", *(f"user{number}" for number in range(80))]


@pytest.fixture(scope="session")
def plain_database(make_database, people):
    """A database with users and without the addon."""
    name = make_database("plain")
    odoo("-d", name, script=USERS.format(password=PASSWORD, logins=people))
    return name


@pytest.fixture(scope="session")
def databases(make_database, plain_database):
    """Two databases with the addon; the same users have the same ids in both."""
    first = make_database("first", plain_database)
    odoo("-d", first, "-i", ADDONS, "--stop-after-init")
    return [first, make_database("second", first)]


@pytest.fixture(scope="session")
def folder():
    return Path(os.environ["DEV_OUTPUT"])


@pytest.fixture(scope="session")
def shared_server(databases, folder):
    with Server(databases, folder / "server") as server:
        yield server


@pytest.fixture
def server(shared_server):
    """The server of most scenarios; its log must stay clean in each of them."""
    before = len(shared_server.unexpected_log_lines())
    yield shared_server
    assert shared_server.unexpected_log_lines()[before:] == []


@pytest.fixture(scope="session")
def single_database_server(databases, folder):
    """With several databases, core loses the login form's database when it retries a request."""
    with Server(databases[:1], folder / "single") as server:
        yield server


@pytest.fixture
def login(people):
    """The login of a user that no other test has used."""
    return people.pop()
