"""Odoo's own devices (``res.device.log``, 18.0 and later), as far as the addon needs them.

The only file that knows that model. 17.0 has no devices: the functions find nothing and mark nothing.
"""

from odoo.tools import SQL

from .client import get_name


def has_devices(env):
    return "res.device.log" in env


def find_unknown(env, user):
    """Return the user's sessions that have a device and no entry in the login log.

    For example, a login that another worker served while the addon was being installed. Temporary sessions for
    reports have no device. Some stores of 18.0 (OCA's ``session_db``, Mangono's ``redis_session_store``) make
    shorter ids than Odoo: their devices hold whole ids of 40 characters, which must not get into the login log.

    :return: a list of dicts: identifier, login_date, browser, platform, ip_address
    """
    if not has_devices(env):
        return []
    env.cr.execute(
        SQL(
            """
            SELECT DISTINCT ON (short) short AS identifier,
                   coalesce(first_activity, now() AT TIME ZONE 'UTC') AS login_date, browser, platform, ip_address
              FROM res_device_log device, left(
                   session_identifier, CASE length(session_identifier) WHEN 42 THEN 42 WHEN 40 THEN 20 END) short
             WHERE user_id = %s AND revoked IS NOT TRUE AND short IS NOT NULL AND NOT EXISTS (
                   SELECT FROM op_single_session_login entry WHERE entry.identifier = short)
          ORDER BY short, first_activity
            """,
            user.id,
        )
    )
    return [
        {**device, "browser": get_name(device["browser"]), "platform": get_name(device["platform"])}
        for device in env.cr.dictfetchall()
    ]


def find_used_since(env, date, identifiers):
    """Return the identifiers whose sessions were used since a date, on any machine.

    Odoo writes a session's activity once an hour. Stores with short ids need no devices: all machines share them.

    :rtype: set
    """
    if not has_devices(env) or not identifiers:
        return set()
    env.cr.execute(
        SQL(
            """
            SELECT DISTINCT session_identifier
              FROM res_device_log
             WHERE session_identifier = ANY(%s) AND last_activity > %s AND revoked IS NOT TRUE
            """,
            list(identifiers),
            date,
        )
    )
    return {identifier for [identifier] in env.cr.fetchall()}


def revoke(env, identifiers):
    """Mark the devices of ended sessions as revoked, as Odoo's own revocation does.

    It waits for no lock: the cleanups of simultaneous logins mark the same devices.
    """
    if not has_devices(env) or not identifiers:
        return
    whole_ids = _find_whole_ids(env, [identifier for identifier in identifiers if len(identifier) == 20])
    env.cr.execute(
        SQL(
            """
            UPDATE res_device_log SET revoked = TRUE WHERE id IN (
                   SELECT id
                     FROM res_device_log
                    WHERE session_identifier = ANY(%s) AND revoked IS NOT TRUE
                      FOR UPDATE SKIP LOCKED)
            """,
            [*identifiers, *whole_ids],
        )
    )


def _find_whole_ids(env, identifiers):
    """Return the whole ids that devices hold of sessions with short ids."""
    if not identifiers:
        return []
    env.cr.execute(
        """
        SELECT session_identifier
          FROM res_device_log
         WHERE user_id IN (SELECT user_id FROM op_single_session_login WHERE identifier = ANY(%(identifiers)s))
           AND length(session_identifier) = 40 AND left(session_identifier, 20) = ANY(%(identifiers)s)
        """,
        {"identifiers": identifiers},
    )
    return [whole_id for [whole_id] in env.cr.fetchall()]
