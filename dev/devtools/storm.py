"""dev/storm: simultaneous logins of one user, while other requests disturb them."""

import secrets

from .environment import DEV, argument_parser
from .load import load_environment


def main(arguments):
    """Run the storm and return 0 only if the promise held in each round."""
    parser = argument_parser("dev/storm", "Let one user log in many times at once, between other requests.")
    parser.add_argument("--rounds", type=int, default=500, metavar="N", help="default: 500")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), metavar="N", help="default: a new one")
    options = parser.parse_args(arguments)
    with load_environment(options.odoo, ["plain", "addon"]) as run:
        return run(DEV / "scenarios" / "storm.py", str(options.rounds), str(options.seed))
