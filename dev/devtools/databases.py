"""Databases: made once and kept for all runs, or copied for one run."""

import contextlib
import fcntl
import hashlib
import itertools
import os
import re
import shutil
import subprocess

from .environment import has_module, odoo_command, odoo_environ
from .progress import SetupError, exclusive, step

# The modules whose login paths the suite uses.
MODULES = (
    "web bus portal base_import auth_signup auth_totp auth_totp_mail auth_oauth auth_passkey auth_ldap test_lint"
).split()
KEPT = 3  # databases of one name with other content, as after each change of the addon


def run_odoo(environment, *arguments, script=None, addons=(), environ=()):
    """Run Odoo until it stops, optionally with a script for its shell; return what it printed.

    :param addons: folders of more addons
    :raise SetupError: with the errors and the end of its log
    """
    command = odoo_command(environment, "--max-cron-threads=0", "--no-http", *arguments, addons=addons)
    if script:
        command.insert(2, "shell")
    else:
        command.append("--stop-after-init")
    environ = {**odoo_environ(environment), **dict(environ)}
    done = subprocess.run(command, input=script or "", env=environ, capture_output=True, text=True, check=False)
    if done.returncode or "Traceback" in done.stderr or (not script and " ERROR " in done.stderr):
        errors = re.findall("^.* ERROR .*$", done.stderr, re.MULTILINE)
        raise SetupError("\n".join([f"Odoo failed: {' '.join(map(str, arguments))}", *errors, done.stderr[-4000:]]))
    return done.stdout


def make_template(environment, demo=False):
    """Return the name of a database with Odoo's modules and without the addon."""
    # By default, 17.0 and 18.0 load demo data, 19.0 does not.
    if environment.series == "19.0":
        options = ["--with-demo"] if demo else []
    else:
        options = [] if demo else ["--without-demo=all"]
    modules = ",".join(name for name in MODULES if has_module(environment, name))
    return make_once(environment, "demo" if demo else "template", None, "-i", modules, *options)


def make_once(environment, name, template, *arguments, script=None, addons=(), environ=(), content=()):
    """Return the name of a database that is made only once. The name depends on what it contains.

    :param template: the database to begin with, or None
    :param arguments: with which Odoo makes it
    :param script: what Odoo's shell does then
    :param content: on what else it depends
    """
    cluster = environment.cluster
    parts = (environment.build, environment.odoo_path, template, arguments, script, content)
    prefix = f"{name}_{environment.series.replace('.', '_')}_"
    database = prefix + hashlib.sha256(repr(parts).encode()).hexdigest()[:8]
    with exclusive(cluster.folder / f"{prefix}.lock", busy=f"Waiting for database {database} ..."):
        if not exists(cluster, database):
            with step(f"Database {database}"):
                unfinished = f"{database}_unfinished"
                drop_database(cluster, unfinished)
                if template:
                    copy_database(cluster, template, unfinished)
                run_odoo(environment, "-d", unfinished, *arguments, addons=addons, environ=environ)
                if script:
                    run_odoo(environment, "-d", unfinished, script=script, addons=addons, environ=environ)
                rename_database(cluster, unfinished, database)
            drop_oldest(cluster, prefix)
        os.utime(cluster.filestore / database)
    return database


def exists(cluster, database):
    return bool(cluster.psql("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{database}'"))


def copy_database(cluster, template, name):
    """Copy a database. Both share the files of their attachments, which Odoo never changes."""
    cluster.psql("postgres", f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    if (cluster.filestore / template).is_dir():
        shutil.copytree(cluster.filestore / template, cluster.filestore / name, copy_function=os.link)


def rename_database(cluster, database, name):
    shutil.rmtree(cluster.filestore / name, ignore_errors=True)
    (cluster.filestore / database).rename(cluster.filestore / name)
    cluster.psql("postgres", f'ALTER DATABASE "{database}" RENAME TO "{name}"')


def drop_database(cluster, database):
    cluster.psql("postgres", f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')
    shutil.rmtree(cluster.filestore / database, ignore_errors=True)


def drop_oldest(cluster, prefix):
    """Drop the databases with this prefix that have not been used for the longest time."""
    folders = sorted(cluster.filestore.glob(f"{prefix}*"), key=lambda folder: folder.stat().st_mtime)
    for folder in folders[:-KEPT]:
        drop_database(cluster, folder.name)


# ---------------- Runs ----------------


@contextlib.contextmanager
def new_run(cluster):
    """Yield the name of a run, with which the names of its databases end. Drop them at the end.

    Also drop those of runs that were killed: nobody holds the locks of their names.
    """
    folder = cluster.folder / "runs"
    folder.mkdir(exist_ok=True)
    with contextlib.ExitStack() as locks:
        name = next(name for number in itertools.count(1) if _lock(locks, folder / (name := f"run{number}")))
        for path in folder.iterdir():
            with contextlib.ExitStack() as lock:
                if path.name == name or _lock(lock, path):
                    drop_databases(cluster, path.name)
        try:
            yield name
        finally:
            drop_databases(cluster, name)


def _lock(locks, path):
    """Lock a file and return whether no other process holds its lock."""
    lock = locks.enter_context(path.open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def drop_databases(cluster, run):
    query = f"SELECT datname FROM pg_database WHERE right(datname, {len(run) + 1}) = '_{run}'"
    for [name] in cluster.psql("postgres", query):
        drop_database(cluster, name)
