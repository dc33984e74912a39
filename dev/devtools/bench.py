"""dev/bench: ratios measured in one run. It passes or fails nothing."""

import argparse
import os
import shutil
import subprocess
from pathlib import Path

from .environment import ADDON, DEV, exclusive, odoo_environ, postgresql, prepare
from .run import install
from .test import make_template, new_database


def main(arguments):
    """Run all benchmarks and print their tables."""
    parser = argparse.ArgumentParser("dev/bench", description="Measure what the addon costs.")
    parser.add_argument("--odoo", type=Path, metavar="PATH", help="an Odoo source tree (default: Debian's Odoo 19)")
    environment = prepare(parser.parse_args(arguments).odoo)
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
    environ = {
        **odoo_environ(environment),
        "PYTHONPATH": f"{DEV}:{DEV / 'scenarios'}",
        "DEV_ENVIRONMENT": environment.to_json(),
        "DEV_DATABASE": database,
    }
    subprocess.run([environment.python, script, output / script.stem], env=environ, check=True)
