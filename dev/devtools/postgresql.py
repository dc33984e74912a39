"""A PostgreSQL cluster on a unix socket, which runs as long as a command uses it."""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from . import debian
from .progress import SetupError, exclusive, replace_folder, run

MIN_POSTGRESQL = 13
SOCKET = ".s.PGSQL.5432"
# PostgreSQL refuses to run as root, and other users may not enter root's cache. So the user "nobody" runs it, with
# only the capability to enter that folder, which access(2) heeds only with no_setuid_fixup.
AS_NOBODY = (
    "setpriv --reuid=nobody --regid=nogroup --clear-groups --securebits=+no_setuid_fixup"
    " --inh-caps=+dac_override --ambient-caps=+dac_override --"
).split()


@dataclasses.dataclass(frozen=True)
class Cluster:
    """The folders of a cluster, and of the programs and libraries that run it."""

    folder: Path
    sockets: Path
    programs: Path
    libraries: str

    @property
    def data(self):
        return self.folder / "data"

    @property
    def filestore(self):
        """The folder with the attachments of its databases."""
        return self.folder / "odoo" / "filestore"

    @property
    def environ(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "LD_LIBRARY_PATH": self.libraries, "PGOPTIONS": "-c client_min_messages=warning"}

    def psql(self, database, query):
        """Run a query and return its rows as lists of strings."""
        command = [self.programs / "psql", "-XAtq", "-F", "\t", "-h", self.sockets, "-U", "odoo"]
        command += ["-v", "ON_ERROR_STOP=1", "-d", database, "-c", query]
        printed = run(command, f"{query.strip()} failed in {database}:", env=self.environ)
        return [line.split("\t") for line in printed.splitlines()]


def find_postgresql(cache):
    """Return the folder of PostgreSQL's programs and the folders of the libraries that they need."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    if installed and _version(installed[-1]) >= MIN_POSTGRESQL:
        return installed[-1].parent, ""
    folder = debian.unpack(cache, "postgresql")
    [initdb] = folder.glob("usr/lib/postgresql/*/bin/initdb")
    return initdb.parent, debian.library_path(folder)


def _version(initdb):
    return int(initdb.parent.parent.name)


def make_cluster(cache, programs, libraries):
    """Return a cluster in a folder. Create it if there is none."""
    cluster = Cluster(cache / f"cluster-{programs.parent.name}", _socket_folder(cache), programs, libraries)
    cluster.sockets.mkdir(exist_ok=True)
    if not cluster.folder.is_dir():
        with replace_folder(cluster.folder) as unfinished:
            data = unfinished / "data"
            data.mkdir()
            if os.getuid() == 0:
                for path in (cluster.sockets, unfinished, data):
                    shutil.chown(path, "nobody", "nogroup")
            options = "--username=odoo --auth=trust --encoding=UTF8 --locale=C.UTF-8".split()
            _run(cluster, "initdb", "-D", data, *options)
            (unfinished / "odoo" / "filestore").mkdir(parents=True)
    return cluster


def make_standby(primary, folder):
    """Return a hot standby of a running cluster, in a new folder."""
    standby = Cluster(folder, _socket_folder(folder), primary.programs, primary.libraries)
    folder.mkdir()
    standby.sockets.mkdir(exist_ok=True)
    if os.getuid() == 0:
        for path in (folder, standby.sockets):
            shutil.chown(path, "nobody", "nogroup")
    options = ["-h", primary.sockets, "-U", "odoo", "--write-recovery-conf", "--checkpoint=fast"]
    _run(standby, "pg_basebackup", "-D", standby.data, *options)
    return standby


def _socket_folder(cache):
    """Return a folder for the socket: a short path, as sockets need."""
    folder = cache / "socket"
    if len(str(folder / SOCKET)) <= 107:
        return folder
    folder = Path(tempfile.gettempdir()) / f"postgresql-{hashlib.sha256(str(cache).encode()).hexdigest()[:16]}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if os.getuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
    if folder.is_symlink() or folder.owner() not in (Path(cache).owner(), "nobody"):
        raise SetupError(f"{folder} belongs to another user: set XDG_CACHE_HOME to a path that is shorter than {cache}")
    return folder


def _run(cluster, program, *arguments):
    command = [*(AS_NOBODY if os.getuid() == 0 else []), cluster.programs / program, *arguments]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, env={**cluster.environ, "TZ": "UTC"}, check=False, **output)
    if done.returncode:
        raise SetupError(f"{program} failed: {done.stdout.strip()}\n{_end_of_log(cluster)}".strip())


def _end_of_log(cluster):
    log = cluster.folder / "log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-10:]) if log.is_file() else ""


@contextlib.contextmanager
def running(cluster):
    """Run a cluster as long as a command uses it."""
    lock = cluster.folder / "start.lock"
    with (cluster.folder / "users.lock").open("w") as users:
        try:
            with exclusive(lock):
                fcntl.flock(users, fcntl.LOCK_SH)
                _start(cluster)
            yield
        finally:
            # unless another command holds its shared lock
            with exclusive(lock), contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _stop(cluster)


def _start(cluster):
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(str(cluster.sockets / SOCKET))
        return
    options = f"-c listen_addresses='' -c unix_socket_directories='{cluster.sockets}'"
    options += " -c fsync=off -c full_page_writes=off -c max_connections=400"
    _pg_ctl(cluster, "start", "-l", cluster.folder / "log", "-o", options)


def _stop(cluster):
    if (cluster.data / "postmaster.pid").exists():
        _pg_ctl(cluster, "stop", "-m", "fast")


def _pg_ctl(cluster, action, *arguments):
    _run(cluster, "pg_ctl", "-s", "-w", "-D", cluster.data, action, *arguments)
