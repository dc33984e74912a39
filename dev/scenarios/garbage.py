"""Requests that no browser sends, and a server to send them to.

Input that makes Odoo itself fail, with or without the addon, is left out. A comment says so each time.
"""

import http.client
import json
import re
import socket
from urllib.parse import quote_from_bytes

from hypothesis import HealthCheck, configuration, example, given, settings
from hypothesis import strategies as st
from logs import unexpected_lines

from servers import ENVIRONMENT, Device, odoo_source, stored

configuration.set_hypothesis_home_dir(ENVIRONMENT.output / "hypothesis")  # outside the repository
JSON, FORM = (b"Content-Type", b"application/json"), (b"Content-Type", b"application/x-www-form-urlencoded")
HALF = 42 if "{84}" in odoo_source("http.py") else 20  # of a session id; 17.0 has shorter ones
STATE = """
    SELECT (SELECT array_agg(login::text ORDER BY id) FROM op_single_session_login login WHERE user_id != %s),
           (SELECT array_agg(id ORDER BY id) FROM res_users WHERE allow_multiple_sessions)
"""


def fuzz(count, *examples, **strategies):
    """Run a test with a number of cases, the same ones each time."""

    def decorate(test):
        for values in examples:
            test = example(**values)(test)
        ignored = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
        options = {"derandomize": True, "database": None, "deadline": None, "suppress_health_check": ignored}
        return settings(max_examples=count, **options)(given(**strategies)(test))

    return decorate


# ---------------- Garbage ----------------

# Odoo fails when it searches for NUL characters or halves of surrogate pairs.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
# Odoo fails at hosts with a broken xn-- label, and on 18.0 and 17.0 at brackets in them.
noise = st.binary(max_size=30).map(lambda value: value.translate(None, b"\r\n[]").replace(b"xn--", b""))
# Odoo's workers refuse lines of more than 64 KiB and log an error.
long = noise.map(lambda value: value * 300) | st.just(b"x" * 12000)
odd = noise | long | st.sampled_from([b"", b"\0", b"\x0b\x1c\x85", b"\xff", b"%s%00", b"../../etc/passwd", b"'\"\\012"])

halves = st.text("0123456789abcdef", min_size=HALF, max_size=HALF).map(str.encode)  # valid in every series
sids = st.one_of(
    st.sampled_from([b"<alive>", b"<ended>", b'"<ended>"', b'"<ended>\\012"', b"<alive half>", b"<ended half>"]),
    st.builds(bytes.__add__, st.sampled_from([b"<alive half>", b"<ended half>"]), halves),
    st.builds(bytes.__add__, halves, halves),
    st.builds(bytes.__add__, st.sampled_from([b"<alive>", b"<ended>", b"<ended half>"]), odd),
    odd,
)
zones = st.sampled_from([b"Europe/Paris", b"America", b"../UTC", b"/etc/localtime", b"posixrules", b'"\\000"']) | odd
others = st.sampled_from([b"tz", b"op_single_session_login_shown", b"frontend_lang", b"cids", b""])
cookie = st.tuples(st.just(b"session_id"), sids) | st.tuples(st.just(b"tz"), zones) | st.tuples(others | noise, odd)
cookies = st.lists(cookie, max_size=4).map(lambda pairs: b"; ".join(b"%s=%s" % pair for pair in pairs))

usual = [b"navigate", b"document", b"cors", b"fr-FR", b"ar", b"xx-XX;q=z", b"192.0.2.1, 192.0.2.2", b"https", b"host:x"]
names = """X-Odoo-Database Sec-Fetch-Mode Sec-Fetch-Dest Sec-Fetch-Site User-Agent Accept-Language Accept Host
X-Forwarded-For X-Forwarded-Host X-Forwarded-Proto X-Forwarded-Port Authorization Origin Referer Range"""
header = st.tuples(st.sampled_from(names.encode().split()), st.sampled_from(usual) | odd)
headers = st.lists(header, max_size=5, unique_by=lambda pair: pair[0])

# Odoo takes a parameter called self for its own argument.
parameters = st.sampled_from([b"db", b"debug", b"redirect", b"lang", b"error", b"login", b"session_id"]) | noise
queries = st.lists(st.tuples(parameters.filter(lambda name: name != b"self"), odd), max_size=2).map(
    lambda pairs: "&".join("=".join(map(quote_from_bytes, pair)) for pair in pairs)
)
# Odoo fails when it searches for an attachment with a NUL character in its path.
paths = odd.map(lambda value: quote_from_bytes(value.replace(b"\0", b"")))
methods = st.sampled_from(["GET"] * 6 + "HEAD POST PUT OPTIONS DELETE FOO".split())


