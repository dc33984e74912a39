import os
import signal

import werkzeug

from odoo.api import Environment
from odoo.http import Controller, request, route
from odoo.modules.registry import Registry
from odoo.service import security

from odoo.addons.web.controllers.home import Home


def kill_worker():
    os.kill(os.getpid(), signal.SIGKILL)


class FaultyHome(Home):
    def _login_redirect(self, uid, redirect=None):
        """Fail as the parameter ``fault`` of the login page says; core calls this after the authentication."""
        location = super()._login_redirect(uid, redirect=redirect)
        fault = request.httprequest.args.get("fault")
        if fault == "error":
            raise ValueError("after the authentication")
        if fault == "abort":
            werkzeug.exceptions.abort(request.redirect(location))
        if fault in ("conflict", "conflict, no database") and not hasattr(request, "conflict"):
            request.conflict = True
            request.env.cr.precommit.add(self._conflict)
        if fault == "foreign":
            self._ask_other_database(uid)
        if fault == "killed before the commit":
            request.env.cr.precommit.add(kill_worker)
        if fault == "killed before the cleanup":
            request.env.cr.postcommit.add(kill_worker)  # older than the cleanup
        return location

    @staticmethod
    def _ask_other_database(uid):
        """Ask another database for the token of the session that this login has opened.

        Odoo 17.0 does so at a JSON login to another database than the cookie's.
        """
        request._save_session()
        with Registry(request.httprequest.args["other"]).cursor() as cr:
            Environment(cr, uid, {})["res.users"].browse(uid)._compute_session_token(request.session.sid)

    @staticmethod
    def _conflict():
        """Fail as PostgreSQL does when two transactions collide, after the session was saved."""
        query = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END $$"
        request.env.cr.execute(query, log_exceptions=False)


class OtherLogins(Controller):
    """Log in as public addons do that know Odoo's sessions: barcodes, codes sent by mail, REST services."""

    @route("/fault/login", type="http", auth="public")
    def login(self, login, way):
        """Log in without a password, in one of the ways that public addons have."""
        session, env = request.session, request.env
        # sudo - res.users: as those addons find the user of a barcode
        user = env["res.users"].sudo().search([("login", "=", login)])
        if way == "token":
            session.uid, session.login = user.id, login
            session.session_token = security.compute_session_token(session, env)
        elif way == "finalize":
            session["pre_login"], session["pre_uid"] = login, user.id
            session.finalize(env)
            session.should_rotate = False
        elif way == "no token":
            session.uid = user.id
        return str(user.id)

    @route("/fault/program", type="http", auth="none")
    def program(self, login):
        """Serve a program that sends no cookie, as a decorator of a REST service does."""
        # sudo - res.users: as that decorator finds the user of its token
        user = request.env["res.users"].sudo().search([("login", "=", login)])
        request.session.uid = user.id
        request.session.session_token = user._compute_session_token(request.session.sid)
        return str(user.id)
