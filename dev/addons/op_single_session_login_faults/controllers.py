import contextlib
import logging
import os
import signal

import werkzeug

from odoo.api import Environment
from odoo.http import Controller, request, route
from odoo.modules.registry import Registry
from odoo.service import security

from odoo.addons.web.controllers.home import Home

_logger = logging.getLogger(__name__)


def kill_worker():
    os.kill(os.getpid(), signal.SIGKILL)


def wait_for_test(key):
    """Wait until a test releases its advisory lock."""
    _logger.info("WAITING for %s", key)
    with Registry(request.db).cursor() as cr:
        cr.execute("SELECT pg_advisory_xact_lock(%s)", [int(key)])


def collide():
    """Fail as PostgreSQL does when two transactions collide."""
    query = "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'serialization_failure'; END $$"
    request.env.cr.execute(query, log_exceptions=False)


class FaultyHome(Home):
    def _login_redirect(self, uid, redirect=None):
        """Fail as the parameter ``fault`` of the login page says; core calls this after the authentication."""
        location = super()._login_redirect(uid, redirect=redirect)
        match request.httprequest.args.get("fault"):
            case "error":
                raise ValueError("after the authentication")
            case "abort":
                werkzeug.exceptions.abort(request.redirect(location))
            case "conflict" if not hasattr(request, "conflict"):
                request.conflict = True
                request.env.cr.precommit.add(collide)  # after the session was saved
            case "foreign":
                self._ask_other_database(uid)
            case "killed before the commit":
                request.env.cr.precommit.add(kill_worker)
            case "killed before the cleanup":
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


class OtherLogins(Controller):
    """Log in as public addons do that know Odoo's sessions: barcodes, codes sent by mail, REST services."""

    @route("/fault/login", type="http", auth="public")
    def login(self, login, way):
        """Log in without a password, in one of the ways that public addons have."""
        session, env = request.session, request.env
        # sudo - res.users: as those addons find the user of a barcode
        user = env["res.users"].sudo().search([("login", "=", login)])
        if way in ("finalize", "finalize over"):
            session["pre_login"], session["pre_uid"] = login, user.id
            session.finalize(env)
            session.should_rotate = way == "finalize over"
        elif way == "no token":
            session.uid = user.id
        else:
            session.uid, session.login = user.id, login
            session.session_token = security.compute_session_token(session, env)
        if way == "impersonate":
            session.should_rotate = True
        if way == "abort":
            werkzeug.exceptions.abort(request.make_response(str(user.id)))
        return str(user.id)

    @route("/fault/sso", type="http", auth="fault")
    def sso(self, **_parameters):
        """Log in as the authentication of the route does."""
        return str(request.session.uid)

    @route("/fault/program", type="http", auth="none")
    def program(self, login):
        """Serve a program that sends no cookie, as a decorator of a REST service does."""
        # sudo - res.users: as that decorator finds the user of its token
        user = request.env["res.users"].sudo().search([("login", "=", login)])
        request.session.uid = user.id
        request.session.session_token = user._compute_session_token(request.session.sid)
        return str(user.id)


class OtherRoutes(Controller):
    """Do with open sessions what public addons do."""

    @route("/fault/rotate", type="http", auth="user")
    def rotate(self, lock):
        """Give the session a new id, some time after the request has come."""
        wait_for_test(lock)
        request.session.should_rotate = True
        return "rotated"

    @route("/fault/logout", type="http", auth="user", save_session=False)
    def logout(self):
        """Log out for this request alone."""
        request.session.logout()
        return "logged out"

    @route("/fault/repeated", type="http", auth="none", save_session=False)
    def repeated(self):
        """Collide with another transaction, and return the session's user when Odoo repeats the request."""
        if not hasattr(request, "repeated"):
            request.repeated = True
            collide()
        return str(request.session.uid)

    @route("/fault/rolled_back", type="http", auth="user")
    def rolled_back(self, login):
        """End a user's sessions in every way, and roll all of it back."""
        # sudo - res.users: the test's user may not do this
        user = request.env["res.users"].sudo().search([("login", "=", login)])
        log = request.env["op.single.session.login"].sudo()
        for end in (
            lambda: log.search([("user_id", "=", user.id)])._end("administrator", None),
            lambda: log._end_all(user),
            lambda: user.write({"password": "another"}),
        ):
            with contextlib.suppress(ValueError), request.env.cr.savepoint():
                end()
                raise ValueError
        return "rolled back"