# ---------------- The server ----------------


class Target:
    """A server, users whose sessions must not change, and the checks after each request."""

    def __init__(self, server, connection):
        self.server, self.connection, self.log_read = server, connection, 0
        self.anybody, self.ended, self.eve = Device(server), Device(server).login("bob"), Device(server).login("eve")
        self.people = {name: Device(server).login(name) for name in ("ada", "bob", "pia")}
        self.people["admin"] = Device(server).login("admin", "admin")
        self.living = [*self.people.values()]
        self.uids = {name: device.uid for name, device in {**self.people, "eve": self.eve}.items()}
        self.anybody.open_login_page()
        ada, bob = self.people["ada"].sid, self.ended.sid
        self.expected_state = self.state()
        self.words = {"<alive>": ada, "<ended>": bob, "<alive half>": ada[:HALF], "<ended half>": bob[:HALF]}

    def fill(self, cookies):
        """Replace placeholders with session ids of this run, and return the header."""
        for word, sid in self.words.items():
            cookies = cookies.replace(word.encode(), sid.encode(), 4)
        return b"Cookie", cookies

    def send(self, method, path, headers=(), body=b"", expected=(), opens=False):
        """Send a request unchanged, and check the answer, the log and the state. Workers keep no connection open."""
        host = dict(headers).get(b"Host", b"127.0.0.1:%d" % self.server.port)
        # the garbage comes last, so that the server knows the length of the body before it fails
        lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: " + host, b"Content-Length: %d" % len(body)]
        lines += [b"%s: %s" % header for header in headers if header[0] != b"Host"]
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=60) as connection:
            connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
            answer = http.client.HTTPResponse(connection, method=method)
            answer.begin()
            answer.text = answer.read().decode(errors="replace")
        problems = self.problems(expected)
        assert answer.status < 500 and not problems, (answer.status, *problems)
        assert self.state() == self.expected_state, "changed something"
        new_cookies = answer.msg.get_all("Set-Cookie", [])
        answer.sids = {sid for cookie in new_cookies for sid in re.findall(r'^session_id="?([\w-]+)', cookie)}
        opened = answer.sids - {device.sid for device in self.living}
        logged_in = any(file.exists() and stored(file).get("uid") for file in map(self.file_of, opened))
        assert logged_in == opens, "logged in" if logged_in else "logged in no user"
        return answer

    def call(self, name, model, method, args, kwargs, expected=()):
        """Call a method, logged in or not, and return the result or the name of the error."""
        cookie = b"session_id=%s" % (self.people[name].sid if name else "").encode()
        body = json.dumps({"params": {"model": model, "method": method, "args": args, "kwargs": kwargs}}).encode()
        path = f"/web/dataset/call_kw/{model}/{method}"
        answer = json.loads(self.send("POST", path, [JSON, (b"Cookie", cookie)], body, expected).text)
        return answer["error"]["data"]["name"].rpartition(".")[2] if "error" in answer else answer["result"]

    def problems(self, expected=()):
        """Return the new lines of the log that are not expected."""
        with self.server.log.open(errors="replace") as log:
            log.seek(self.log_read)
            text = log.read()
            self.log_read = log.tell()
        lines = [line for line in unexpected_lines(text) if not any(reason in line for reason in expected)]
        return lines + re.findall("^Traceback .*", text, re.MULTILINE)

    def file_of(self, sid):
        """Return the file of this session id. With a debug mode, Odoo makes others with the same identifier."""
        return self.server.sessions / sid[:2] / sid

    def files(self):
        return [self.file_of(device.sid) for device in self.living]

    def state(self):
        """Return the login log but for eve's logins, the boxes and whose the sessions of the living are."""
        with self.connection.cursor() as cursor:
            cursor.execute(STATE, [self.uids["eve"]])
            return cursor.fetchall(), [[stored(file)[key] for key in ("uid", "session_token")] for file in self.files()]

    def possible_states(self, cookies, headers):
        """Return the states that a status request with these headers may get."""
        if dict(headers).get(b"X-Odoo-Database"):
            return ["none"]  # no database of the server has such a name
        sent = re.findall(rb"(?:^|; )session_id=([^;]*)", cookies)
        if len(sent) == 1 and re.fullmatch(rb"[\w-]{%d}" % (2 * HALF), sent[0]):  # what Odoo accepts as a session id
            sid = sent[0].decode()
            ended = sid.startswith(self.words["<ended half>"])
            return ["alive" if sid == self.words["<alive>"] else "ended" if ended else "none"]
        words = {"alive": "<alive>", "ended": "<ended half>"}
        return ["none", *(state for state, word in words.items() if self.words[word].encode() in cookies)]
