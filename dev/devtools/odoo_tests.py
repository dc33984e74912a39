"""Odoo's own tests of what the addon touches, with and without it."""

import re

from .environment import ADDON
from .progress import SetupError
from .run import install

# Those that are not in the databases of dev/test already, which auth_timeout would change.
ADDITIONAL = ("test_http", "auth_timeout", "website")
TAGS = ",".join(
    "/bus /test_http /auth_totp /auth_signup /auth_passkey /auth_timeout /portal /web:TestSessionInfo /web:TestWebLogin"
    " /website:TestAuthSignupUninvited /website:TestWebsiteResetPassword /website:TestWebsiteResUsers"
    " /website:WebsiteVisitorTests".split()
)


def compare(environment, make_database, run_odoo, has_module, output):
    """Run Odoo's tests twice and print which of them fail only with the addon or only without it.

    :param make_database: gives a context in which there is a new database
    :return: how many fail only with the addon
    """
    failures = {}
    for name in ("without", "with"):
        with make_database() as database:
            if name == "with":
                install(environment, database, "-i", ADDON)
            modules = [module for module in ADDITIONAL if has_module(environment, module)]
            arguments = ["-i", ",".join(modules), "-u", "bus,web", "--test-tags", TAGS]
            log = run_odoo(environment, database, output / f"odoo-{name}.log", *arguments)
        failures[name] = set(re.findall(r" (?:FAIL|ERROR): (\S+)", log))
        counts = re.findall(r"(\d+) failed, (\d+) error\(s\) of (\d+) tests", log)
        if not counts:
            raise SetupError(f"Odoo ran no tests, see {output / f'odoo-{name}.log'}")
        print(f"Odoo's tests {name} the addon: {len(failures[name])} fail; failed, errors, all: {counts}", flush=True)
    only = {"with": failures["with"] - failures["without"], "without": failures["without"] - failures["with"]}
    for name, tests in only.items():
        print(f"only {name} the addon: {', '.join(sorted(tests)) or 'none'}")
    return len(only["with"])
