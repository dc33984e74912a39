"""dev/screenshots: the pictures of the addon's page in the Apps menu, from a running server."""

from .environment import DEV, REPOSITORY, argument_parser
from .load import load_environment


def main(arguments):
    """Take the pictures again."""
    parser = argument_parser("dev/screenshots", "Take the pictures of static/description.")
    options = parser.parse_args(arguments)
    with load_environment(options.odoo, ["addon_hashed"]) as run:
        return run(DEV / "scenarios" / "screenshots.py", str(REPOSITORY / "static" / "description"))
