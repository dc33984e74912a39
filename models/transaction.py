"""Work in a transaction of its own."""

import logging

from odoo import SUPERUSER_ID, api

_logger = logging.getLogger(__name__)


def is_readonly(cr):
    """Return whether a cursor is read-only, perhaps on a replica. 17.0 has no such cursors."""
    return getattr(cr, "readonly", False)


def call_in_new_transaction(method, *arguments):
    """Call a method of records in a transaction of its own, as the superuser; never raise.

    For what must not fail the request, especially after its commit.

    :param method: a bound method
    :return: what the method returns; None if it failed
    """
    records = method.__self__
    try:
        if is_readonly(records.env.cr):
            records.env.cr.rollback()  # its locks would make the other transaction wait
        with records.env.registry.cursor() as cr:
            return method.__func__(records.with_env(api.Environment(cr, SUPERUSER_ID, {})), *arguments)
    except Exception:
        _logger.warning("Single session: FAILED %s", method.__name__, exc_info=True)
        return None
