"""dev/test and what else runs pytest: dev/bench, dev/storm, dev/screenshots."""

import contextlib
import dataclasses
import os
import pickle
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from . import packages
from .databases import drop_databases, make_template, new_run
from .environment import ADDON, DEV, Environment, argument_parser, odoo_environ, prepare, stage
from .odoo_tests import compare
from .postgresql import running
from .programs import find_chromium, find_faketime, find_program, version_of
from .progress import SetupError, exclusive

# Other people's addons that only the servers of some scenarios load: session stores.
NOT_INSTALLED = ("environ_odoo_config", "redis_session_store", "session_db")
# Odoo uses it to make the style sheets of right-to-left languages.
RTLCSS = "rtlcss@4.3.0"


@dataclasses.dataclass(frozen=True)
class TestEnvironment(Environment):
    """What the tests need besides."""

    __test__ = False

    run: str  # the end of the names of its databases
    output: Path
    template: str  # the database to begin with
    chromium: Path
    faketime: Path
    nginx: Path
    redis: Path
    packages: Path  # other people's addons with all that they import
    with_addon: str = ""  # the one of them that is installed with ours in all databases


def main(arguments):
    """Run pytest, or what an option says instead, and return its exit code."""
    text = "Run the addon's tests: all of them, or those that pytest's options and paths in dev/ select."
    parser = argument_parser("dev/test", text, allow_abbrev=False)
    text = "instead, run Odoo's own tests of what the addon touches, with and without it"
    parser.add_argument("--odoo-tests", action="store_true", help=text)
    text = "instead, run the core scenarios with these addons from PyPI, or with each of them"
    parser.add_argument("--other-addons", nargs="*", metavar="NAME", help=text)
    parser.add_argument("--coverage", action="store_true", help="also say how much of the addon's Python code ran")
    options, arguments = parser.parse_known_args(arguments)
    with test_environment(options.odoo) as environment:
        if options.odoo_tests:
            return compare(environment)
        if options.other_addons is not None:
            return run_with_other_addons(environment, options.other_addons)
        if options.coverage:
            return run_with_coverage(environment, *arguments)
        return run_pytest(environment, *arguments)


def bench(arguments):
    """Print ratios measured in one run. Nothing passes or fails."""
    scripts = {path.stem: path for path in sorted((DEV / "benchmarks").glob("[a-z]*.py")) if path.stem != "conftest"}
    parser = argument_parser("dev/bench", "Measure what the addon costs.")
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"of {', '.join(scripts)} (default: all)")
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - set(scripts):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    with test_environment(options.odoo) as environment:
        chosen = [str(scripts[name]) for name in options.only or scripts]
        return run_pytest(environment, *chosen, "-n0", "-s", "--timeout=0", "--durations=0")


def storm(arguments):
    """Run simultaneous logins of one user, while other requests disturb them."""
    parser = argument_parser("dev/storm", "Let one user log in many times at once, between other requests.")
    parser.add_argument("--rounds", type=int, default=500, metavar="N", help="default: 500")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), metavar="N", help="default: a new one")
    options = parser.parse_args(arguments)
    print(f"{options.rounds} rounds, seed {options.seed}", flush=True)
    with test_environment(options.odoo) as environment:
        rounds = [f"--rounds={options.rounds}", f"--seed={options.seed}"]
        return run_pytest(environment, "scenarios/test_storm.py", "-n0", "-s", "--timeout=0", *rounds)


def screenshots(arguments):
    """Take the pictures of the addon's page in the Apps menu from a running server."""
    options = argument_parser("dev/screenshots", "Take the pictures of static/description.").parse_args(arguments)
    with test_environment(options.odoo) as environment:
        return run_pytest(environment, "scenarios/screenshots.py", "-n0")


@contextlib.contextmanager
def test_environment(odoo):
    """Set up everything that tests need, as long as the context."""
    environment = prepare(odoo)
    programs = find_programs(environment)
    print(f"Odoo: {environment.build}. Chromium: {version_of(programs['chromium'])}.", file=sys.stderr, flush=True)
    with running(environment.cluster), new_run(environment.cluster) as run:
        output = environment.cache / "output" / run
        shutil.rmtree(output, ignore_errors=True)
        stage(output / "addons" / ADDON)
        values = {field.name: getattr(environment, field.name) for field in dataclasses.fields(environment)}
        values["addon_folder"] = output / "addons"
        yield TestEnvironment(**values, **programs, run=run, output=output, template=make_template(environment))


