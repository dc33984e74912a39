"""Sets up Odoo, its Python requirements and a PostgreSQL cluster, all in one cache folder."""

import argparse
import contextlib
import dataclasses
import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import venv
from pathlib import Path

from . import debian
from .progress import SetupError, named_after, replace_folder, step

DEV = Path(__file__).resolve().parent.parent
REPOSITORY = DEV.parent
ADDON = "op_single_session_login"
SERIES = ("17.0", "18.0", "19.0")
MIN_POSTGRESQL = 13
UV = "uv==0.13.9"
# What other people's addons need is taken as of this day.
OTHER_ADDONS_UNTIL = "2026-11-27"
# PostgreSQL refuses to run as root, and other users may not enter root's cache. So the user "nobody" runs it, with
# only the capability to enter that folder, which access(2) heeds only with no_setuid_fixup.
AS_NOBODY = (
    "setpriv --reuid=nobody --regid=nogroup --clear-groups --securebits=+no_setuid_fixup"
    " --inh-caps=+dac_override --ambient-caps=+dac_override --"
).split()


@dataclasses.dataclass(frozen=True)
class Environment:
    """The paths of everything that Odoo needs to run."""

    cache: Path
    series: str
    odoo_bin: Path
    odoo_path: Path
    core_addons: Path
    python: Path
    pg_bin: Path
    pg_socket: Path
    libraries: str

    def to_json(self):
        return json.dumps(dataclasses.asdict(self), default=str)

    @classmethod
    def from_json(cls, text):
        """Return the environment that a parent process wrote as JSON."""
        values = json.loads(text)
        return cls(**{field.name: field.type(values[field.name]) for field in dataclasses.fields(cls)})

    @property
    def data(self):
        return self.cache / "data"

    @property
    def addons_paths(self):
        return [self.core_addons, *self.core_addons.parent.glob("odoo/addons"), _checkout(self.cache)]


def argument_parser(command, description):
    """Return a parser for the arguments of all commands that run Odoo."""
    parser = argparse.ArgumentParser(command, description=description)
    parser.add_argument("--odoo", type=Path, metavar="PATH", help="an Odoo source tree (default: Debian's Odoo 19)")
    return parser


def prepare(odoo=None):
    """Set up what is missing and return the environment.

    :param Path odoo: an Odoo source tree; if it is None, Debian's Odoo 19
    :raise SetupError: if something can be neither found nor created
    """
    cache = cache_folder()
    with exclusive(cache / "setup.lock", busy="Waiting for another set-up ..."):
        _link_addon(_checkout(cache))
        odoo_bin, odoo_path, core_addons = _find_odoo(odoo or debian.unpack_odoo(cache))
        series = _read_series(odoo_path)
        requirements = _requirements(series, odoo)
        python = _make_venv(cache, series, requirements)
        pg_bin, pg_libraries = _find_postgresql(cache)
        pg_socket = _make_cluster(cache, pg_bin, pg_libraries)
        libraries = ":".join(filter(None, [pg_libraries, _add_ldap(cache, python)]))
    return Environment(cache, series, odoo_bin, odoo_path, core_addons, python, pg_bin, pg_socket, libraries)


