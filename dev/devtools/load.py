"""Programs that put load on servers, and the databases that they use."""

import contextlib
import json
import os
import shutil

from .environment import ADDON, DEV, exclusive, make_test_venv, postgresql, prepare, script_environ
from .run import install
from .test import copy_database, drop_databases, find_programs, make_template, run_program

LOAD = f"{ADDON}_load"
# Databases by the modules installed in them. In all but the hashed ones, passwords cost next to nothing.
MODULES = {
    "plain": LOAD,
    "addon": f"{LOAD},{ADDON}",
    "query": f"{ADDON}_query",
    "scan": f"{ADDON}_scan",
    "plain_hashed": "bus,portal",
    "addon_hashed": f"bus,portal,{ADDON}",
}


@contextlib.contextmanager
def load_environment(odoo, names):
    """Yield a function that runs a program of dev/ with new databases. Drop them at the end.

    :param Path odoo: an Odoo source tree, or None
    :param list names: of databases in ``MODULES``
    """
    environment = prepare(odoo)
    programs = find_programs(environment)
    output = environment.cache / "output" / f"load-{os.getpid()}"
    with postgresql(environment):
        try:
            databases = make_databases(environment, names)
            environ = script_environ(
                environment, DEV_DATABASES=json.dumps(databases), DEV_OUTPUT=str(output), **programs
            )
            python = make_test_venv(environment.cache)
            output.mkdir(parents=True)
            yield lambda *command: run_program([python, *command], environ)
        finally:
            shutil.rmtree(output, ignore_errors=True)
            drop_databases(environment, os.getpid())


def make_databases(environment, names):
    with exclusive(environment.cache / "databases.lock", busy="Waiting for another database ..."):
        template = make_template(environment)
    databases = {name: f"{name}_{os.getpid()}" for name in names}
    for name, database in databases.items():
        copy_database(environment, template, database)
        install(environment, database, "-i", MODULES[name], addons=[DEV / "addons"])
    return databases
