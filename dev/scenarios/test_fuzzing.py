"""Garbage from the network causes no error, opens and ends no session, and changes nothing."""

import json
import re
from urllib.parse import urlencode

import pytest
from garbage import FORM, JSON, Target, anything, cookies, fuzz, headers, methods, odd, paths, queries, text
from hypothesis import strategies as st

from devtools.environment import REPOSITORY
from servers import PASSWORD, POLL_INTERVAL, STATUS, Device, Server, alive, connect, psql, stored

pytestmark = pytest.mark.timeout(1800)  # thousands of requests, on a machine that may be busy
LOGIN_LOG, BYPASS = "op.single.session.login", "allow_multiple_sessions"
FILES = (REPOSITORY / "models").glob("op_single_session_login*.py")
MODEL = "\n".join(path.read_text().partition("class ResUsers")[0] for path in FILES)
PRIVATE = sorted(set(re.findall(r"def (_\w+)\(self", MODEL)))
# Log lines of Odoo about refused requests.
DENIED = ("Access Denied", "Database not found", "CSRF validation")
REFUSED = (
    "Private methods (such as",
    "You are not allowed to ",
    "You do not have enough rights to access the field",
    "The requested operation can not be completed due to security restrictions",
)
MISSING = ("Record does not exist",)


@pytest.fixture(scope="module")
def shared_target(databases, folder):
    # other tests may have changed the language of these log lines
    psql(databases[0], "UPDATE res_partner SET lang = 'en_US' WHERE lang IS NOT NULL")
    with connect(databases[0]) as connection, Server(databases[:1], folder / "fuzzing", "--proxy-mode") as server:
        connection.autocommit = True
        target = Target(server, connection)
        admin = target.people["admin"]
        # after some wrong passwords, Odoo refuses right ones too
        admin.set_parameter("base.login_cooldown_after", "0")
        yield target
        admin.set_parameter("base.login_cooldown_after", "10")
        assert target.problems() == []


@pytest.fixture
def target(shared_target):
    """The target. Each test must leave the same sessions open."""
    yield shared_target
    living = [*shared_target.living, shared_target.eve]
    assert alive(*living, shared_target.ended, shared_target.anybody) == [True] * len(living) + [False, False]
    files = shared_target.server.sessions.glob("*/*")
    assert {file.name for file in files if stored(file).get("uid")} == {device.sid for device in living}


@fuzz(5500, method=methods, query=queries, cookies=cookies, headers=headers)
def test_status_route(target, method, query, cookies, headers):
    before = [(file.stat().st_mtime_ns, file.read_bytes()) for file in target.files()]
    cookie = target.fill(cookies)
    answer = target.send(method, f"{STATUS}?{query}", [cookie, *headers])
    assert [(file.stat().st_mtime_ns, file.read_bytes()) for file in target.files()] == before
    if answer.status == 200 and method == "GET":
        status = json.loads(answer.text)
        assert status["state"] in target.possible_states(cookie[1], headers)
        assert "127.0.0.1" not in answer.text
        assert not answer.sids


@fuzz(1200, query=queries, cookies=cookies, headers=headers)
def test_login_page(target, query, cookies, headers):
    cookie = target.fill(cookies)
    answer = target.send("GET", f"/web/login?{query}", [cookie, *headers])
    assert target.words["<ended half>"].encode() in cookie[1] or "on another device" not in answer.text


@fuzz(200, method=methods, path=paths, cookies=cookies, headers=headers)
def test_pages_that_do_not_exist(target, method, path, cookies, headers):
    target.send(method, f"{STATUS}/{path}", [target.fill(cookies), *headers])


# Odoo fails at a form without a login or (17.0) a password, at incomplete credentials of a type, and at non-ASCII
# letters in a token. Only one case has an existing user, since it takes time to hash a password.
forms = st.fixed_dictionaries(
    {"login": text.filter(bool), "password": text},
    optional={"redirect": text, "db": text, "type": st.just("x"), "csrf_token": st.just("0o9")},
)
wrong_password = {"form": {"login": "ada", "password": "x"}, "cookies": b"", "headers": []}


@fuzz(900, wrong_password, form=forms, cookies=cookies, headers=headers)
def test_login_form(target, form, cookies, headers):
    cookie = (b"Cookie", b"session_id=%s; %s" % (target.anybody.sid.encode(), target.fill(cookies)[1]))
    body = urlencode({"csrf_token": target.anybody.token, **form}).encode()
    target.send("POST", "/web/login", [FORM, cookie, *headers], body, DENIED)


types = st.sampled_from([FORM[1], b"text/plain", b"multipart/form-data; boundary=x"]) | odd


@fuzz(500, content_type=types, body=odd)
def test_body_that_is_no_form(target, content_type, body):
    target.send("POST", "/web/login", [(b"Content-Type", content_type)], body, DENIED)


# Odoo fails at parameters that are not an object or not the route's, and at databases and logins that are not text.
logins = st.fixed_dictionaries({"db": text | st.just("<db>"), "login": text | st.none(), "password": anything})
payloads = st.fixed_dictionaries({"params": logins}, optional={"id": anything, "jsonrpc": anything, "method": anything})
no_payloads = anything.filter(lambda value: not isinstance(value, dict))


