"""Explain every query of the addon as it is executed. What it writes is rolled back."""

import json
import re
from types import SimpleNamespace

from odoo import fields
from odoo.sql_db import Cursor
from odoo.tools import SQL

from odoo.addons.op_single_session_login.models.op_single_session_login_end import NEXT_EXCLUSIVE

log, execute = env["op.single.session.login"].sudo(), Cursor.execute
costs, step = {}, None


def explain(cr, query, params=None, log_exceptions=True):
    text = cr.mogrify(getattr(query, "code", query), getattr(query, "params", params)).decode()
    if ("op_single_session_login" in text or "res_device_log" in text) and re.match(
        r"\s*(SELECT|INSERT|UPDATE|DELETE)", text
    ):
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
        if values["exclusive"]:
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
