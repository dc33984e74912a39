"""Messages about long steps, programs that must succeed, locks, and folders that are either complete or absent."""

import contextlib
import fcntl
import hashlib
import shutil
import subprocess
import sys
import time


class SetupError(Exception):
    """An error of the set-up, in one line for the user at the terminal."""


@contextlib.contextmanager
def step(what):
    """Print what is being done, and how long it took."""
    start = time.monotonic()
    print(f"{what} ...", file=sys.stderr, flush=True)
    yield
    print(f"{what}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def run(command, failure, **options):
    """Run a program and return what it printed.

    :raise SetupError: with a text about the failure, and the end of the program's errors
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise SetupError(f"{failure} {done.stderr.strip()[-1000:]}")
    return done.stdout


@contextlib.contextmanager
def exclusive(path, busy=None):
    """Hold the lock of a file. If another process holds it, print a message and wait."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if busy:
                print(busy, file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def named_after(folder, *content):
    """Return a path whose name depends on the content, so that a folder with other content is not reused."""
    return folder.with_name(f"{folder.name}-{hashlib.sha256(repr(content).encode()).hexdigest()[:8]}")


@contextlib.contextmanager
def replace_folder(folder):
    """Yield an empty folder to fill. It gets its name only when it is complete."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
