"""dev/bench: ratios measured in one run. It passes or fails nothing."""

import os
import shutil
import subprocess

from .environment import ADDON, DEV, argument_parser, exclusive, make_test_venv, postgresql, prepare, script_environ
from .run import install
from .test import make_template, new_database


def main(arguments):
    """Run all benchmarks and print their tables."""
    environment = prepare(argument_parser("dev/bench", "Measure what the addon costs.").parse_args(arguments).odoo)
    output = environment.cache / "output" / f"bench-{os.getpid()}"
    with postgresql(environment):
        with exclusive(environment.cache / "databases.lock", busy="Waiting for another database ..."):
            template = make_template(environment)
        with new_database(environment, template) as database:
            install(environment, database, "-i", ADDON)
            output.mkdir(parents=True)
            try:
                for script in sorted((DEV / "benchmarks").glob("*.py")):
                    run(environment, script, database, output)
            finally:
                shutil.rmtree(output)
    return 0


def run(environment, script, database, output):
    environ = script_environ(environment, DEV_DATABASE=database)
    python = make_test_venv(environment.cache)
    subprocess.run([python, script, output / script.stem], env=environ, check=True)
