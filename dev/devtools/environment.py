"""Sets up Odoo and what it needs, all in one cache folder."""

import argparse
import contextlib
import dataclasses
import gzip
import os
import re
import secrets
import shutil
import socket
import subprocess
from pathlib import Path

from . import debian, packages
from .postgresql import Cluster, find_postgresql, make_cluster
from .progress import SetupError, exclusive, named_after

DEV = Path(__file__).resolve().parent.parent
REPOSITORY = DEV.parent
ADDON = "op_single_session_login"
SERIES = ("17.0", "18.0", "19.0")


@dataclasses.dataclass(frozen=True)
class Environment:
    """The paths of everything that Odoo needs to run."""

    cache: Path
    series: str
    build: str
    odoo_bin: Path
    odoo_path: Path
    core_addons: Path
    addon_folder: Path  # that contains the addon
    python: Path
    libraries: str
    cluster: Cluster

    @property
    def data(self):
        return self.cluster.filestore.parent

    @property
    def addons_paths(self):
        return [self.core_addons, *self.core_addons.parent.glob("odoo/addons"), self.addon_folder]


def argument_parser(command, description, action="store", **options):
    """Return a parser for the arguments of all commands that run Odoo."""
    parser = argparse.ArgumentParser(command, description=description, **options)
    text = "an Odoo source tree (default: Debian's Odoo 19)"
    parser.add_argument("--odoo", type=lambda path: Path(path).resolve(), action=action, metavar="PATH", help=text)
    return parser


def prepare(odoo=None):
    """Set up what is missing and return the environment.

    :param Path odoo: an Odoo source tree; if it is None, Debian's Odoo 19
    :raise SetupError: if something can be neither found nor created
    """
    cache = cache_folder()
    with exclusive(cache / "setup.lock", busy="Waiting for another set-up ..."):
        addon_folder = _link_addon(cache)
        tree = odoo or debian.unpack_odoo(cache)
        odoo_bin, odoo_path, core_addons = _find_odoo(tree)
        series = _read_series(odoo_path)
        python = packages.make_odoo_venv(cache, series, tree)
        pg_programs, pg_libraries = find_postgresql(cache)
        cluster = make_cluster(cache, pg_programs, pg_libraries)
        libraries = ":".join(filter(None, [pg_libraries, packages.add_ldap(cache, python)]))
    build = _read_build(tree, series)
    return Environment(cache, series, build, odoo_bin, odoo_path, core_addons, addon_folder, python, libraries, cluster)


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


def stage(folder):
    for path in released_files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / path, folder / path)


def _link_addon(cache):
    """Return a folder of addons that contains this checkout: several may share the cache."""
    folder = named_after(cache / "checkout", str(REPOSITORY))
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (folder / ADDON).symlink_to(REPOSITORY)
    return folder


_reservations = []


def free_port():
    """Return a free port below those that Linux gives to clients, and reserve it for this process.

    A server takes a while until it listens. Until then, the name of a socket keeps the other processes of these
    commands from the port: only one socket can have it.
    """
    while True:
        port, reservation = 20_000 + secrets.randbelow(12_768), socket.socket(socket.AF_UNIX)
        with socket.socket() as probe, contextlib.suppress(OSError):
            reservation.bind(f"\0{ADDON}-{port}")
            probe.bind(("127.0.0.1", port))
            _reservations.append(reservation)
            return port
        reservation.close()


# ---------------- Odoo ----------------


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


def _read_build(tree, series):
    """Return which Odoo this is: Debian's version, or the series and the commit of a source tree, if it has one."""
    changelog = tree / "usr/share/doc/odoo-19/changelog.Debian.gz"
    if changelog.is_file():
        return f"Debian {gzip.decompress(changelog.read_bytes()).decode().partition(')')[0].partition('(')[2]}"
    with contextlib.suppress(FileNotFoundError, subprocess.CalledProcessError):
        if (tree / ".git").exists():
            return f"{series} {subprocess.check_output(['git', '-C', tree, 'rev-parse', 'HEAD'], text=True).strip()}"
    return series


def has_module(environment, name):
    """Return whether this Odoo has a module that can be installed."""
    if name == "auth_ldap":
        probe = {"args": [environment.python, "-c", "import ldap"], "env": odoo_environ(environment)}
        return not subprocess.run(**probe, stderr=subprocess.DEVNULL, check=False).returncode
    return any((path / name).is_dir() for path in environment.addons_paths)


def odoo_command(environment, *arguments, addons=()):
    """Return the command that starts Odoo.

    It starts a script, never ``-m odoo``: with workers, Odoo starts its websocket process by running the script
    again.

    :param addons: folders of more addons
    """
    return [
        str(environment.python),
        str(environment.odoo_bin),
        f"--db_host={environment.cluster.sockets}",
        "--db_user=odoo",
        f"--addons-path={','.join(map(str, [*environment.addons_paths, *addons]))}",
        f"--data-dir={environment.data}",
        "--http-interface=127.0.0.1",
        *arguments,
    ]


def odoo_environ(environment):
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
        "PYTHONPATH": str(environment.odoo_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_LIBRARY_PATH": environment.libraries,
    }
