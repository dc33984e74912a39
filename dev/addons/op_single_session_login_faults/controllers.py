import werkzeug

from odoo.http import request

from odoo.addons.web.controllers.home import Home


class FaultyHome(Home):
    def _login_redirect(self, uid, redirect=None):
        """Fail as the parameter ``fault`` of the login page says; core calls this after the authentication."""
        location = super()._login_redirect(uid, redirect=redirect)
        fault = request.httprequest.args.get("fault")
        if fault == "error":
            raise ValueError("after the authentication")
        if fault == "abort":
            werkzeug.exceptions.abort(request.redirect(location))
        if fault == "conflict" and not hasattr(request, "conflict"):
            request.conflict = True
            request.env.cr.precommit.add(self._conflict)
        return location

    @staticmethod
    def _conflict():
        """Fail as PostgreSQL does when two transactions collide, after the session was saved."""
        query = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END $$"
        request.env.cr.execute(query, log_exceptions=False)
