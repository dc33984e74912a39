"""Programs that only the tests need: a browser, a proxy, a fake clock, a Redis server."""

import shlex
import shutil
import subprocess
from pathlib import Path

from . import debian
from .progress import SetupError

CHROMIUM = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")
# dejavu has the letters of right-to-left languages too, lohit those of Hindi
CHROMIUM_PACKAGES = ("chromium", "fonts-roboto-unhinted", "fonts-dejavu-core", "fonts-lohit-deva")
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
    <dir>/usr/share/fonts</dir>
    <dir>{folder}/usr/share/fonts</dir>
    <cachedir>{folder}/fonts-cache</cachedir>
    <alias><family>system-ui</family><prefer><family>Roboto</family><family>DejaVu Sans</family></prefer></alias>
</fontconfig>
"""


def find_chromium(cache):
    """Return the path of the machine's Chromium, or of one unpacked in the cache."""
    for name in CHROMIUM:
        if path := shutil.which(name):
            return Path(path)
    try:
        folder = debian.unpack(cache, *CHROMIUM_PACKAGES)
    except SetupError as error:
        raise SetupError(f"Install Chromium or Google Chrome. {error}") from None
    fonts = folder / "fonts.conf"
    fonts.write_text(FONTS.format(folder=folder))
    return _wrap(folder, "usr/lib/chromium/chromium", f"FONTCONFIG_FILE={shlex.quote(str(fonts))}")


def version_of(program):
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip()


def find_faketime(cache):
    """Return the path of a library that, preloaded, gives a program another clock."""
    folder = debian.unpack(cache, "faketime")
    for library in folder.glob("usr/lib/*/faketime/libfaketime.so.1"):
        return library
    raise SetupError(f"{folder} has no libfaketime.so.1: this needs Debian 12 or 13")


def find_program(cache, package, program):
    """Return the path of a program of a Debian package that is unpacked in the cache."""
    return _wrap(debian.unpack(cache, package), program)


def _wrap(folder, program, *environ):
    """Return a script that starts an unpacked program with the libraries unpacked with it."""
    if not (folder / program).is_file():
        raise SetupError(f"{folder} has no {program}: this needs Debian 12 or 13")
    script = folder / "bin" / Path(program).name
    libraries = f"LD_LIBRARY_PATH={shlex.quote(debian.library_path(folder))}"
    command = ["exec env", libraries, *environ, shlex.quote(str(folder / program))]
    script.parent.mkdir(exist_ok=True)
    # another dev/test may be starting it, and Linux starts no file that is open for writing
    unfinished = script.with_suffix(".unfinished")
    unfinished.write_text(f'#!/bin/sh\n{" ".join(command)} "$@"\n')
    unfinished.chmod(0o755)
    unfinished.rename(script)
    return script
