"""Odoo's session store as this addon uses it, whatever store and series it is.

Nothing here decides whether a session may live: the login register does. A store without
a path (OCA ``session_db``, Camptocamp ``session_redis``) is served as far as its methods go.
"""

import contextlib
import glob
import logging
import os
import re
from datetime import timedelta

from odoo import http

_logger = logging.getLogger(__name__)

# Of 18.0 and later, and of 17.0. Whoever may write the tables of devices or of logins could name any file else.
IDENTIFIER = re.compile("[A-Za-z0-9_-]{42}|[0-9a-f]{20}")


def get_identifier(sid):
    """Return the part of a session id that may be stored: its first half.

    It is what core stores of a session since 18.0 (``STORED_SESSION_BYTES`` in ``odoo.http``)
    and what the soft rotation of 19.0 keeps. Alone it opens no session.

    :param str sid: a whole session id, or an empty string
    :rtype: str
    """
    return sid[: len(sid) // 2]


def get_lifetime(env):
    """Return how long the store keeps a session that nobody uses.

    :rtype: datetime.timedelta
    """
    if hasattr(http, "get_session_max_inactivity"):
        return timedelta(seconds=http.get_session_max_inactivity(env))
    # 17.0: as its autovacuum reads it (ir.http._gc_sessions)
    # sudo - ir.config_parameter: whoever logs in
    value = env["ir.config_parameter"].sudo().get_param("sessions.max_inactivity_seconds")
    return timedelta(seconds=int(value) if (value or "").isdecimal() else http.SESSION_LIFETIME)


def find_existing(identifiers):
    """Return those of the identifiers that have a session in the store; never raise.

    :param list identifiers: session identifiers
    :return: a list; all of them when the store can't tell
    """
    identifiers = list(filter(IDENTIFIER.fullmatch, identifiers))
    store = http.root.session_store
    try:
        # 17.0, the first ones of 18.0 and the stores of some addons have no such method
        if hasattr(store, "get_missing_session_identifiers"):
            missing = store.get_missing_session_identifiers(identifiers)
            return [identifier for identifier in identifiers if identifier not in missing]
        if _get_path():
            # each folder once: there may be very many identifiers
            names = [
                os.path.basename(name) for start in {text[:2] for text in identifiers} for name in _find_files(start)
            ]
            beginnings = {name[:length] for length in {len(text) for text in identifiers} for name in names}
            return [identifier for identifier in identifiers if identifier in beginnings]
    except Exception as error:
        _warn("did not look for", identifiers, error)
    return identifiers


def delete(identifiers):
    """Delete the sessions with these identifiers as far as the store can; never raise.

    :param list identifiers: session identifiers
    """
    identifiers = list(filter(IDENTIFIER.fullmatch, identifiers))
    store = http.root.session_store
    try:
        # 17.0 and the stores of some addons have no such method
        if hasattr(store, "delete_from_identifiers"):
            store.delete_from_identifiers(identifiers)
        else:
            for name in (name for identifier in identifiers for name in _find_files(identifier)):
                # as core's method; the error's text would put the session id into the log
                with contextlib.suppress(OSError):
                    os.unlink(name)
    except Exception as error:
        _warn("did not delete", identifiers, error)


def discard(session):
    """Delete a session and make what the request has of it anonymous, under a new id; never raise.

    :param session: the session of a request
    """
    try:
        http.root.session_store.delete(session)
    except Exception as error:
        _warn("did not delete", [session.sid], error)
    make_anonymous(session)
    session.should_rotate = True


def make_anonymous(session):
    """Take everything out of the session of the current request but its database and mode of debugging.

    ``Session.logout`` would give the browser a new cookie and forget which companies were selected.
    """
    kept = {"db": session.db, "debug": session.debug, "context": {"lang": http.request.default_lang()}}
    session.clear()
    session.update(http.get_default_session(), **kept)


def iter_logged_in(dbname):
    """Yield the sessions in the store that are logged in to a database.

    :param str dbname: name of the database
    :return: pairs of session identifier and user id
    """
    store = http.root.session_store
    for sid in map(os.path.basename, _find_files("")):
        session = store.get(sid) if store.is_valid_key(sid) else {}
        if session.get("db") == dbname and session.get("uid"):
            yield get_identifier(sid), session["uid"]


def _warn(what, identifiers, error):
    # without the error's text, which may quote a whole session id
    _logger.warning("Single session: the store %s %d sessions (%s)", what, len(identifiers), type(error).__name__)


def _get_path():
    return getattr(http.root.session_store, "path", None)


def _find_files(identifier):
    """Return the files of an identifier's sessions, or of all sessions if it is empty."""
    if not _get_path():
        return []
    # the store scatters its files over folders named after the first two characters
    return glob.glob(os.path.join(glob.escape(_get_path()), identifier[:2] or "*", identifier + "*"))
