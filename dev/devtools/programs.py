"""Programs that only the tests need: a browser, a proxy, a fake clock, other session stores."""

import shlex
import shutil
import subprocess
from pathlib import Path

from . import debian
from .progress import named_after, replace_folder, step

CHROMIUM = ("chromium", "google-chrome", "google-chrome-stable", "chromium-browser")
# dejavu has the letters of right-to-left languages too, lohit those of Hindi
CHROMIUM_PACKAGES = ("chromium", "fonts-roboto-unhinted", "fonts-dejavu-core", "fonts-lohit-deva")
# OCA's module that keeps sessions in PostgreSQL
SESSION_DB = {"17.0": "17.0.1.0.1", "18.0": "18.0.1.0.1", "19.0": "19.0.1.0.0.2"}
# Mangono's module that keeps sessions in Redis, with its requirements; the older one makes ids of 40 characters
REDIS_STORE = "mangono-odoo-redis-session==1.4.1"
REDIS_STORE_OF_19 = (
    "mangono-addon-redis-session-store==3.0.1 environ-odoo-config==0.9.2 lazy-importer==0.1.0 python-dotenv==1.2.4"
    " importlib-metadata==8.7.0 zipp==3.23.0 typing-extensions==4.16.0"
)
REDIS_LIBRARIES = "redis==5.3.1 pyjwt==2.15.1 wrapt==1.17.3"
# OCA's modules for single sign-on, and the requirements of auth_saml
SINGLE_SIGN_ON = {
    "17.0": {
        "auth-oauth-autologin": "17.0.1.0.1",
        "auth-oauth-multi-token": "17.0.1.1.1.1",
        "auth-saml": "17.0.1.1.0.2",
    },
    "18.0": {"auth-oauth-multi-token": "18.0.2.0.0.1", "auth-saml": "18.0.1.1.3.1"},
    "19.0": {"auth-oauth-multi-token": "19.0.1.0.0.3", "auth-saml": "19.0.1.0.0.6"},
}
SAML = "pysaml2==7.5.5 defusedxml==0.7.1 elementpath==5.1.4 responses==0.26.3 xmlschema==4.3.2".split()
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


def find_session_db(environment):
    """Return the addons folder of OCA's session_db, from PyPI."""
    requirement = f"odoo-addon-session-db=={SESSION_DB[environment.series]}"
    return _install(environment, "session-db", [requirement]) / "odoo" / "addons"


def find_redis_store(environment):
    """Return the folder of Mangono's redis_session_store and its requirements, from PyPI."""
    requirements = REDIS_STORE_OF_19 if environment.series == "19.0" else REDIS_STORE
    return _install(environment, "redis-store", [*requirements.split(), *REDIS_LIBRARIES.split()])


def find_single_sign_on(environment):
    """Return a folder with OCA's modules for single sign-on and their requirements, from PyPI."""
    modules = SINGLE_SIGN_ON[environment.series].items()
    addons = [f"odoo-addon-{name}=={version}" for name, version in modules]
    return _install(environment, "single-sign-on", [*addons, *SAML])


def find_xmlsec(cache):
    """Return the path of the program that signs for auth_saml and its identity provider."""
    return _wrap(debian.unpack(cache, "xmlsec1"), "usr/bin/xmlsec1")


def _install(environment, name, requirements):
    """Return a folder with packages from PyPI, without their dependencies."""
    folder = named_after(environment.cache / name, *requirements)
    if not folder.is_dir():
        with step(f"{name} from PyPI"), replace_folder(folder) as unfinished:
            command = [environment.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*command, "--no-deps", "--target", unfinished, *requirements], check=True)
    return folder


def _wrap(folder, program, *environ):
    """Return a script that starts an unpacked program with the libraries unpacked with it."""
    script = folder / "bin" / Path(program).name
    libraries = f"LD_LIBRARY_PATH={shlex.quote(debian.library_path(folder))}"
    command = ["exec env", libraries, *environ, shlex.quote(str(folder / program))]
    script.parent.mkdir(exist_ok=True)
    script.write_text(f'#!/bin/sh\n{" ".join(command)} "$@"\n')
    script.chmod(0o755)
    return script
