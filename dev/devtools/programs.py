"""Programs that only the tests need: a browser, a proxy, a fake clock, a Redis server."""

import shlex
import shutil
from pathlib import Path

from . import debian

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
    folder = debian.unpack(cache, *CHROMIUM_PACKAGES)
    fonts = folder / "fonts.conf"
    fonts.write_text(FONTS.format(folder=folder))
    return _wrap(folder, "usr/lib/chromium/chromium", f"FONTCONFIG_FILE={shlex.quote(str(fonts))}")


def find_nginx(cache):
    """Return the path of an nginx unpacked in the cache."""
    return _wrap(debian.unpack(cache, "nginx"), "usr/sbin/nginx")


def find_faketime(cache):
    """Return the path of a library that, preloaded, gives a program another clock."""
    [library] = debian.unpack(cache, "faketime").glob("usr/lib/*/faketime/libfaketime.so.1")
    return library


def find_redis(cache):
    """Return the path of a Redis server unpacked in the cache."""
    return _wrap(debian.unpack(cache, "redis-server"), "usr/bin/redis-server")


def find_xmlsec(cache):
    """Return the path of the program that signs for auth_saml and its identity provider."""
    return _wrap(debian.unpack(cache, "xmlsec1"), "usr/bin/xmlsec1")


def _wrap(folder, program, *environ):
    """Return a script that starts an unpacked program with the libraries unpacked with it."""
    script = folder / "bin" / Path(program).name
    libraries = f"LD_LIBRARY_PATH={shlex.quote(debian.library_path(folder))}"
    command = ["exec env", libraries, *environ, shlex.quote(str(folder / program))]
    script.parent.mkdir(exist_ok=True)
    script.write_text(f'#!/bin/sh\n{" ".join(command)} "$@"\n')
    script.chmod(0o755)
    return script
