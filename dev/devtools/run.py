"""dev/run: serve Odoo with the addon and users to log in as."""

import contextlib
import hashlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from .databases import drop_database, exists, run_odoo
from .environment import (
    ADDON,
    REPOSITORY,
    argument_parser,
    free_port,
    odoo_command,
    odoo_environ,
    prepare,
    released_files,
)
from .postgresql import running
from .progress import SetupError, exclusive, step

MODULES = f"{ADDON},portal"
GUIDE = """
  Odoo {series} with Single Session Login:  {url}

  admin / admin      administrator
  demo / demo        employee
  portal / portal    customer

  Try: log in as demo in two browsers (a private window will do). The first one shows why its session
  has ended, and goes to the login page. Then, as admin: Settings > Users & Companies > Users > Marc
  Demo > Access Rights > Allow Multiple Sessions, and log in as demo in both once more. All logins are
  under Users & Companies > Login Sessions.

  Log: {log}
  Ctrl-C stops everything.
"""


def main(arguments):
    """Set up, serve until Ctrl-C, and leave nothing running."""
    parser = argument_parser("dev/run", "Serve Odoo with the addon on 127.0.0.1.")
    parser.add_argument("--port", type=int, metavar="N", help="the port to serve on (default: 8069, or a free one)")
    options = parser.parse_args(arguments)
    choose_port(options.port)  # report a port in use before the set-up, not after it
    environment = prepare(options.odoo)
    with running(environment.cluster):
        database = f"{ADDON}_{environment.series.replace('.', '_')}"
        with exclusive(environment.cluster.folder / "run.lock", busy="Waiting for another database ..."):
            make_database(environment, database)
        serve(environment, database, options.port)
    return 0


def choose_port(wanted):
    """Return the port to serve on. A port in use is an error only if the command names it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted or 8069))
        except (OSError, OverflowError) as error:
            if wanted:
                raise SetupError(f"Port {wanted} cannot be used: {getattr(error, 'strerror', error)}") from None
            return free_port()
        return probe.getsockname()[1]


def make_database(environment, database):
    """Create the database once, and update the addon in it when its files have changed."""
    digest = digest_of_addon()
    made = environment.data / f"{database}.digest"
    is_made = made.is_file() and exists(environment.cluster, database)
    if is_made and made.read_text() == digest:
        return
    with step(f"Database {database}"):
        if is_made:
            run_odoo(environment, "-d", database, "-u", ADDON)
        else:
            drop_database(environment.cluster, database)
            demo = ["--with-demo"] if environment.series == "19.0" else []
            run_odoo(environment, "-d", database, "-i", MODULES, *demo)
    made.write_text(digest)


def digest_of_addon():
    content = b"".join(b"%s\0%s\0" % (bytes(path), (REPOSITORY / path).read_bytes()) for path in released_files())
    return hashlib.sha256(content).hexdigest()


def serve(environment, database, wanted_port):
    """Serve until Ctrl-C or until Odoo ends."""
    with contextlib.ExitStack() as starting:
        # until Odoo answers, another dev/run would take its port for free
        starting.enter_context(exclusive(environment.cache / "port.lock"))
        port = choose_port(wanted_port)
        log = environment.cache / f"run-{port}.log"
        process = start(environment, database, port, log)
        try:
            wait_for(f"http://127.0.0.1:{port}/web/login", process, log)
            starting.close()
            print(GUIDE.format(series=environment.series, url=f"http://127.0.0.1:{port}", log=log), flush=True)
            process.wait()
            raise SetupError(f"Odoo stopped unexpectedly:\n{tail(log)}")
        except KeyboardInterrupt:
            print("Stopping ...", file=sys.stderr)
        finally:
            stop(process)


def start(environment, database, port, log):
    """Start Odoo in a process session of its own: Ctrl-C reaches only this command, which then stops Odoo."""
    log.unlink(missing_ok=True)
    options = ["-d", database, f"--http-port={port}", f"--logfile={log}", "--max-cron-threads=1"]
    settings = {"env": odoo_environ(environment), "stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(odoo_command(environment, *options), start_new_session=True, **settings)


def wait_for(url, process, log, seconds=120):
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=30):
            return
        time.sleep(0.2)
    raise SetupError(f"Odoo does not answer:\n{tail(log)}")


def tail(log):
    return "\n".join(log.read_text().splitlines()[-15:]) if log.is_file() else "it wrote no log"


def stop(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
