from . import controllers, models


def _import_sessions(env):
    """Add entries to the login log for the sessions that are older than the addon."""
    env["op.single.session.login"]._import_stored_sessions()


def _remove_parameters(env):
    """Delete the system parameters, which an administrator may have created by hand."""
    env["ir.config_parameter"].search([("key", "=like", "op_single_session_login.%")]).unlink()