def find_programs(environment):
    """Return the paths of programs for the tests, and add to PATH what Odoo looks for there."""
    cache = environment.cache
    python = packages.make_test_venv(cache)
    with exclusive(cache / "setup.lock", busy="Waiting for another set-up ..."):
        programs = {"chromium": find_chromium(cache), "faketime": find_faketime(cache)}
        programs["nginx"] = find_program(cache, "nginx", "usr/sbin/nginx")
        programs["redis"] = find_program(cache, "redis-server", "usr/bin/redis-server")
        programs["packages"] = packages.make_addons_folder(cache, environment.series, environment.python)
        node = packages.find_node(python)
        modules = packages.make_node_modules(cache, "node-test", python.parent, [RTLCSS])
        xmlsec = find_program(cache, "xmlsec1", "usr/bin/xmlsec1")  # with which auth_saml and its provider sign
    folders = [programs["chromium"].parent, modules / "node_modules" / ".bin", node.parent, xmlsec.parent]
    os.environ["PATH"] = os.pathsep.join([os.environ["PATH"], *map(str, folders)])
    # Playwright's own Node needs more libraries than a small machine has
    os.environ["PLAYWRIGHT_NODEJS_PATH"] = str(node)
    return programs


def run_pytest(environment, *arguments):
    """Run pytest in a process session of its own, and stop all its servers at the end, whatever happens.

    :return: its exit code
    """
    described = environment.output / "environment.pickle"
    described.write_bytes(pickle.dumps(environment))
    temporary = environment.output / "tmp"
    temporary.mkdir(exist_ok=True)
    paths = {"PYTHONPATH": str(DEV), "TMPDIR": str(temporary), "TEST_ENVIRONMENT": str(described)}
    environ = {**odoo_environ(environment), **paths}
    python = packages.make_test_venv(environment.cache)
    # if this process is killed, pytest stops too, with all its servers
    command = ["setpriv", "--pdeathsig=INT", python, "-m", "pytest", f"--output={environment.output / 'failed'}"]
    command += ["-o", f"cache_dir={environment.cache / 'pytest' / environment.series}", *map(absolute, arguments)]
    process = subprocess.Popen(command, cwd=DEV, env=environ, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return process.wait()
    except BaseException:
        process.send_signal(signal.SIGINT)  # pytest then stops its servers
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(60)
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def run_with_coverage(environment, *arguments):
    """Run pytest, and print which lines of the addon no Odoo has run."""
    settings = environment.output / "coverage.ini"
    settings.write_text(
        f"[run]\nsource = {environment.addon_folder / ADDON}\ndata_file = {environment.output}/coverage/data\n"
        "parallel = true\nrelative_files = true\npatch = _exit\n"
        "[report]\nomit = */tests/*\nshow_missing = true\nskip_covered = true\n"
    )
    os.environ["COVERAGE_PROCESS_START"] = str(settings)  # packages.py has made every Odoo heed it
    code = run_pytest(environment, *arguments)
    del os.environ["COVERAGE_PROCESS_START"]
    for action in (["combine", "--quiet"], ["report"]):
        command = [environment.python, "-m", "coverage", *action, f"--rcfile={settings}"]
        subprocess.run(command, cwd=environment.addon_folder, check=False)
    return code


def absolute(argument):
    """Make the path of a test file absolute, if there is one, since pytest runs in dev/."""
    path = Path(argument.partition("::")[0])
    return argument if path.suffix != ".py" or not path.exists() else str(Path.cwd() / argument)


def run_with_other_addons(environment, names):
    """Run the core scenarios with each of other people's addons.

    :param list names: which addons; if empty, all
    """
    folders = (environment.packages / "odoo" / "addons").iterdir()
    known = sorted(folder.name for folder in folders if folder.name not in NOT_INSTALLED)
    if unknown := set(names) - set(known):
        raise SetupError(f"Not among {', '.join(known)}: {', '.join(unknown)}")
    codes = {}
    for name in names or known:
        output = environment.output / name
        output.mkdir()
        with_addon = dataclasses.replace(environment, with_addon=name, output=output)
        codes[name] = run_pytest(with_addon, "-m", "core")
        drop_databases(environment.cluster, environment.run)  # the next addon makes its own
        print(f"{name}: {'failed' if codes[name] else 'passed'}", flush=True)
    failed = [name for name, code in codes.items() if code]
    print(f"{len(codes) - len(failed)} addons passed, {len(failed)} failed: {', '.join(failed)}")
    return int(bool(failed))
