"""dev/bench: ratios measured in one run. Nothing passes or fails."""

from .environment import DEV, argument_parser
from .load import MODULES, load_environment


def main(arguments):
    """Run the benchmarks and print their tables."""
    scripts = {path.stem: path for path in sorted((DEV / "benchmarks").glob("[a-z]*.py"))}
    parser = argument_parser("dev/bench", "Measure what the addon costs.")
    parser.add_argument("only", nargs="*", metavar="NAME", help=f"of {', '.join(scripts)} (default: all)")
    options = parser.parse_args(arguments)
    if unknown := set(options.only) - set(scripts):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    with load_environment(options.odoo, MODULES) as run:
        return max(run(scripts[name]) for name in options.only or scripts)
