"""Odoo servers with several workers, and devices that log in to them."""

import contextlib
import json
import operator
import os
import pickle
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import psycopg2
import pytest
import requests
from logs import unexpected_lines
from mirakuru import TCPExecutor
from mirakuru.exceptions import ProcessFinishedWithError

from devtools.databases import run_odoo
from devtools.environment import DEV, free_port, has_module, odoo_command, odoo_environ

PASSWORD = "correct horse battery"
STATUS = "/op_single_session_login/status"
POLL_INTERVAL = "op_single_session_login.poll_interval"
WORKERS = 4
AT_ONCE = 8  # simultaneous logins
# The only reason to skip a test: it is about something that this series does not have.
ABSENT = "not in this Odoo: "
ENVIRONMENT = pickle.loads(Path(os.environ["TEST_ENVIRONMENT"]).read_bytes())  # noqa: S301 written by dev/test
OTHER_ADDONS = ENVIRONMENT.packages / "odoo" / "addons"
PACKAGES_ENVIRON = {"PYTHONPATH": f"{ENVIRONMENT.odoo_path}:{ENVIRONMENT.packages}"}
WITH_ADDON = ENVIRONMENT.with_addon


def connect(database):
    """Connect to a database. Nobody waits for a lock forever."""
    host = str(ENVIRONMENT.cluster.sockets)
    return contextlib.closing(psycopg2.connect(host=host, user="odoo", dbname=database, options="-c lock_timeout=60s"))


def psql(database, query, *values):
    """Run a query in a transaction of its own, and return its rows, if it has any."""
    with connect(database) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(query, values or None)
        return cursor.fetchall() if cursor.description else None


@contextlib.contextmanager
def locked(database, table, condition):
    """Lock rows of a table, as a transaction that has changed them does."""
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table} WHERE {condition} FOR UPDATE")
        assert cursor.rowcount
        yield


def odoo_settings(addons=(), environ=()):
    """Return the options, the addons and the environment variables of each Odoo."""
    addons = [DEV / "addons", *([OTHER_ADDONS] if WITH_ADDON else []), *addons]
    options = [load("op_single_session_login_saml")] if WITH_ADDON == "auth_saml" else []
    environ = {**(PACKAGES_ENVIRON if WITH_ADDON else {}), **dict(environ)}
    return options, {"addons": addons, "environ": environ}


def session_db(sessions):
    """Return the option and the settings for a server with its sessions in a database, by OCA's addon."""
    environ = {"SESSION_DB_URI": f"postgresql://odoo@/{sessions}?host={ENVIRONMENT.cluster.sockets}"}
    return load("session_db"), {"environ": environ, "addons": [OTHER_ADDONS]}


@contextlib.contextmanager
def redis(folder):
    """Run a Redis server. Yield the option and the settings for an Odoo server with its sessions there."""
    port = free_port()
    command = [str(ENVIRONMENT.redis), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with TCPExecutor(["setpriv", "--pdeathsig=TERM", *command], "127.0.0.1", port, timeout=60, expected_returncode=0):
        settings = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(port), "REDIS_SSL": "False"}
        yield load("redis_session_store"), {"environ": {**PACKAGES_ENVIRON, **settings}, "addons": [OTHER_ADDONS]}


def load(*names):
    """Return the option that loads modules into the server, with the modules loaded by default."""
    return f"--load={','.join([*(name for name in ('base', 'rpc', 'web') if has_module(ENVIRONMENT, name)), *names])}"


def odoo(*arguments, script=None, addons=(), environ=()):
    """Run Odoo until it stops, optionally with a script for its shell; return what it printed."""
    options, settings = odoo_settings(addons, environ)
    return run_odoo(ENVIRONMENT, *options, *arguments, script=script, **settings)


def shell(name, **values):
    """Return a script of dev/shell for Odoo's shell, in which these names have these values."""
    lines = [f"{key} = {value!r}" for key, value in values.items()]
    return "\n".join([*lines, (DEV / "shell" / f"{name}.py").read_text()])


def make_data_folder(path):
    """Create a data folder: with sessions of its own, and the attachments of all databases."""
    path.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (path / "filestore").symlink_to(ENVIRONMENT.cluster.filestore)
    return path


