"""Steps that take long, and folders that are whole or not there."""

import contextlib
import hashlib
import shutil
import sys
import time


class SetupError(Exception):
    """What could not be set up, in one line for the person at the terminal."""


@contextlib.contextmanager
def step(what):
    """Say what is being done, and how long it took."""
    start = time.monotonic()
    print(f"{what} ...", file=sys.stderr, flush=True)
    yield
    print(f"{what}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def named_after(folder, *content):
    """Return a folder whose name tells what goes into it, so that one with other content is not taken for it."""
    return folder.with_name(f"{folder.name}-{hashlib.sha256(repr(content).encode()).hexdigest()[:8]}")


@contextlib.contextmanager
def replace_folder(folder):
    """Give an empty folder to fill, which takes its name only when it is complete."""
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
