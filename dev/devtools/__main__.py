import errno
import signal
import sys

from . import lint, release, run, test
from .progress import SetupError

COMMANDS = {"lint": lint.main, "release": release.main, "run": run.main, "test": test.main}
COMMANDS.update(bench=test.bench, screenshots=test.screenshots, storm=test.storm)


def main():
    command, *arguments = sys.argv[1:]
    sys.argv[0] = f"dev/{command}"
    # Clean up first, whichever signal ends it, also in the background, where shells ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        return COMMANDS[command](arguments)
    except SetupError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"No space is left on the disk: {error.filename or error}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


sys.exit(main())
