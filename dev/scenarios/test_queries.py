"""What the addon's queries read in a login log of a million entries, of which one user has 100,000.

Before PostgreSQL has analyzed the table, as after an import, and afterwards. Blocks are counted, not time.
"""

import json

import pytest

from servers import ENVIRONMENT, odoo, psql

# Every query of the addon is explained as it is executed; what it writes is rolled back.
SCRIPT = """
import json, re
from types import SimpleNamespace
from odoo import fields
from odoo.sql_db import Cursor
from odoo.tools import SQL
from odoo.addons.op_single_session_login.models.op_single_session_login_end import NEXT_EXCLUSIVE
log, execute = env["op.single.session.login"].sudo(), Cursor.execute
costs, step = {}, None

def explain(cr, query, params=None, log_exceptions=True):
    text = cr.mogrify(getattr(query, "code", query), getattr(query, "params", params)).decode()
    if ("op_single_session_login" in text or "res_device_log" in text) and re.match(r"\\s*(SELECT|INSERT|UPDATE|DELETE)", text):
        execute(cr, "SAVEPOINT explained")
        execute(cr, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + text.replace("%", "%%"))
        plan = cr.fetchone()[0][0]["Plan"]
        costs[step] = max(costs.get(step, 0), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
        execute(cr, "ROLLBACK TO SAVEPOINT explained")
    return execute(cr, query, params, log_exceptions)

Cursor.execute = explain
try:
    for name, login in (("many", "ada"), ("bypass", "bob"), ("few", "max")):
        user = env["res.users"].search([("login", "=", login)])
        execute(env.cr, "SELECT identifier FROM op_single_session_login WHERE user_id = %s ORDER BY id", [user.id])
        identifiers = [identifier for [identifier] in env.cr.fetchall()]
        for age, identifier in (("oldest", identifiers[0]), ("newest", identifiers[-1])):
            step = f"{name}: check of the {age}"
            log._is_ended(identifier)
            step = f"{name}: status of the {age}"
            log._find_end(SimpleNamespace(identifier=identifier, is_named=True))
        step = f"{name}: login"
        values = {"user_id": user.id, "identifier": "n" * len(identifier), "login_date": fields.Datetime.now()}
        values["exclusive"] = name != "bypass"
        newest = log._insert_newest(values)
        step = f"{name}: which sessions it ended"
        older = log._find_open(SQL("user_id = %s AND (%s) IS NOT NULL", user.id, NEXT_EXCLUSIVE))
        older._group_by_newer()
        newest._filter_known()
        log._describe_login("n" * len(identifier))
        step = f"{name}: list of one page"
        entries = log.search([("user_id", "=", user.id)], limit=80)
        entries.mapped("end_reason")
    step = "cleanup of what is left"
    log._find_open(SQL("(%s) IS NOT NULL", NEXT_EXCLUSIVE))
    step = "session of a logged out user"
    log._find_open(SQL("identifier = %s", identifiers[0]))
finally:
    Cursor.execute = execute
env.cr.rollback()
print("costs=" + json.dumps(costs) + "#")
"""

FILL = """
CREATE TEMPORARY TABLE crowd AS SELECT id, row_number() OVER () n FROM res_users WHERE login LIKE 'user%';
ALTER TABLE op_single_session_login SET (autovacuum_enabled = false);
WITH entries AS (
    SELECT i, CASE WHEN i % 10 = 0 THEN (SELECT id FROM res_users WHERE login = 'ada')
                   WHEN i % 10 = 1 THEN (SELECT id FROM res_users WHERE login = 'bob')
                   ELSE (SELECT id FROM crowd WHERE n = 1 + i % 119) END AS user_id, i % 10 <> 1 AS exclusive
      FROM generate_series(1, 1000000) i)
INSERT INTO op_single_session_login
       (user_id, identifier, login_date, exclusive, end_reason, end_date)
SELECT user_id, left(md5(i::text) || md5(i::text), {length}), now() - (1000001 - i) * interval '7 seconds', exclusive,
       CASE WHEN exclusive AND i < 999000 THEN 'newer_login' END, CASE WHEN exclusive AND i < 999000 THEN now() END
  FROM entries;
INSERT INTO op_single_session_login (user_id, identifier, login_date, exclusive)
SELECT id, repeat('m', {length}), now(), TRUE FROM res_users WHERE login = 'max';
"""


@pytest.fixture(scope="module")
def crowded(make_database, addon_database):
    database = make_database("crowded", addon_database)
    psql(database, FILL.format(length=20 if ENVIRONMENT.series == "17.0" else 42))
    return database


@pytest.mark.parametrize("is_analyzed", [False, True])
def test_blocks_that_queries_read(crowded, is_analyzed):
    if is_analyzed:
        psql(crowded, "ANALYZE op_single_session_login")
    printed = odoo("-d", crowded, script=SCRIPT)
    costs = json.loads(printed.split("costs=")[1].split("#")[0])
    assert costs.pop("cleanup of what is left") < 10_000  # it finds 900 entries
    assert {step: blocks for step, blocks in costs.items() if blocks > 1000} == {}
