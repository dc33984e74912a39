"""dev/release: the zip files of a release, one for each series, and their installation where a series is at hand."""

import ast
import dataclasses
import io
import re
import subprocess
import tarfile
import zipfile
from pathlib import Path

from .databases import copy_database, make_template, new_run, run_odoo
from .environment import ADDON, REPOSITORY, SERIES, argument_parser, prepare
from .postgresql import running
from .progress import SetupError, step

MANIFEST = f"{ADDON}/__manifest__.py"


def main(arguments):
    """Make the files, install them, and print what is inside."""
    parser = argument_parser("dev/release", "Make the zip files of a release from a tag.", action="append")
    parser.add_argument("tag", help="the tag, or another commit")
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="where to put the files (default: here)")
    options = parser.parse_args(arguments)
    files = read_release(options.tag)
    version = ast.literal_eval(files[MANIFEST].decode())["version"]
    archives = {series: options.folder / f"{ADDON}-{series}-{version}.zip" for series in SERIES}
    for series, archive in archives.items():
        write_archive(archive, files, series, version)
    print(*(f"{len(content):>8,}  {name}" for name, content in sorted(files.items())), sep="\n")
    for tree in (None, *(options.odoo or ())):
        environment = prepare(tree)
        with running(environment.cluster):
            install(environment, archives.pop(environment.series))
    for series, archive in archives.items():
        print(f"{archive}: not installed, since no Odoo {series} was given with --odoo PATH")
    return 0


def read_release(tag):
    """Return the content of each file that a release contains, by its path."""
    command = ["git", "-C", REPOSITORY, "archive", "--format=tar", f"--prefix={ADDON}/", tag]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise SetupError(f"git cannot read {tag}: {done.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        members = [member for member in archive if member.isfile()]
        return {member.name: archive.extractfile(member).read() for member in members}


def write_archive(path, files, series, version):
    """Write a zip file whose manifest has the version as the Apps store wants it, after the series."""
    text = files[MANIFEST].decode()
    manifest = re.sub(r'("version": )"[^"]+"', rf'\1"{series}.{version}"', text)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            # always with the same time, so that the same tag makes the same file
            archive.writestr(zipfile.ZipInfo(name), manifest if name == MANIFEST else content, zipfile.ZIP_DEFLATED)


def install(environment, archive):
    """Install a file in a new database, and check the version."""
    with step(f"{archive} in Odoo {environment.build}"), new_run(environment.cluster) as run:
        folder = environment.cache / "output" / run / "release"
        with zipfile.ZipFile(archive) as content:
            content.extractall(folder)  # noqa: S202 written above
        environment = dataclasses.replace(environment, addon_folder=folder)
        database = f"release_{run}"
        copy_database(environment.cluster, make_template(environment), database)
        run_odoo(environment, "-d", database, "-i", ADDON)
        query = f"SELECT state, latest_version FROM ir_module_module WHERE name = '{ADDON}'"
        [[state, version]] = environment.cluster.psql(database, query)
        if (state, version) != ("installed", f"{environment.series}.{archive.stem.rpartition('-')[2]}"):
            raise SetupError(f"{archive} is {state} with version {version}")
