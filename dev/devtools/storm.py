"""dev/storm: simultaneous logins of one user, while other requests disturb them."""

import secrets

from .environment import argument_parser
from .test import run_pytest, test_environment


def main(arguments):
    """Run the storm and return 0 only if the promise held in each round."""
    parser = argument_parser("dev/storm", "Let one user log in many times at once, between other requests.")
    parser.add_argument("--rounds", type=int, default=500, metavar="N", help="default: 500")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), metavar="N", help="default: a new one")
    options = parser.parse_args(arguments)
    print(f"{options.rounds} rounds, seed {options.seed}", flush=True)
    with test_environment(options.odoo) as environment:
        rounds = [f"--rounds={options.rounds}", f"--seed={options.seed}"]
        return run_pytest(environment, "scenarios/test_storm.py", "-n0", "-s", "--timeout=0", *rounds)
