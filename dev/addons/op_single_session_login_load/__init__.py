from odoo import models


class ResUsers(models.Model):
    _inherit = "res.users"

    def _crypt_context(self):
        """Hash passwords in one round: the usual ones would hide all else that a login does."""
        context = super()._crypt_context()
        context.update(pbkdf2_sha512__min_rounds=1, pbkdf2_sha512__rounds=1)
        return context
