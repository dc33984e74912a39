"""Odoo's own tests of what the addon touches, with and without it."""

import re
import subprocess

from .databases import copy_database, drop_database, make_template, run_odoo
from .environment import ADDON, free_port, has_module, odoo_command, odoo_environ
from .progress import SetupError

# Those that are not in the databases of dev/test already, which auth_timeout would change.
ADDITIONAL = ("test_http", "auth_timeout", "website")
TAGS = ",".join(
    "/bus /test_http /auth_totp /auth_signup /auth_passkey /auth_timeout /portal /web:TestSessionInfo /web:TestWebLogin"
    " /website:TestAuthSignupUninvited /website:TestWebsiteResetPassword /website:TestWebsiteResUsers"
    " /website:WebsiteVisitorTests".split()
)
SECONDS = 7200


def compare(environment):
    """Run Odoo's tests twice and print which of them fail only with the addon or only without it.

    :return: 1 if some fail only with the addon
    """
    template = make_template(environment, demo=True)
    failures = {name: run_tests(environment, template, name) for name in ("without", "with")}
    only = {"with": failures["with"] - failures["without"], "without": failures["without"] - failures["with"]}
    for name, tests in only.items():
        print(f"only {name} the addon: {', '.join(sorted(tests)) or 'none'}")
    return int(bool(only["with"]))


def run_tests(environment, template, name):
    """Run the tests in a copy of a database, and return the names of those that fail."""
    database, path = f"{name}_{environment.run}", environment.output / f"odoo-{name}.log"
    copy_database(environment.cluster, template, database)
    if name == "with":
        run_odoo(environment, "-d", database, "-i", ADDON)
    modules = ",".join(module for module in ADDITIONAL if has_module(environment, module))
    options = ["-d", database, "-i", modules, "-u", "bus,web", "--test-tags", TAGS, "--stop-after-init"]
    command = odoo_command(environment, *options, f"--http-port={free_port()}", "--max-cron-threads=0")
    with path.open("w") as log:
        subprocess.run(command, env=odoo_environ(environment), stdout=log, stderr=log, check=False, timeout=SECONDS)
    drop_database(environment.cluster, database)
    text = path.read_text(errors="replace")
    counts = re.findall(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests", text)
    if not counts:
        raise SetupError(f"Odoo ran no tests, see {path}")
    failed = set(re.findall(r" (?:FAIL|ERROR): (\S+)", text))
    print(f"Odoo's tests {name} the addon: {len(failed)} fail; failed, errors, all: {counts}", flush=True)
    return failed
