"""The tests in ../tests and Odoo's own checks of addons, in Odoo's runner. Each of them is a test here."""

import ast
import json
import operator
import subprocess

import pytest
from logs import unexpected_lines

from devtools.environment import ADDON, DEV, REPOSITORY, free_port, odoo_command, odoo_environ
from servers import ENVIRONMENT, load, make_data_folder, psql, session_db

SECONDS = 800  # for all tests of a class below
LINT = (
    "test_lint.test_override_signatures.TestLintOverrideSignatures.test_lint_override_signature",
    "test_lint.test_manifests.ManifestLinter.test_manifests",
)
SHORT = operator.methodcaller("removeprefix", f"{ADDON}.")  # pytest replaces ids of more than 100 characters
# What does not touch the sessions of the server.
WITHOUT_SESSIONS = ("TestAllowMultipleSessions", "TestBrowser", "TestBypass", "TestParameters")


def find_tests(left_out=()):
    """Return the names of the test methods in the addon's tests folder, except those of some classes."""
    return [
        f"{ADDON}.{path.stem}.{node.name}.{child.name}"
        for path in sorted((REPOSITORY / "tests").glob("test_*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name not in left_out
        for child in node.body
        if isinstance(child, ast.FunctionDef) and child.name.startswith("test_")
    ]


class Runner:
    """Odoo's runner, and what it said about each test."""

    def __init__(self, database, folder, names, *loaded, addons=(), environ=()):
        log, report = folder / "odoo.log", folder / "report.jsonl"
        report.touch()
        tags = ",".join("/{}:{}.{}".format(*name.split(".")[::2], name.rpartition(".")[2]) for name in names)
        options = [load("op_single_session_login_report", *loaded), "-i", ADDON, "-u", "test_lint"]
        options += ["--test-tags", tags, "--stop-after-init", "--max-cron-threads=0", f"--http-port={free_port()}"]
        options += [f"--data-dir={make_data_folder(folder / 'data')}"]  # other runs use Odoo's at the same time
        command = odoo_command(ENVIRONMENT, "-d", database, *options, addons=[DEV / "addons", *addons])
        environ = {**odoo_environ(ENVIRONMENT), **dict(environ), "TEST_REPORT": str(report)}
        with log.open("w") as file:
            done = subprocess.run(command, env=environ, stdout=file, stderr=file, check=False, timeout=SECONDS)
        self.problems = unexpected_lines(log.read_text(errors="replace"))
        self.problems += [f"Odoo ended with {done.returncode}: {log}"] if done.returncode else []
        self.lines = [json.loads(line) for line in report.read_text().splitlines()]

    def judge(self, name):
        """Pass, skip or fail as the test did. It must have run."""
        addon, *path = name.split(".")
        wanted = ".".join(["odoo", "addons", addon, "tests", *path])
        # the parameters of a part follow the name
        about = [line for line in self.lines if line[0].partition(" ")[0] == wanted]
        for _name, kind, text in about:
            if kind == "addSkip":
                pytest.skip(text)
        failures = [text for _name, kind, text in about if kind in ("addFailure", "addError")]
        assert not failures, "\n".join(failures)
        assert [kind for _name, kind, _text in about] == ["addSuccess"], "it did not run"


@pytest.fixture(scope="class")
def selected(request):
    """The tests of this class that pytest's options have selected."""
    items = (item for item in request.session.items if item.cls is request.cls and hasattr(item, "callspec"))
    return [item.callspec.params["name"] for item in items]


class TestInOdoo:
    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls, make_database, folder, selected):
        (folder / "in-odoo").mkdir()
        return Runner(make_database("odoo"), folder / "in-odoo", selected)

    @pytest.mark.parametrize("name", [*find_tests(), *LINT], ids=SHORT)
    def test(self, runner, name):
        runner.judge(name)

    def test_log(self, runner):
        assert runner.problems == []


class TestWithSessionDb:
    """Again with the sessions in PostgreSQL, as on several machines."""

    __test__ = ENVIRONMENT.series == "19.0"

    @pytest.fixture(scope="class")
    @classmethod
    def sessions(cls, make_database):
        return make_database("sessions", "template1")

    @pytest.fixture(scope="class")
    @classmethod
    def runner(cls, make_database, folder, selected, sessions):
        (folder / "session-db").mkdir()
        _option, settings = session_db(sessions)
        return Runner(make_database("odoo_session_db"), folder / "session-db", selected, "session_db", **settings)

    @pytest.mark.parametrize("name", find_tests(WITHOUT_SESSIONS), ids=SHORT)
    def test(self, runner, name):
        runner.judge(name)

    def test_log(self, runner, sessions):
        assert runner.problems == []
        assert psql(sessions, "SELECT count(*) FROM http_sessions") != [(0,)]
