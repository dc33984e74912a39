"""Print what PostgreSQL does for the session check of ``sid``."""

execute = type(env.cr).execute


def explain(cr, query, params=None, **options):
    execute(cr, "EXPLAIN " + cr.mogrify(query, params).decode())
    print(*(f"    {line}" for [line] in cr.fetchall()), sep="\n")
    execute(cr, query, params, **options)


type(env.cr).execute = explain
print("  The session check's query, one for each request:")
assert env["op.single.session.login"]._is_ended(sid[: len(sid) // 2]) is False
