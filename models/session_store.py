"""Odoo's session store as the addon uses it, for all stores and series.

Nothing here decides whether a session has ended: the login log does. Databases share the store, and a copy
of a database has the identifiers of the original: only the session itself names its database. A store
without a path (OCA ``session_db``, Camptocamp ``session_redis``, Mangono ``redis_session_store``) finds a
session only by its whole id, which the addon does not keep.
"""

import glob
import logging
import os
import re
from datetime import timedelta
from itertools import chain

from odoo import http

_logger = logging.getLogger(__name__)

# The key of the bond in a session. Its value is the identifier of the entry of its login.
BOND = "op_single_session_login"
# The identifiers of 18.0 and later, and of 17.0. No other text becomes part of a path: a user who may write devices
# could name any file there.
IDENTIFIER = re.compile("[A-Za-z0-9_-]{42}|[0-9a-f]{20}")
# Odoo's parameter may be 3,000 years. No date can hold that.
LONGEST_LIFETIME = timedelta(days=3650)


def get_identifier(sid):
    """Return the part of a session id that may be stored: the part that Odoo itself stores.

    Of an id with 84 or 86 characters (18.0 and later), the first 42 (``STORED_SESSION_BYTES`` in ``odoo.http``), which
    soft rotation keeps. Of a shorter one (17.0, and the stores of some addons), the first half. An identifier alone
    gives no access to a session.

    :param str sid: a whole session id, or an empty string
    :rtype: str
    """
    return sid[: min(len(sid) // 2, 42)]


def identify(session):
    """Return the identifier that the login log knows a session by, and whether it is a bond.

    The bond stays with the session: under a new id, in a copy for a report, and during an impersonation.
    """
    bond = session.get(BOND)
    return bond or get_identifier(session.sid), bool(bond)


def get_lifetime(env):
    """Return how long the store keeps an unused session.

    :rtype: datetime.timedelta
    """
    if hasattr(http, "get_session_max_inactivity"):
        seconds = http.get_session_max_inactivity(env)
    else:  # 17.0: as its autovacuum reads it (ir.http._gc_sessions)
        # sudo - ir.config_parameter: any user may log in
        value = env["ir.config_parameter"].sudo().get_param("sessions.max_inactivity_seconds")
        seconds = int(value) if (value or "").isdecimal() else http.SESSION_LIFETIME
    return timedelta(seconds=min(seconds, LONGEST_LIFETIME.total_seconds()))


def find_existing(identifiers, dbname, used=()):
    """Return the identifiers that have a session of a database in the store; never raise.

    A store without a path can't tell: to find sessions by their identifiers, it would go through all its sessions.

    :param identifiers: session identifiers; other values among them have no session
    :param str dbname: name of the database
    :param used: identifiers of sessions that were used recently on any machine: they count as existing, unless the
        store has them for another database
    :return: a list; all identifiers if the store can't tell
    """
    identifiers = _select_identifiers(identifiers)
    try:
        if _get_path():
            databases = {
                identifier: {session.get("db") for session in sessions}
                for identifier, sessions in _find_sessions(identifiers).items()
            }
            for identifier in used:
                databases.setdefault(identifier, {dbname})
            return [identifier for identifier in identifiers if dbname in databases.get(identifier, ())]
    except Exception as error:
        _warn("did not look for", identifiers, error)
    return identifiers


def delete(identifiers, dbname):
    """Delete the sessions of a database with these identifiers if the store can; never raise.

    In a store without a path, nothing is deleted: it can't tell the sessions of another database, or would have to
    go through all its sessions at each login. The session check refuses them anyway.

    :param identifiers: session identifiers; other values among them have no session
    :param str dbname: name of the database
    """
    identifiers = _select_identifiers(identifiers)
    try:
        if _get_path():
            for session in chain(*_find_sessions(identifiers, dbname).values()):
                http.root.session_store.delete(session)
    except Exception as error:
        _warn("did not delete", identifiers, error)


def is_stored(session):
    """Return whether the store has a session, and the session has a user."""
    return bool(http.root.session_store.get(session.sid).get("uid"))


def make_anonymous(session):
    """Remove everything from the session of the current request except its database and debug mode.

    ``Session.logout`` would give the browser a new cookie and forget the selected companies.
    """
    kept = {"db": session.db, "debug": session.debug, "context": {"lang": http.request.default_lang()}}
    session.clear()
    session.update(http.get_default_session(), **kept)
    # The browser keeps its cookie. The status route recognizes the ended session by it. And if the user has just
    # logged in again in the same browser, a late answer would replace the new cookie.
    session.is_dirty = False


def iter_logged_in(dbname):
    """Yield the stored sessions that are logged in to a database; none if the store can't list its sessions.

    :param str dbname: name of the database
    :return: pairs of session identifier and user id
    """
    for session in _iter_sessions(_iter_sids(), dbname):
        if session.get("uid"):
            yield identify(session)[0], session["uid"]


def _select_identifiers(values):
    return [value for value in values if IDENTIFIER.fullmatch(value or "")]


def _find_sessions(identifiers, dbname=None):
    """Return the sessions of one or any database by identifier; after a soft rotation, one has several."""
    wanted, found = set(identifiers), {}
    # read each folder once: there may be very many identifiers
    starts = {identifier[:2] for identifier in wanted}
    sids = (sid for sid in _iter_sids(starts) if get_identifier(sid) in wanted)
    for session in _iter_sessions(sids, dbname):
        found.setdefault(get_identifier(session.sid), []).append(session)
    return found


def _iter_sessions(sids, dbname=None):
    store = http.root.session_store
    for sid in sids:
        session = store.get(sid) if store.is_valid_key(sid) else {}
        if session and dbname in (None, session.get("db")):
            yield session


def _iter_sids(starts=("",)):
    """Yield the ids of the stored sessions; if the store has a path, only those with these first characters."""
    if not _get_path():
        for sid in getattr(http.root.session_store, "list", list)():
            yield sid.decode() if isinstance(sid, bytes) else sid
        return
    for start in starts:
        # the store keeps its files in folders named after the first two characters
        yield from map(os.path.basename, glob.iglob(os.path.join(glob.escape(_get_path()), start or "*", "*")))


def _warn(what, identifiers, error):
    # without the text of the error, which may quote a whole session id
    _logger.warning("Single session: the store %s %d sessions (%s)", what, len(identifiers), type(error).__name__)


def _get_path():
    return getattr(http.root.session_store, "path", None)
