import logging
import os

from odoo import models, tools
from odoo.http import request

from .controllers import kill_worker, wait_for_test

_logger = logging.getLogger(__name__)


class OpSingleSessionLogin(models.Model):
    _inherit = "op.single.session.login"

    def _delete_sessions(self):
        """Die in the middle of the cleanup, when the files are deleted and no page is notified."""
        super()._delete_sessions()
        if request and request.httprequest.args.get("fault") == "killed in the cleanup":
            kill_worker()


class IrHttp(models.AbstractModel):
    _inherit = "ir.http"

    @classmethod
    def _match(cls, path_info):
        """Log that the session of a request is loaded, before this addon checks it and the body is read."""
        if request.httprequest.args.get("fault") == "held back":
            _logger.info("LOADED %s", path_info)
        return super()._match(path_info)

    @classmethod
    def _authenticate(cls, endpoint):
        """Say in the answer whether the request was one of a user, as addons that log out after a while see it."""
        super()._authenticate(endpoint)
        if request.httprequest.args.get("fault") == "held back":
            _logger.info("AUTHENTICATED %s", request.httprequest.path)
        if request.session.uid:
            request.future_response.headers["X-Fault-User"] = str(request.session.uid)

    @classmethod
    def _auth_method_fault(cls):
        """Log in a user, as an addon for single sign-on does."""
        # sudo - res.users: as such an addon finds the user
        user = request.env["res.users"].sudo().search([("login", "=", request.httprequest.args["login"])])
        request.session.uid, request.session.login = user.id, user.login
        request.session.session_token = user._compute_session_token(request.session.sid)
        cls._auth_method_public()

    @classmethod
    def _post_dispatch(cls, response):
        """Wait before the session is saved, as long as a test holds a lock."""
        if request.httprequest.args.get("held"):
            wait_for_test(request.httprequest.args["held"])
        return super()._post_dispatch(response)


class IrWebsocket(models.AbstractModel):
    _inherit = "ir.websocket"

    def _subscribe(self, og_data):
        """Log which user subscribes."""
        _logger.info("SUBSCRIBED user=%s", self.env.uid)
        return super()._subscribe(og_data)


if os.environ.get("FAULT_CACHE"):

    class ResUsers(models.Model):
        _inherit = "res.users"

        @tools.ormcache("sid")
        def _compute_session_token(self, sid):
            """Keep the token, as an addon does that adds something to it."""
            return super()._compute_session_token(sid)


if os.environ.get("FAULT_SAVEPOINT"):

    class ResUsers(models.Model):
        _inherit = "res.users"

        def _compute_session_token(self, sid):
            """Write something, as an addon does that must not fail the login."""
            token = super()._compute_session_token(sid)
            with self.env.cr.savepoint():
                self.env.flush_all()
            return token
