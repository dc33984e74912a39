import os

import psycopg2

from odoo import api, models, tools
from odoo.http import request

from .controllers import kill_worker


class LoginSession(models.Model):
    _inherit = "op.single.session.login"

    @api.model
    def _revoke_devices(self, identifiers):
        """Die in the middle of the sweep, when the files are deleted and nobody is told."""
        if request and request.httprequest.args.get("fault") == "killed in the sweep":
            kill_worker()
        return super()._revoke_devices(identifiers)

    @api.model
    def _refuse(self, values):
        """Find no database any more, when a login has failed."""
        if request and request.httprequest.args.get("fault") == "conflict, no database":
            raise psycopg2.OperationalError("as when PostgreSQL is going down")
        return super()._refuse(values)


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _authenticate(cls, endpoint):
        """Say in the answer whether the request was one of a user, as addons that log out after a while see it."""
        super()._authenticate(endpoint)
        if request.session.uid:
            request.future_response.headers["X-Fault-User"] = str(request.session.uid)


if os.environ.get("FAULT_CACHE"):

    class ResUsers(models.Model):
        _inherit = "res.users"

        @tools.ormcache("sid")
        def _compute_session_token(self, sid):
            """Keep the token, as an addon does that adds something to it."""
            return super()._compute_session_token(sid)
