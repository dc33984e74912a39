"""The system parameters: their names, defaults and bounds. None of them needs to be set."""


def get_poll_interval(env):
    """Return how often a visible page asks whether its session has ended.

    :return: seconds; 0 for no polling
    :rtype: int
    """
    interval = _read(env, "op_single_session_login.poll_interval", 30, -1, 3600)
    return max(interval, 5) if interval else 0


def get_retention_days(env):
    """Return how long the login log keeps the entries of ended sessions.

    :return: days
    :rtype: int
    """
    return _read(env, "op_single_session_login.retention_days", 90, 7, 3650)


def includes_portal_users(env):
    """Return whether a login also ends the other sessions of users who are not internal.

    :rtype: bool
    """
    return bool(_read(env, "op_single_session_login.portal_users", 1, 0, 1))


def _read(env, name, default, lowest, highest):
    """Return a parameter as a whole number within its bounds, or the default if it is not a whole number."""
    # sudo - ir.config_parameter: the pages and the logins of all users depend on them
    value = env["ir.config_parameter"].sudo().get_param(name)
    try:
        number = int(value or default)
    except ValueError:
        number = default
    return min(max(number, lowest), highest)
