import logging

from . import controllers, models
from .models import devices, session_store

_logger = logging.getLogger(__name__)


def _import_sessions(env):
    """Import the sessions that are older than the addon into the login log."""
    env["op.single.session.login"]._import_stored_sessions()
    # sessions with a device are imported at their user's next login
    if not session_store.can_list() and not devices.has_devices(env):
        _logger.warning(
            "Single session: older sessions are NOT IMPORTED, as the session store cannot list them:"
            " they stay open until they expire"
        )


def _remove_parameters(env):
    """Delete the system parameters, which an administrator may have created by hand."""
    env["ir.config_parameter"].search([("key", "=like", "op_single_session_login.%")]).unlink()
