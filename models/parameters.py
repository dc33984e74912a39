"""The system parameters: their names, defaults and bounds. None of them needs to be set."""

import functools
import logging

_logger = logging.getLogger(__name__)


def get_poll_interval(env):
    """Return how often a visible page asks whether its session has ended.

    :return: seconds; 0 for no polling
    :rtype: int
    """
    return _read(env, "op_single_session_login.poll_interval", 30, 5, 3600, or_zero=True)


def get_retention_days(env):
    """Return how long the login log keeps the entries of ended sessions.

    :return: days
    :rtype: int
    """
    return _read(env, "op_single_session_login.retention_days", 90, 7, 3650)


def _read(env, name, *bounds, **options):
    # sudo - ir.config_parameter: the pages of all users depend on them
    return _parse(name, env["ir.config_parameter"].sudo().get_param(name), *bounds, **options)


@functools.lru_cache  # a page view must not repeat the warning
def _parse(name, value, default, lowest, highest, or_zero=False):
    """Return a whole number within its bounds, or 0 if that is allowed. Warn once per process if it is neither."""
    try:
        number = int(value or default)
    except ValueError:
        _logger.warning("Single session: %s is not a whole number; using %d", name, default)
        return default
    if lowest <= number <= highest or (or_zero and number == 0):
        return number
    bounded = min(max(number, lowest), highest)
    allowed = f"from {lowest} to {highest}"
    if or_zero:
        allowed = f"0 or {allowed}"
    _logger.warning("Single session: %s is not %s; using %d", name, allowed, bounded)
    return bounded
