"""dev/lint: all static checks, one line each."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .environment import ADDON, DEV, REPOSITORY, SERIES, cache_folder, stage
from .packages import make_node_modules, make_venv


def main(_arguments):
    """Run all checks and return 0 only if none found anything."""
    python = make_venv(cache_folder(), "venv-lint", (DEV / "requirements-lint.txt").read_text())
    packages = (DEV / "requirements-lint-js.txt").read_text().split()
    modules = make_node_modules(cache_folder(), "node-lint", python.parent, packages)
    with staged_copy() as addon:
        results = [check(*command) for command in commands(python.parent, modules, addon)]
    return int(not all(results))


def commands(tools, modules, addon):
    """Yield each check: its title, its command, and the folder to run it in."""
    ruff = ["--no-cache", "--config", DEV / "ruff.toml", "."]
    yield "ruff check", [tools / "ruff", "check", *ruff], REPOSITORY
    yield "ruff format", [tools / "ruff", "format", "--check", *ruff], REPOSITORY
    # 17.0 has no env._; the login log has a file for each concern
    disabled = "--disable=prefer-env-translation,consider-merging-classes-inherited"
    pylint = [tools / "pylint", f"--rcfile={DEV / 'pylintrc'}", disabled]
    for series in SERIES:  # each has messages that the others do not
        yield f"pylint-odoo {series}", [*pylint, f"--valid-odoo-versions={series}", addon], addon.parent
    yield "OCA module checks", [tools / "oca-checks-odoo-module", addon], addon.parent
    if translations := [*addon.glob("i18n/*.po*")]:
        yield "OCA PO checks", [tools / "oca-checks-po", *translations], addon.parent
    scripts = [*addon.glob("static/src/**/*.js"), *addon.glob("static/tests/**/*.js")]
    # next to the packages that they import
    settings = shutil.copy(DEV / "eslint.config.mjs", modules)
    eslint = [tools / "node", modules / "node_modules/eslint/bin/eslint.js", "--config", settings]
    yield "eslint", [*eslint, *scripts], addon
    prettier = [tools / "node", modules / "node_modules/prettier/bin/prettier.cjs", "--check"]
    yield "prettier", [*prettier, "--config", DEV / "prettierrc.json", *scripts], addon
    yield "README.rst", [tools / "rst-lint", "--level", "info", addon / "README.rst"], addon.parent
    for name in ("bootstrap", "run", "test", "lint", "bench", "storm", "screenshots", "release"):
        yield f"sh -n {name}", ["sh", "-n", DEV / name], REPOSITORY
    yield "bash -n .ci/run", ["bash", "-n", REPOSITORY / ".ci" / "run"], REPOSITORY


@contextlib.contextmanager
def staged_copy():
    """Yield a copy of the release next to an empty .git.

    pylint-odoo and OCA's checks find nothing if the manifest is at the root of a repository.
    """
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".git").mkdir()
        stage(Path(folder) / ADDON)
        yield Path(folder) / ADDON


def check(title, command, folder):
    """Run one check and return whether it found nothing."""
    environ, output = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, {"stdout": subprocess.PIPE, "text": True}
    done = subprocess.run(command, cwd=folder, env=environ, stderr=subprocess.STDOUT, check=False, **output)
    print(f"{title}: {'found something' if done.returncode else 'clean'}", flush=True)
    if done.returncode:
        print(done.stdout, file=sys.stderr, flush=True)
    return not done.returncode
