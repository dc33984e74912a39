"""The system parameters: their names, defaults and bounds. None of them needs to be set."""

import functools
import logging

_logger = logging.getLogger(__name__)


def get_poll_interval(env):
    """Return how often a page in sight asks whether its session has ended.

    :return: seconds; 0 when pages do not ask by themselves
    :rtype: int
    """
    # sudo - ir.config_parameter: pages of everybody depend on it
    value = env["ir.config_parameter"].sudo().get_param("op_single_session_login.poll_interval")
    return _parse("op_single_session_login.poll_interval", value, 30, 5, 3600)


@functools.lru_cache
def _parse(name, value, default, lowest, highest):
    """Return a whole number within its bounds, or 0; what it is not is told once for each process."""
    try:
        number = int(value or default)
    except ValueError:
        _logger.warning("Single session: %s is no whole number, %d is used", name, default)
        return default
    if number == 0 or lowest <= number <= highest:
        return number
    bounded = min(max(number, lowest), highest)
    _logger.warning("Single session: %s is not 0 or from %d to %d, %d is used", name, lowest, highest, bounded)
    return bounded
