"""dev/test: the whole suite on a new database, with Odoo's own runner and on real servers."""

import ast
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from .environment import (
    ADDON,
    DEV,
    REPOSITORY,
    argument_parser,
    exclusive,
    free_port,
    make_addons_folder,
    make_test_venv,
    odoo_command,
    odoo_environ,
    postgresql,
    prepare,
    psql,
    script_environ,
)
from .node import find_node, make_node_modules
from .odoo_tests import compare
from .programs import (
    find_chromium,
    find_faketime,
    find_nginx,
    find_redis,
    find_xmlsec,
)
from .progress import SetupError, step
from .run import install

# Other people's addons that only the servers of some scenarios load: session stores.
NOT_INSTALLED = ("environ_odoo_config", "redis_session_store", "session_db")
# The modules whose login paths the suite uses.
MODULES = (
    "web bus portal base_import auth_signup auth_totp auth_totp_mail auth_oauth auth_passkey auth_ldap test_lint"
).split()

# Warnings and errors of Odoo itself that are expected, and why.
EXPECTED = (
    "endpoints are deprecated in Odoo 19",  # said at each external API call
    # Odoo tries again what another request has written meanwhile, in two forms
    'UPDATE "discuss_channel_member"',
    "UPDATE discuss_channel_member",
    "[HOOT] Viewport size does not match",  # the browser of 18.0's tests has a lower window
)
# Odoo uses it to make the style sheets of right-to-left languages.
RTLCSS = "rtlcss@4.3.0"
# The only reason to skip a test: it is about something that this series does not have.
ABSENT = "not in this Odoo: "
LINT = "/test_lint:TestLintOverrideSignatures,/test_lint:ManifestLinter"


def main(arguments):
    """Run everything and return 0 only if all of it passed."""
    options = parse(arguments)
    environment = prepare(options.odoo)
    programs = find_programs(environment)
    lock = environment.cache / f"test-{environment.series}.lock"
    with exclusive(lock, busy="Waiting for another dev/test ..."), postgresql(environment):
        if options.odoo_tests:
            return int(run_odoo_tests(environment) > 0)
        if options.other_addons is not None:
            return int(run_with_other_addons(environment, programs, options.other_addons) > 0)
        passed, failed, absent = run_all(environment, programs, options.k)
    print(f"{passed} passed, {failed} failed" + (f", {absent} not in Odoo {environment.series}" if absent else ""))
    return int(failed > 0 or not passed)


def find_programs(environment):
    """Return the environment variables with the paths of programs, and add to PATH what Odoo looks for there."""
    python = make_test_venv(environment.cache)
    node = find_node(python)
    with exclusive(environment.cache / "setup.lock", busy="Waiting for another set-up ..."):
        programs = {
            "DEV_CHROMIUM": find_chromium(environment.cache),
            "DEV_FAKETIME": find_faketime(environment.cache),
            "DEV_NGINX": find_nginx(environment.cache),
            "DEV_OTHER_ADDONS": make_addons_folder(environment),
            "DEV_REDIS": find_redis(environment.cache),
            # Playwright's own Node needs more libraries than a small machine has
            "PLAYWRIGHT_NODEJS_PATH": node,
        }
        modules = make_node_modules(environment.cache, "node-test", python.parent, [RTLCSS])
        xmlsec = find_xmlsec(environment.cache)
    folders = [programs["DEV_CHROMIUM"].parent, modules / "node_modules" / ".bin", node.parent, xmlsec.parent]
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, folders)])
    return {name: str(path) for name, path in programs.items()}


def run_all(environment, programs, expression):
    """Run the parts and return how many tests passed, failed, and are absent in this series."""
    output = environment.cache / "output" / environment.series
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    with exclusive(environment.cache / "databases.lock", busy="Waiting for another database ..."):
        template = make_template(environment)
    parts = [odoo_tests, odoo_tests_with_session_db, odoo_lint, uninstallation] if not expression else []
    with new_database(environment, template) as database:
        counts = [part(environment, database, output) for part in parts]
    selection = ["-k", expression] if expression else []
    counts.append(scenarios(environment, programs, template, output, *selection))
    return [sum(numbers) for numbers in zip(*counts, strict=True)]