class Server(TCPExecutor):
    """An Odoo server with workers and a websocket process. It runs as long as the context."""

    started = []

    def __init__(self, databases, folder, *options, environ=(), addons=()):
        self.databases = databases
        self.data = folder / "data"
        self.log = folder / "odoo.log"
        self.port, self.websocket_port = free_port(), free_port()
        self.ports = [self.port, self.websocket_port]
        self.url = f"http://127.0.0.1:{self.port}"
        # It ends with the tests, even if these are killed. Without its capabilities, root obeys file permissions as
        # an ordinary user does.
        bounds = ["--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
        loading, settings = odoo_settings(addons, environ)
        command = [
            *["setpriv", "--pdeathsig=TERM", *bounds],
            *odoo_command(ENVIRONMENT, *loading, addons=settings["addons"]),
            f"--data-dir={self.data}",
            f"--logfile={self.log}",
            f"--database={','.join(databases)}",
            f"--http-port={self.port}",
            f"--gevent-port={self.websocket_port}",
            f"--workers={WORKERS}",
            "--max-cron-threads=0",
            *options,
        ]
        environ = {**odoo_environ(ENVIRONMENT), **settings["environ"]}
        # after SIGTERM, workers save no coverage
        stop_signal = signal.SIGINT if "COVERAGE_PROCESS_START" in os.environ else signal.SIGTERM
        ends = {"stop_signal": stop_signal, "expected_returncode": 0}
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        super().__init__(command, "127.0.0.1", self.port, timeout=120, envvars=environ, **ends, **streams)

    def start(self):
        make_data_folder(self.data)
        self.started.append(self)
        return super().start()

    def stop(self, *arguments):
        self.started.remove(self)
        with contextlib.suppress(ProcessFinishedWithError):  # 17.0 and 18.0 with another clock
            super().stop(*arguments)
        return self

    def after_start_check(self):
        """Return whether both ports answer: without the websocket process, no message would arrive."""
        with contextlib.suppress(requests.RequestException):
            return all(requests.get(f"http://127.0.0.1:{port}/web/health", timeout=10).ok for port in self.ports)
        return False

    @property
    def sessions(self):
        return self.data / "sessions"

    def files_of(self, sid):
        """Return the files of a session, also after a soft rotation."""
        return list((self.sessions / sid[:2]).glob(identifier_of(sid) + "*"))

    def unexpected_log_lines(self):
        return unexpected_lines(self.log.read_text())

    def single_session_lines(self):
        return re.findall(r" (\w+) \S+ \S+: (Single session: .*)$", self.log.read_text(), re.MULTILINE)


class Device:
    """A browser with its own cookies, without pages."""

    def __init__(self, server, database=None, sid=None):
        self.server = server
        self.database = database or server.databases[0]
        self.http = requests.Session()
        self.http.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
        if sid:
            self.sid = sid

    @property
    def sid(self):
        return self.http.cookies.get("session_id")

    @sid.setter
    def sid(self, sid):
        self.http.cookies.clear()
        self.http.cookies.set("session_id", sid, domain="127.0.0.1")

    @property
    def identifier(self):
        return self.sid[: len(self.sid) // 2]

    def get(self, path, **options):
        return self.http.get(self.server.url + path, timeout=60, **options)

    def open_login_page(self, path="/web/login"):
        """Open a page with a form, and keep the token that the form must send."""
        separator = "&" if "?" in path else "?"
        page = self.get(f"{path}{separator}db={self.database}").text
        self.token = find_token(page)

    def send_login(self, login, password=PASSWORD, path="/web/login"):
        return self.send_form(path, login=login, password=password)

    def send_form(self, path, **values):
        data = {**values, "csrf_token": self.token}
        return self.http.post(self.server.url + path, data=data, allow_redirects=False, timeout=60)

    def change_password(self):
        """Change the password in the portal, as the user does."""
        self.open_login_page("/my/security")
        values = {"op": "password", "old": PASSWORD, "new1": PASSWORD + "!", "new2": PASSWORD + "!"}
        assert self.send_form("/my/security", **values).status_code == 200

    def login(self, login, password=PASSWORD):
        self.open_login_page()
        response = self.send_login(login, password)
        assert response.status_code == 303, f"login answered {response.status_code}"
        return self

    def rpc(self, path, **params):
        payload = {"jsonrpc": "2.0", "method": "call", "id": 0, "params": params}
        response = self.http.post(self.server.url + path, json=payload, timeout=120)
        return response.json() if "json" in response.headers.get("Content-Type", "") else {}

    def json_login(self, login, database=None):
        answer = self.rpc("/web/session/authenticate", db=database or self.database, login=login, password=PASSWORD)
        assert answer["result"]["uid"], answer
        return self

    def call(self, model, method, *args, **kwargs):
        path = f"/web/dataset/call_kw/{model}/{method}"
        return self.rpc(path, model=model, method=method, args=args, kwargs=kwargs)

    def find_user(self, login):
        [user_id] = self.call("res.users", "search", [["login", "=", login]])["result"]
        return user_id

    def write_user(self, login, **values):
        """Change a user, as an administrator does, and return the user's id."""
        user_id = self.find_user(login)
        assert self.call("res.users", "write", [user_id], values)["result"]
        return user_id

    def set_parameter(self, name, value):
        assert "error" not in self.call("ir.config_parameter", "set_param", name, value)

    def prove_identity(self, answer, password=PASSWORD):
        """Send the password that an answer asks for, and return the next answer."""
        check = answer["result"]["res_id"]
        self.call("res.users.identitycheck", "write", [check], {"password": password})  # 19.0 reads it from the context
        return self.call("res.users.identitycheck", "run_check", [check], context={"password": password})

    @property
    def uid(self):
        """The id of the user that the server takes this device for, None if it is logged out.

        The request leaves the cookie unchanged, as the thief of a cookie would.
        """
        sid = self.sid
        uid = self.call("res.users", "context_get").get("result", {}).get("uid")
        if not uid:
            self.sid = sid
        return uid

    @property
    def ended(self):
        """What the server tells a browser about the sessions that its login ended."""
        return self.rpc("/web/session/get_session_info")["result"]["op_single_session_login"]["ended"]

    def hold_back(self, path, payload):
        """Send a POST except for its last byte. Return a function that sends the byte and returns the answer."""
        body = json.dumps(payload).encode()
        head = (
            f"POST {path} HTTP/1.0\r\nHost: 127.0.0.1:{self.server.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nCookie: session_id={self.sid}\r\n\r\n"
        )
        connection = socket.create_connection(("127.0.0.1", self.server.port))
        connection.sendall(head.encode() + body[:-1])

        def finish():
            with connection:
                connection.sendall(body[-1:])
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

        return finish


def find_token(page):
    return next(filter(None, re.search(r'name="csrf_token"[^>]*value="([^"]+)"|csrf_token: "([^"]+)"', page).groups()))


def identifier_of(sid):
    """Return the identifier of a session id: 42 characters, as Odoo stores, or half of a shorter id."""
    return sid[: min(len(sid) // 2, 42)]


def alive(*devices):
    return [bool(device.uid) for device in devices]


def at_once(pool, actions):
    """Start all actions at the same moment, and return their results."""
    barrier = threading.Barrier(len(actions))

    def start(action):
        barrier.wait()
        return action()

    return list(pool.map(start, actions))


def find_alive(pool, devices):
    """Return the devices that are logged in, asking for all at the same time."""
    uids = pool.map(operator.attrgetter("uid"), devices)
    return [device for device, uid in zip(devices, uids, strict=True) if uid]


def stored(path):
    content = Path(path).read_bytes()
    if content.startswith(b"{"):
        return json.loads(content)
    return pickle.loads(content)  # noqa: S301 written by a 17.0 server of these scenarios


def make_rotate(file):
    """Make a session so old that 19.0 changes its id at the next request. Return whether this Odoo does so."""
    content = stored(file)
    if rotates := "create_time" in content:
        file.write_text(json.dumps({**content, "create_time": time.time() - 4 * 3600}))
    return rotates


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def odoo_source(path):
    """Return a source file of Odoo, to see what this series can do."""
    return (ENVIRONMENT.odoo_path / "odoo" / path).read_text()


def skip_without(what, there):
    """Skip a scenario about something that this series does not have. On 19.0, dev/test counts it as failed."""
    if not there:
        pytest.skip(ABSENT + what)


def skip_without_devices(database):
    [[table]] = psql(database, "SELECT to_regclass('res_device_log')")
    skip_without("devices", table)
