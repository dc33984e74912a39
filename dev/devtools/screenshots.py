"""dev/screenshots: the pictures of the addon's page in the Apps menu, from a running server."""

from .environment import argument_parser
from .test import run_pytest, test_environment


def main(arguments):
    """Take the pictures again."""
    parser = argument_parser("dev/screenshots", "Take the pictures of static/description.")
    options = parser.parse_args(arguments)
    with test_environment(options.odoo) as environment:
        return run_pytest(environment, "scenarios/screenshots.py", "-n0")