def run_odoo_tests(environment):
    output = environment.cache / "output" / f"{environment.series}-odoo"
    output.mkdir(parents=True, exist_ok=True)
    with exclusive(environment.cache / "databases.lock", busy="Waiting for another database ..."):
        template = make_template(environment, demo=True)
    return compare(environment, lambda: new_database(environment, template), run_odoo, has_module, output)


def run_with_other_addons(environment, programs, names):
    """Run the core scenarios with each of other people's addons, and return how many addons fail one.

    :param list names: which addons; if empty, all
    """
    folders = (Path(programs["DEV_OTHER_ADDONS"]) / "odoo" / "addons").iterdir()
    known = sorted(folder.name for folder in folders if folder.name not in NOT_INSTALLED)
    if unknown := set(names) - set(known):
        raise SetupError(f"Not among {', '.join(known)}: {', '.join(unknown)}")
    with exclusive(environment.cache / "databases.lock", busy="Waiting for another database ..."):
        template = make_template(environment)
    results = {}
    for name in names or known:
        output = environment.cache / "output" / f"{environment.series}-{name}"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        results[name] = scenarios(environment, {**programs, "DEV_WITH_ADDON": name}, template, output, "-m", "core")
    for name, (passed, failed, absent) in results.items():
        print(f"{name}: {passed} passed, {failed} failed" + (f", {absent} absent" if absent else ""))
    return sum(failed > 0 or not passed for passed, failed, _absent in results.values())


def parse(arguments):
    parser = argument_parser("dev/test", "Run the addon's whole suite.")
    parser.add_argument("-k", metavar="EXPRESSION", help="only the server scenarios that match, as in pytest")
    text = "instead, run Odoo's own tests of what the addon touches, with and without it"
    parser.add_argument("--odoo-tests", action="store_true", help=text)
    text = "instead, run the core scenarios with these addons from PyPI, or with each of them"
    parser.add_argument("--other-addons", nargs="*", metavar="NAME", help=text)
    return parser.parse_args(arguments)


# ----------------------------------------------------------------
# Databases
# ----------------------------------------------------------------


def make_template(environment, demo=False):
    """Return the name of a database with Odoo's modules and without the addon. It is created once."""
    modules = [name for name in MODULES if has_module(environment, name)]
    template = f"template_{environment.series.replace('.', '_')}{'_demo' if demo else ''}"
    made = environment.data / f"{template}.modules"
    wanted = f"{environment.odoo_path} {' '.join(modules)}"
    if made.is_file() and made.read_text() == wanted:
        return template
    with step(f"Database {template}"):
        psql(environment, "postgres", f'DROP DATABASE IF EXISTS "{template}"')
        # By default, 17.0 and 18.0 load demo data, 19.0 does not.
        if environment.series == "19.0":
            options = ["--with-demo"] if demo else []
        else:
            options = [] if demo else ["--without-demo=all"]
        install(environment, template, "-i", ",".join(modules), *options)
    made.write_text(wanted)
    return template


def has_module(environment, name):
    if name == "auth_ldap":
        probe = [environment.python, "-c", "import ldap"]
        return not subprocess.run(
            probe, env=odoo_environ(environment), stderr=subprocess.DEVNULL, check=False
        ).returncode
    return any((path / name).is_dir() for path in environment.addons_paths)


@contextlib.contextmanager
def new_database(environment, template):
    """Create a copy of a database, and drop it at the end."""
    name = f"test_{os.getpid()}"
    try:
        copy_database(environment, template, name)
        yield name
    finally:
        drop_databases(environment, os.getpid())


