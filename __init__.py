from . import models


def _adopt_sessions(env):
    """Enter the sessions that are older than the addon into the register."""
    env["op.single.session.login"]._adopt_stored_sessions()
