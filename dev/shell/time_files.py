"""Print how long a login takes for files: it looks for those of one session that it ended, and deletes them."""

import statistics
import time

from odoo.http import root

from odoo.addons.op_single_session_login.models import session_store

times = []
for _ in range(1000):
    session = root.session_store.new()
    session["db"] = env.cr.dbname
    root.session_store.save(session)
    start = time.perf_counter()
    session_store.delete([session_store.get_identifier(session.sid)], env.cr.dbname)
    times.append(time.perf_counter() - start)
print(statistics.median(times))