def copy_database(environment, template, name):
    """Copy a database with its attachments."""
    filestore = environment.data / "filestore"
    psql(environment, "postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    shutil.copytree(filestore / template, filestore / name)


def drop_databases(environment, pid):
    """Drop the databases of a process: their names end with its id."""
    query = rf"SELECT datname FROM pg_database WHERE datname LIKE '%\_{pid}'"
    for [name] in psql(environment, "postgres", query):
        psql(environment, "postgres", f'DROP DATABASE "{name}" WITH (FORCE)')
        shutil.rmtree(environment.data / "filestore" / name, ignore_errors=True)


# ----------------------------------------------------------------
# Odoo's own runner
# ----------------------------------------------------------------


def odoo_tests(environment, database, output):
    """Install the addon and run its tests. It fails if fewer tests ran than exist, or if one was skipped."""
    log = run_odoo(environment, database, output / "tests.log", "-i", ADDON, "--test-tags", f"/{ADDON}")
    return judge(environment, f"{ADDON} in Odoo {environment.series}", log, count_tests())


def odoo_tests_with_session_db(environment, database, output):
    """Run the same tests with the sessions in PostgreSQL, as on several machines."""
    if environment.series != "19.0":
        return 0, 0, 0
    sessions = f"sessions_{os.getpid()}"
    psql(environment, "postgres", f'CREATE DATABASE "{sessions}"')
    log = run_odoo(
        environment,
        database,
        output / "tests-session-db.log",
        *("-u", ADDON, "--test-tags", f"/{ADDON}", "--load=base,rpc,web,session_db"),
        addons=[make_addons_folder(environment) / "odoo" / "addons"],
        environ={"SESSION_DB_URI": f"postgresql://odoo@/{sessions}?host={environment.pg_socket}"},
    )
    if psql(environment, sessions, "SELECT count(*) FROM http_sessions") == [["0"]]:
        log += f"\n{ADDON} ERROR no session is in PostgreSQL\n"
    return judge(environment, f"{ADDON} with session_db", log, count_tests())


def odoo_lint(environment, database, output):
    """Run Odoo's own checks of override signatures and manifests on the installed addon."""
    log = run_odoo(environment, database, output / "lint.log", "-u", "test_lint", "--test-tags", LINT)
    return judge(environment, "Odoo's test_lint", log, 2)


def run_odoo(environment, database, log, *arguments, addons=(), environ=()):
    """Run Odoo with tests until it stops, and return its log."""
    command = odoo_command(
        environment,
        "-d",
        database,
        *arguments,
        "--stop-after-init",
        f"--http-port={free_port()}",
        "--max-cron-threads=0",
        addons=addons,
    )
    environ = {**odoo_environ(environment), **dict(environ)}
    with log.open("w") as file:
        done = subprocess.run(command, env=environ, stdout=file, stderr=file, check=False)
    text = log.read_text()
    return text if not done.returncode else text + f"\n{ADDON} ERROR Odoo ended with {done.returncode}: {log}\n"


def count_tests():
    """Count the test methods in the addon's tests folder."""
    trees = [ast.parse(path.read_text()) for path in (REPOSITORY / "tests").glob("test_*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return sum(isinstance(node, ast.FunctionDef) and node.name.startswith("test_") for node in nodes)


def judge(environment, title, log, expected):
    """Return how many tests passed, failed and are absent according to a log, and print what failed."""
    results = re.findall(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests", log)
    failed, errors, ran = map(int, results[-1]) if results else (0, 0, 0)
    skipped = re.findall(r"^.*: skipped \S+.*$", log, re.MULTILINE)
    absent = [line for line in skipped if may_be_skipped(environment, line)]
    problems = unexpected_lines(log) + [line for line in skipped if line not in absent]
    if ran < expected:
        problems.append(f"{ran} tests ran, {expected} exist")
    for problem in problems:
        print(f"  {problem}")
    failed = max(failed + errors, len(problems) and 1)
    passed = max(ran - failed - len(absent), 0)
    print(f"{title}: {passed} of {expected - len(absent)}", flush=True)
    return passed, failed, len(absent)


def may_be_skipped(environment, reason):
    """Return whether a test may be skipped, given its reason. 19.0 has everything, so there none may be."""
    return environment.series != "19.0" and ABSENT in reason


def unexpected_lines(log):
    """Return the warnings and errors of a log that are not expected, each with its traceback."""
    blocks = re.split(r"^(?=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ )", log, flags=re.MULTILINE)
    bad = [block for block in blocks if re.match(r"\S+ \S+ \d+ (WARNING|ERROR|CRITICAL) ", block)]
    bad += re.findall(rf"^{ADDON} ERROR .*$", log, re.MULTILINE)
    return [block.strip() for block in bad if not any(reason in block.partition("\n")[0] for reason in EXPECTED)]


# ----------------------------------------------------------------
# Uninstallation, scenarios
# ----------------------------------------------------------------


def uninstallation(environment, database, output):
    """Uninstall the addon, and check that nothing of it is left in the database."""
    script = f"env['ir.module.module'].search([('name', '=', '{ADDON}')]).button_immediate_uninstall()\n"
    command = odoo_command(environment, "-d", database, "--no-http")
    command.insert(2, "shell")
    done = subprocess.run(
        command, input=script, env=odoo_environ(environment), capture_output=True, text=True, check=False
    )
    (output / "uninstall.log").write_text(done.stderr)
    problems = unexpected_lines(done.stderr) + leftovers(environment, database)
    if done.returncode or "Traceback" in done.stderr:
        problems.append(done.stderr[-2000:])
    for problem in problems:
        print(f"  {problem}")
    print(f"Uninstallation: {'failed' if problems else 'nothing is left'}", flush=True)
    return int(not problems), int(bool(problems)), 0


def leftovers(environment, database):
    """Return what is left of the addon in a database."""
    query = r"""
        SELECT 'table', table_name FROM information_schema.tables WHERE table_name LIKE '%single\_session%'
        UNION SELECT 'column', table_name FROM information_schema.columns WHERE column_name = 'allow_multiple_sessions'
        UNION SELECT 'model', model FROM ir_model WHERE model LIKE '%single.session%'
        UNION SELECT 'field', name FROM ir_model_fields WHERE name = 'allow_multiple_sessions'
        UNION SELECT 'external id', name FROM ir_model_data WHERE module = 'op_single_session_login'
        UNION SELECT 'parameter', key FROM ir_config_parameter WHERE key LIKE '%single\_session%'
        UNION SELECT 'view', name FROM ir_ui_view WHERE arch_db::text LIKE '%allow_multiple_sessions%'
        UNION SELECT 'menu', name::text FROM ir_ui_menu WHERE name::text LIKE '%Login Sessions%'
        UNION SELECT 'action', name::text FROM ir_actions
               WHERE name::text LIKE '%Login Sessions%' OR name::text LIKE '%multiple sessions%'
        UNION SELECT 'state', state FROM ir_module_module
               WHERE name = 'op_single_session_login' AND state != 'uninstalled'
    """
    return [f"left: {' '.join(row)}" for row in psql(environment, database, query)]


def scenarios(environment, programs, template, output, *selection):
    """Run the scenarios on servers with workers. A skipped one counts as failed unless it may be skipped.

    :param selection: options of pytest that select scenarios
    """
    report = output / "scenarios.xml"
    environ = script_environ(environment, DEV_DATABASE_TEMPLATE=template, DEV_OUTPUT=str(output), **programs)
    command = [
        make_test_venv(environment.cache),
        "-m",
        "pytest",
        "-q",
        "--tb=short",
        f"--junitxml={report}",
        f"--output={output / 'failed'}",
        *selection,
        DEV / "scenarios",
    ]
    run_program(command, environ, lambda pid: drop_databases(environment, pid))
    if not report.is_file():
        raise SetupError("pytest wrote no report")
    suite = ElementTree.parse(report).getroot().find("testsuite")
    ran, *bad = (int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped"))
    absent = sum(may_be_skipped(environment, element.get("message", "")) for element in suite.iter("skipped"))
    sys.stdout.flush()
    return max(ran - sum(bad), 0), sum(bad) - absent, absent


def run_program(command, environ, finish=lambda pid: None):
    """Run a program in a process session of its own, and stop all its servers at the end, whatever happens.

    :param finish: called at the end with the process id of the program
    :return: its exit code
    """
    process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)  # the program then stops its servers
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        finish(process.pid)
