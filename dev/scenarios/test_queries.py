"""What the addon's queries read in a login log of a million entries, of which one user has 100,000.

Before PostgreSQL has analyzed the table, as after an import, and afterwards. Blocks are counted, not time.
"""

import json

import pytest

from servers import ENVIRONMENT, odoo, psql, shell

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
    printed = odoo("-d", crowded, script=shell("explain_queries"))
    costs = json.loads(printed.split("costs=")[1].split("#")[0])
    print("analyzed:" if is_analyzed else "never analyzed:", costs)  # dev/test -n0 -s -k queries
    # once a night, about three blocks for each of 100,000 open entries
    assert costs.pop("cleanup of what is left") < 400_000
    assert {step: blocks for step, blocks in costs.items() if blocks > 1000} == {}
