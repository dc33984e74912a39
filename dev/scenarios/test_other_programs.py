"""LDAP logins and reports, which need another program besides Odoo."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from servers import PASSWORD, Device, Server, alive


@pytest.fixture
def ldap_port():
    script = Path(__file__).with_name("ldap_server.py")
    process = subprocess.Popen([sys.executable, script, PASSWORD], stdout=subprocess.PIPE, text=True)
    yield int(process.stdout.readline())
    process.terminate()
    process.wait()


def test_ldap(single_database_server, ldap_port):
    """The first login creates the user, on 19.0 in the transaction of the login. Odoo then retries both."""
    server = single_database_server
    lines = server.unexpected_log_lines()
    admin = Device(server).login("admin", "admin")
    [company] = admin.call("res.company", "search", [])["result"]
    values = {"company": company, "ldap_server": "127.0.0.1", "ldap_server_port": ldap_port}
    values.update(ldap_base="dc=example", ldap_filter="(uid=%s)")
    assert admin.call("res.company.ldap", "create", values)["result"]
    first = Device(server)
    first.open_login_page()
    assert first.send_login("lena", path="/web/login?fault=conflict").status_code == 303
    assert first.uid
    second = Device(server).login("lena")
    assert alive(first, second) == [False, True]
    assert server.unexpected_log_lines() == lines


@pytest.fixture
def report_server(databases, folder):
    """A server with a fake wkhtmltopdf, which asks the server for its user and returns the answer as the report."""
    program = folder / "bin" / "wkhtmltopdf"
    environ = {"PATH": f"{program.parent}:{os.environ['PATH']}"}
    server = Server(databases, folder / "reports", environ=environ)
    program.parent.mkdir()
    script = Path(__file__).with_name("wkhtmltopdf.py")
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {script} {server.url} "$@"\n')
    program.chmod(0o755)
    with server:
        yield server


def test_report_session(report_server):
    """Odoo gives wkhtmltopdf a temporary session without a login."""
    admin = Device(report_server).login("admin", "admin")
    [module] = admin.call("ir.module.module", "search", [["name", "=", "web"]])["result"]
    report = admin.get(f"/report/pdf/base.report_irmodulereference/{module}")
    assert report.json()["result"]["uid"] == admin.uid
