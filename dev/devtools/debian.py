"""Debian packages for the cache folder: downloaded and unpacked, never installed.

All files of apt are in the cache; the machine's own lists and sources stay as they are.
"""

import functools
import os
import re
import subprocess
import tempfile
from pathlib import Path

from .progress import SetupError, named_after, replace_folder, step

ODOO_PACKAGES = (
    "odoo-19 libjs-jquery libjs-underscore libjs-jquery-form fonts-roboto-unhinted fonts-montserrat"
    " fonts-inconsolata fonts-ocr-b"
).split()
# Debian leaves it out, but the assets of mail, which every page loads, list it
LEFT_OUT = "usr/lib/python3/dist-packages/odoo/addons/mail/static/lib/selfie_segmentation/selfie_segmentation.js"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def unpack_odoo(cache):
    """Return the folder of Debian's odoo-19, with the fonts and scripts that its links point to."""
    folder = named_after(cache / "odoo-19.0", *ODOO_PACKAGES, LEFT_OUT)
    if folder.is_dir():
        return folder
    with step("Odoo 19 from Debian, 130 MB"), replace_folder(folder) as unpacked:
        release = _apt(cache, "release")
        sid = _apt(cache, "sid", f"deb [signed-by={KEYRING}] {_mirror(release)} sid main\n")
        _unpack(sid, ODOO_PACKAGES, cache, unpacked)
        # from the machine's release: sid has a newer one with other files
        _unpack(release, ["fonts-font-awesome"], cache, unpacked)
        (unpacked / LEFT_OUT).parent.mkdir()
        (unpacked / LEFT_OUT).touch()
    return folder


def unpack(cache, package, *more):
    """Return the folder of packages of the machine's release, with the dependencies that the machine lacks."""
    folder = named_after(cache / package, *more)
    if folder.is_dir():
        return folder
    with step(f"{package} from Debian"), replace_folder(folder) as unpacked:
        apt = _apt(cache, "release")
        _unpack(apt, _with_missing_dependencies(apt, package, *more), cache, unpacked)
    return folder


def library_path(folder):
    """Return the folders of an unpacked package that hold shared libraries, for LD_LIBRARY_PATH."""
    libraries = [*folder.glob("usr/lib/**/lib*.so*"), *folder.glob("lib/**/lib*.so*")]
    return ":".join(sorted({str(library.parent) for library in libraries}))


@functools.cache
def _apt(cache, suite, source=None):
    """Return apt's options for private folders, after updating the lists of the machine's release or a source."""
    state = cache / "apt" / suite
    for name in ("lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    options = [f"-oDir::State::lists={state}/lists", f"-oDir::Cache={state}/cache", "-oDebug::NoLocking=1"]
    if os.getuid() == 0:
        options.append("-oAPT::Sandbox::User=root")  # apt's own user may not enter root's cache
    if source:
        (state / "sources.list").write_text(source)
        options += [f"-oDir::Etc::sourcelist={state}/sources.list", "-oDir::Etc::sourceparts=/dev/null"]
    try:
        _run("apt-get", *options, "update", "-qq", "--error-on=any")
    except SetupError as error:
        raise SetupError(f"Debian's packages cannot be listed. Is the network there? {error}") from None
    return options


def _mirror(apt):
    """Return the address of the archive that the machine's own apt uses. It needs apt's lists."""
    known = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"
    targets = _run("apt-get", *apt, "indextargets", "--format", known, "Created-By: Packages")
    addresses = re.findall(r"^Debian\|Debian\|(.*)$", targets, re.MULTILINE)
    if not addresses:
        raise SetupError("apt has no source of Debian's own archive: give an Odoo source tree with --odoo PATH")
    return addresses[0]


def _with_missing_dependencies(apt, *packages):
    """Return the names of packages, and of their dependencies that the machine lacks."""
    plan = _run("apt-get", *apt, "install", "--simulate", "--no-install-recommends", *packages)
    return sorted({*packages, *re.findall(r"^Inst (\S+)", plan, re.MULTILINE)})


def _unpack(apt, packages, cache, folder):
    with tempfile.TemporaryDirectory(dir=cache / "apt") as downloads:
        _run("apt-get", *apt, "download", "-qq", *packages, cwd=downloads)
        for archive in Path(downloads).glob("*.deb"):
            _run("dpkg", "-x", str(archive), str(folder))


def _run(*command, **options):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    except FileNotFoundError:
        raise SetupError(f"Missing: {command[0]}. This needs Debian 12 or 13") from None
    if done.returncode:
        raise SetupError(f"{' '.join(command[:1] + command[-2:])} failed: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout
