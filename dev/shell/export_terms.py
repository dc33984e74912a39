"""Export the terms of the addon to a ``path``."""

from pathlib import Path

from odoo.release import version_info
from odoo.tools.translate import trans_export

with Path(path).open("wb") as file:
    trans_export(None, ["op_single_session_login"], file, "po", env if version_info >= (19,) else env.cr)