def cache_folder():
    """Return the folder for everything that dev/ creates."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / ADDON
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def released_files():
    """Return the files of the working tree that a release contains. It does not need git."""
    left_out = re.findall(r"^/(\S+) export-ignore", (REPOSITORY / ".gitattributes").read_text(), re.MULTILINE)
    left_out = {".git", "__pycache__", "node_modules", *left_out}
    files = (path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*") if path.is_file())
    return sorted(path for path in files if not left_out.intersection(path.parts))


@contextlib.contextmanager
def exclusive(path, busy=None):
    """Hold the lock of a file. If another process holds it, print a message and wait."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if busy:
                print(busy, file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _checkout(cache):
    """Return the folder of addons that contains this checkout: several may share the cache."""
    return named_after(cache / "checkout", str(REPOSITORY))


def _link_addon(folder):
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (folder / ADDON).symlink_to(REPOSITORY)


# ----------------------------------------------------------------
# Odoo
# ----------------------------------------------------------------


def _find_odoo(tree):
    """Return the start script, the folder to import odoo from and the addons of a source tree."""
    for script, path, addons in (
        ("odoo-bin", ".", "addons"),
        ("setup/odoo", ".", "addons"),
        ("usr/bin/odoo", "usr/lib/python3/dist-packages", "usr/lib/python3/dist-packages/odoo/addons"),
    ):
        if (tree / script).is_file() and (tree / path / "odoo" / "release.py").is_file():
            return tuple((tree / part).resolve() for part in (script, path, addons))
    raise SetupError(f"{tree} is no Odoo source tree: it needs odoo-bin, odoo/ and addons/")


def _read_series(odoo_path):
    release = (odoo_path / "odoo" / "release.py").read_text()
    series = ".".join(re.search(r"^version_info = \((\d+), (\d+)", release, re.MULTILINE).groups())
    if series not in SERIES:
        raise SetupError(f"{odoo_path} is Odoo {series}; the addon is for {', '.join(SERIES)}")
    return series


def odoo_command(environment, *arguments, addons=()):
    """Return the command that starts Odoo.

    It starts a script, never ``-m odoo``: with workers, Odoo starts its websocket process by running the script
    again.

    :param addons: folders of more addons
    """
    return [
        str(environment.python),
        str(environment.odoo_bin),
        f"--db_host={environment.pg_socket}",
        "--db_user=odoo",
        f"--addons-path={','.join(map(str, [*environment.addons_paths, *addons]))}",
        f"--data-dir={environment.data}",
        "--http-interface=127.0.0.1",
        *arguments,
    ]


def odoo_environ(environment):
    """Return the environment variables for Odoo and for PostgreSQL's programs."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
        "PYTHONPATH": str(environment.odoo_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_LIBRARY_PATH": environment.libraries,
    }


def script_environ(environment, **more):
    """Return the environment variables for a program of dev/ that runs servers."""
    return {
        **odoo_environ(environment),
        "PYTHONPATH": f"{DEV}:{DEV / 'scenarios'}",
        "DEV_ENVIRONMENT": environment.to_json(),
        **more,
    }


# ----------------------------------------------------------------
# Python
# ----------------------------------------------------------------


def _requirements(series, odoo):
    """Return the requirements, one per line: ours if there are any, otherwise those of the source tree."""
    ours = DEV / f"requirements-{series}.txt"
    if ours.is_file():
        return ours.read_text()
    theirs = Path(odoo, "requirements.txt").read_text().replace("psycopg2==", "psycopg2-binary==")
    return "".join(line for line in theirs.splitlines(keepends=True) if not line.startswith("python-ldap"))


def _make_venv(cache, series, requirements):
    return make_venv(cache, f"venv-{series}", f"{requirements}\n{(DEV / 'requirements-odoo.txt').read_text()}")


def make_test_venv(cache):
    """Return the Python that runs the scenarios. Their packages conflict with those of older series."""
    return make_venv(cache, "venv-test", (DEV / "requirements-test.txt").read_text())


def make_venv(cache, name, requirements):
    """Return the Python of a virtual environment with these requirements."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = named_after(cache / f"{name}-py{version}", requirements)
    python, complete = folder / "bin" / "python", folder / "complete"
    with exclusive(cache / f"{name}.lock"):
        if not complete.exists():
            with step(f"Python packages for {name}"):
                _fill_venv(folder, python, requirements)
            complete.touch()
    return python


def _fill_venv(folder, python, requirements):
    # not created under another name and renamed: its scripts contain its path
    uv(folder.parent, "venv", "--clear", "--python", sys.executable, folder)
    listed, constraints = folder / "requirements.txt", folder / "constraints.txt"
    listed.write_text(requirements)
    # building some packages for Odoo 17.0 and 18.0 needs what later setuptools have dropped
    constraints.write_text("setuptools<81\n")
    options = ["--constraint", constraints, "--build-constraint", constraints]
    # Odoo runs without writing bytecode. Compiling it each time would take long, and repeat the compiler's warnings.
    uv(folder.parent, "pip", "install", "--compile-bytecode", "--python", python, "-r", listed, *options)


def make_addons_folder(environment):
    """Return a folder with other people's addons and the packages that they need, from PyPI."""
    requirements = (DEV / f"requirements-addons-{environment.series}.txt").read_text()
    folder = named_after(environment.cache / f"addons-{environment.series}", requirements, OTHER_ADDONS_UNTIL)
    if not folder.is_dir():
        with step("Other people's addons from PyPI"), replace_folder(folder) as unfinished:
            listed, excluded, installed = (unfinished / f"{name}.txt" for name in ("listed", "excluded", "installed"))
            listed.write_text(requirements)
            excluded.write_text("odoo; sys_platform == 'never'\npsycopg2; sys_platform == 'never'\n")
            installed.write_text(uv(environment.cache, "pip", "freeze", "--python", environment.python))
            options = ["--overrides", excluded, "--constraint", installed, "--exclude-newer", OTHER_ADDONS_UNTIL]
            target = ["--python", environment.python, "--target", unfinished]
            uv(environment.cache, "pip", "install", "--compile-bytecode", *target, "-r", listed, *options)
    return folder


def uv(cache, *arguments):
    """Run uv, which makes virtual environments and installs Python packages, and return what it printed.

    :raise SetupError: with the last lines of its errors
    """
    folder = named_after(cache / "uv", UV)
    with exclusive(cache / "uv.lock"):
        if not folder.is_dir():
            with step(f"{UV} from PyPI"), replace_folder(folder) as unfinished:
                venv.create(unfinished, with_pip=True)
                subprocess.run([unfinished / "bin/python", "-m", "pip", "install", "--quiet", UV], check=True)
    settings = {"UV_CACHE_DIR": str(cache / "uv-cache"), "UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"}
    environ = {**os.environ, **settings}
    command = [folder / "bin/uv", *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"uv {arguments[0]} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout


def _add_ldap(cache, python):
    """Add Debian's python3-ldap to the virtual environment. PyPI has its source only.

    :return: the folders of its shared libraries; empty if it does not fit this Python
    """
    folder = debian.unpack(cache, "python3-ldap")
    packages = folder / "usr/lib/python3/dist-packages"
    if not list(packages.glob(f"_ldap.cpython-{sys.version_info.major}{sys.version_info.minor}-*.so")):
        print("Without LDAP: Debian's python3-ldap is for another Python", file=sys.stderr)
        return ""
    [site_packages] = python.parent.parent.glob("lib/python3*/site-packages")
    (site_packages / "python3-ldap.pth").write_text(f"{packages}\n")
    return debian.library_path(folder)


# ----------------------------------------------------------------
# PostgreSQL
# ----------------------------------------------------------------


def _find_postgresql(cache):
    """Return the folder of PostgreSQL's programs and the folders of the libraries that they need."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if installed and _version(installed[-1]) >= MIN_POSTGRESQL:
        return installed[-1].parent, ""
    folder = debian.unpack(cache, "postgresql")
    [initdb] = folder.glob("usr/lib/postgresql/*/bin/initdb")
    return initdb.parent, debian.library_path(folder)


def _version(initdb):
    return int(initdb.parent.parent.name)


def _make_cluster(cache, pg_bin, libraries):
    """Return the folder of the cluster's socket. Create the cluster if there is none."""
    cluster = cache / f"cluster-{pg_bin.parent.name}"
    sockets = cache / "socket"
    if len(str(sockets / ".s.PGSQL.5432")) > 107:
        raise SetupError(f"{sockets} is too long for a unix socket: set XDG_CACHE_HOME to a shorter path")
    sockets.mkdir(exist_ok=True)
    if not cluster.is_dir():
        with replace_folder(cluster) as unfinished:
            data = unfinished / "data"
            data.mkdir()
            if os.getuid() == 0:
                for path in (sockets, unfinished, data):
                    shutil.chown(path, "nobody", "nogroup")
            options = "--username=odoo --auth=trust --encoding=UTF8 --locale=C.UTF-8".split()
            _postgresql(pg_bin / "initdb", libraries, "-D", data, *options)
    return sockets


def with_own_cluster(environment, folder):
    """Return the environment with a PostgreSQL cluster of its own, which a test may stop."""
    folder.mkdir()
    return dataclasses.replace(
        environment, cache=folder, pg_socket=_make_cluster(folder, environment.pg_bin, environment.libraries)
    )


def _postgresql(program, libraries, *arguments):
    command = [*(AS_NOBODY if os.getuid() == 0 else []), program, *arguments]
    environ = {**os.environ, "LD_LIBRARY_PATH": libraries, "TZ": "UTC"}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, env=environ, check=False, **output)
    if done.returncode:
        raise SetupError(f"{program} failed: {done.stdout.strip()}")


@contextlib.contextmanager
def postgresql(environment):
    """Run the cluster as long as a command uses it."""
    with (environment.cache / "postgresql.lock").open("w") as users:
        try:
            _start(environment, users)
            yield
        finally:
            _stop(environment, users)


def _start(environment, users):
    with exclusive(environment.cache / "setup.lock"):
        fcntl.flock(users, fcntl.LOCK_SH)
        if _answers(environment):
            return
        options = f"-c listen_addresses='' -c unix_socket_directories='{environment.pg_socket}'"
        options += " -c fsync=off -c max_connections=300"
        _pg_ctl(environment, "start", "-l", _cluster(environment) / "log", "-o", options)


def _stop(environment, users):
    """Stop the cluster unless another command holds its shared lock."""
    with exclusive(environment.cache / "setup.lock"), contextlib.suppress(BlockingIOError):
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if (_cluster(environment) / "data" / "postmaster.pid").exists():
            _pg_ctl(environment, "stop", "-m", "fast")


def _cluster(environment):
    return environment.cache / f"cluster-{environment.pg_bin.parent.name}"


def _pg_ctl(environment, action, *arguments):
    data = _cluster(environment) / "data"
    _postgresql(environment.pg_bin / "pg_ctl", environment.libraries, "-s", "-w", "-D", data, action, *arguments)


def _answers(environment):
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(environment.pg_socket / ".s.PGSQL.5432"))
        return True
    return False


def psql(environment, database, query):
    """Run a query and return its rows as lists of strings."""
    command = [environment.pg_bin / "psql", "-XAtq", "-F", "\t", "-h", environment.pg_socket, "-U", "odoo"]
    command += ["-v", "ON_ERROR_STOP=1", "-d", database, "-c", query]
    environ = {**odoo_environ(environment), "PGOPTIONS": "-c client_min_messages=warning"}
    output = subprocess.check_output(command, text=True, env=environ)
    return [line.split("\t") for line in output.splitlines()]


def free_port():
    """Return a free port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
