"""Programs that only the tests need: Chromium, and nginx as the proxy that workers need in front."""

import shlex
import shutil
from pathlib import Path

from . import debian

CHROMIUM = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")
# dejavu also has the letters of right-to-left languages
CHROMIUM_PACKAGES = ("chromium", "fonts-dejavu-core")
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
    <dir>/usr/share/fonts</dir>
    <dir>{folder}/usr/share/fonts</dir>
    <cachedir>{folder}/fonts-cache</cachedir>
</fontconfig>
"""


def find_chromium(cache):
    """Return the machine's Chromium, or one that is unpacked in the cache."""
    for name in CHROMIUM:
        if path := shutil.which(name):
            return Path(path)
    folder = debian.unpack(cache, *CHROMIUM_PACKAGES)
    fonts = folder / "fonts.conf"
    fonts.write_text(FONTS.format(folder=folder))
    return _wrap(folder, "usr/lib/chromium/chromium", f"FONTCONFIG_FILE={shlex.quote(str(fonts))}")


def find_nginx(cache):
    """Return an nginx that is unpacked in the cache."""
    return _wrap(debian.unpack(cache, "nginx"), "usr/sbin/nginx")


def _wrap(folder, program, *environ):
    """Return a script that starts an unpacked program with the libraries it was unpacked with."""
    script = folder / "bin" / Path(program).name
    libraries = f"LD_LIBRARY_PATH={shlex.quote(debian.library_path(folder))}"
    command = ["exec env", libraries, *environ, shlex.quote(str(folder / program))]
    script.parent.mkdir(exist_ok=True)
    script.write_text(f'#!/bin/sh\n{" ".join(command)} "$@"\n')
    script.chmod(0o755)
    return script
