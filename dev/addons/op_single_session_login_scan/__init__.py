from pathlib import Path

from odoo import models
from odoo.http import request, root


class ResUsers(models.Model):
    _inherit = "res.users"

    def _update_last_login(self):
        """Delete the user's other sessions, after a look into every file of the store."""
        super()._update_last_login()
        store = root.session_store
        for path in Path(store.path).glob("*/*"):
            session = store.get(path.name)
            if session.uid == self.env.uid and session.db == self.env.cr.dbname and session.sid != request.session.sid:
                store.delete(session)