@fuzz(700, payload=payloads | no_payloads, cookies=cookies, headers=headers)
def test_json_login(target, payload, cookies, headers):
    body = json.dumps(payload).replace("<db>", target.server.databases[0]).encode()
    target.send("POST", "/web/session/authenticate", [JSON, target.fill(cookies), *headers], body, DENIED)


@fuzz(100, body=odd, cookies=cookies)
def test_json_login_without_json(target, body, cookies):
    answer = target.send("POST", "/web/session/authenticate", [JSON, target.fill(cookies)], body)
    assert answer.status == 400


who = st.sampled_from(["ada", "pia", "admin", None])


def refusal(name):
    return "AccessError" if name else "SessionExpiredException"


positional, named = st.lists(anything, max_size=4), st.dictionaries(text, anything, max_size=2)


@fuzz(350, name=who, method=st.sampled_from(PRIVATE), args=positional, kwargs=named)
def test_private_methods(target, name, method, args, kwargs):
    assert target.call(name, LOGIN_LOG, method, args, kwargs, REFUSED) == refusal(name)


ids = st.lists(st.integers(1, 30) | st.integers(1, 2**31 - 1), min_size=1, max_size=5)
fields = st.sampled_from(["user_id", "identifier", "exclusive", "end_reason", "login_date", "ip_address"])
rows = st.dictionaries(fields | text, anything, max_size=3)
writes = st.one_of(
    st.tuples(st.just("create"), rows | st.lists(rows, min_size=1, max_size=2)),
    st.tuples(st.just("write"), ids, rows),
    st.tuples(st.just("unlink"), ids),
)


@fuzz(300, name=who, call=writes)
def test_writes_to_the_login_log(target, name, call):
    assert target.call(name, LOGIN_LOG, call[0], call[1:], {}, REFUSED) == refusal(name)


# Odoo fails at fields and operators that do not exist.
conditions = st.tuples(st.just("identifier"), st.sampled_from(["=", "!=", "like", "=ilike"]), text)
reads = st.one_of(
    st.tuples(st.sampled_from(["search", "search_count", "search_read"]), conditions.map(lambda leaf: [leaf])),
    st.tuples(st.just("read"), ids, st.lists(fields, max_size=3)),
    st.tuples(st.just("name_search"), text),
)


@fuzz(200, name=who, call=reads)
def test_reads_of_the_login_log(target, name, call):
    result = target.call(name, LOGIN_LOG, call[0], call[1:], {}, MISSING if name == "admin" else REFUSED)
    allowed = isinstance(result, list | int) or result == "MissingError"
    assert allowed if name == "admin" else result == refusal(name)


boxes = st.fixed_dictionaries({BYPASS: anything}, optional={"name": text, "signature": text})
writing = st.sampled_from(["write", "web_save", "onchange"])


@fuzz(200, name=st.sampled_from(["ada", "pia"]), method=writing, values=boxes)
def test_bypass_of_oneself(target, name, method, values):
    """Users can't check their own bypass, not even together with values that the preferences may change."""
    args = [[target.uids[name]], values, *([[BYPASS], {BYPASS: {}}] if method == "onchange" else [])]
    kwargs = {"specification": {}} if method == "web_save" else {}
    assert target.call(name, "res.users", method, args, kwargs, REFUSED) == "AccessError"


odd_numbers = ["\uff14\uff12", "1_0", " 7 ", "9" * 5000, "-0", "1e3"]
numbers = st.integers(-(2**70), 2**70).map(str) | st.sampled_from(odd_numbers)


@pytest.fixture
def set_poll_interval(target):
    """Set the poll interval for pages that are loaded later."""
    admin = target.people["admin"]
    yield lambda value: admin.set_parameter(POLL_INTERVAL, value)
    admin.set_parameter(POLL_INTERVAL, "30")


@fuzz(70, value=numbers | text, name=st.sampled_from(["ada", "admin"]))
def test_poll_interval(target, set_poll_interval, value, name):
    set_poll_interval(value)
    cookie = (b"Cookie", b"session_id=%s" % target.people[name].sid.encode())
    page = target.send("GET", "/web", [cookie]).text
    [interval] = re.findall(r'"poll_interval": ?(-?[^,}]+)', page)
    assert int(interval) in {0, *range(5, 3601)}


@fuzz(10, {"agent": b"\0", "address": b"192.0.2.1\0"}, agent=odd, address=odd)
def test_logins(target, agent, address):
    before, device = target.eve, Device(target.server)
    device.open_login_page()
    body = urlencode({"login": "eve", "password": PASSWORD, "csrf_token": device.token}).encode()
    cookie = (b"Cookie", b"session_id=%s" % device.sid.encode())
    more = [(b"User-Agent", agent), (b"X-Forwarded-Host", b"host"), (b"X-Forwarded-For", address)]
    answer = target.send("POST", "/web/login", [FORM, cookie, *more], body, opens=True)
    [device.sid] = answer.sids
    target.eve = device
    assert answer.status == 303
    assert alive(before, device) == [False, True]
