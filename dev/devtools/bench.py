"""dev/bench: ratios measured in one run. Nothing passes or fails."""

from .environment import DEV, argument_parser
from .test import run_pytest, test_environment


def main(arguments):
    """Run the benchmarks and print their tables."""
    scripts = {path.stem: path for path in sorted((DEV / "benchmarks").glob("[a-z]*.py")) if path.stem != "conftest"}
    parser = argument_parser("dev/bench", "Measure what the addon costs.")
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"of {', '.join(scripts)} (default: all)")
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - set(scripts):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    with test_environment(options.odoo) as environment:
        chosen = [str(scripts[name]) for name in options.only or scripts]
        return run_pytest(environment, *chosen, "-n0", "-s", "--timeout=0", "--durations=0")
