"""Odoo's own devices (``res.device.log``, 18.0 and later), as far as the addon needs them.

The only file that knows that model. 17.0 has no devices. Odoo's index on ``session_identifier`` serves both queries.
"""


def find_used_since(entries, date):
    """Return the identifiers of those entries whose sessions were used since a date, on any machine.

    Odoo writes a session's activity once an hour. Sessions with short ids have no devices. They need none: all
    machines share the stores that make such ids. On 17.0, only the login is known.

    :rtype: set
    """
    env = entries.env
    if "res.device.log" not in env or not entries:
        return {entry.identifier for entry in entries if entry.login_date > date}
    query = """
        SELECT DISTINCT session_identifier FROM res_device_log
         WHERE session_identifier = ANY(%s) AND last_activity > %s AND revoked IS NOT TRUE
    """
    env.cr.execute(query, [entries.mapped("identifier"), date])
    return {identifier for [identifier] in env.cr.fetchall()}


def revoke(env, identifiers):
    """Mark the devices of ended sessions as revoked, as Odoo's own revocation does.

    It waits for no lock: the cleanups of simultaneous logins mark the same devices.
    """
    if "res.device.log" not in env or not identifiers:
        return
    query = """
        UPDATE res_device_log SET revoked = TRUE WHERE id IN (
               SELECT id FROM res_device_log WHERE session_identifier = ANY(%s) AND revoked IS NOT TRUE
                  FOR UPDATE SKIP LOCKED)
    """
    env.cr.execute(query, [identifiers])
