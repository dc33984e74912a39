from . import controllers, models


def _adopt_sessions(env):
    """Enter the sessions that are older than the addon into the register."""
    env["op.single.session.login"]._adopt_stored_sessions()


def _remove_parameters(env):
    """Remove the system parameters, which an administrator may have made by hand."""
    env["ir.config_parameter"].search([("key", "=like", "op_single_session_login.%")]).unlink()
