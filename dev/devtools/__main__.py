import errno
import importlib
import signal
import sys

from .progress import SetupError


def main():
    command, *arguments = sys.argv[1:]
    sys.argv[0] = f"dev/{command}"
    # Clean up first, whichever signal ends it, also in the background, where shells ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        return importlib.import_module(f"devtools.{command}").main(arguments)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"No space is left on the disk: {error.filename or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


sys.exit(main())
