"""The actions of administrators that end sessions."""

from functools import partial

from odoo import _, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.http import request

from odoo.addons.base.models.res_users import check_identity

from . import session_store
from .client import get_ip_address
from .op_single_session_login import call_in_new_transaction


def show_notification(message):
    """Return an action that shows a message and reloads the records of the page."""
    return {
        "type": "ir.actions.client",
        "tag": "display_notification",
        "params": {
            "type": "success",
            "message": message,
            "next": {"type": "ir.actions.client", "tag": "soft_reload"},
        },
    }


def check_administrator(env):
    """Make sure that the current user may end sessions.

    :raise AccessError: for all but administrators with the *Access Rights* role
    """
    if not env.user.has_group("base.group_erp_manager"):
        raise AccessError(_('Only administrators with the "Access Rights" role can end sessions.'))


def prepare_end(env):
    """Return the values for the entry of a session that the current user ends as an administrator."""
    return {"end_reason": "administrator", "end_date": fields.Datetime.now(), "ended_by_user_id": env.uid}


class OpSingleSessionLogin(models.Model):
    _inherit = "op.single.session.login"

    def action_end(self):
        """End the active ones of these sessions.

        :return: an action that asks for the administrator's password or says how many were ended
        :raise AccessError: for all but administrators with the *Access Rights* role
        :raise UserError: if the administrator's current session is among them, or none is active
        """
        return self._get_endable()._end_by_administrator()

    @check_identity
    def _end_by_administrator(self):
        entries = self._get_endable()  # once more: a newer login may have come before the password
        # sudo - op.single.session.login: users may not write the login log
        entries = entries.sudo()
        entries.write({"refused": True, **prepare_end(self.env)})
        address = get_ip_address(request.httprequest.remote_addr)
        self.env.cr.postcommit.add(partial(call_in_new_transaction, entries._clean_up_ended, address))
        return show_notification(_("Sessions ended: %(count)d", count=len(entries)))

    def _get_endable(self):
        check_administrator(self.env)
        if request and session_store.get_identifier(request.session.sid) in self.mapped("identifier"):
            raise UserError(_("Your current session is among those selected. Log out to end it."))
        entries = self.filtered("is_active")
        if not entries:
            raise UserError(_("None of the selected sessions is still active."))
        return entries

    def _clean_up_ended(self, address):
        """Clean up after an administrator has ended these sessions, as after a login.

        :param address: the administrator's IP address, None if it is unknown
        """
        self._read_committed()
        for user, entries in self.exists().grouped("user_id").items():
            entries._delete_sessions()
            self._notify_pages(user)
            self.env.cr.postcommit.add(partial(call_in_new_transaction, entries._notify_ended, address))


class ResUsers(models.Model):
    _inherit = "res.users"

    def action_end_all_sessions(self):
        """End all sessions of these users on any machine, also those that no list shows as active.

        :return: an action that asks for the administrator's password, or shows how many users it was
        :raise AccessError: for all but administrators with the *Access Rights* role
        :raise UserError: if the administrator is one of them
        """
        check_administrator(self.env)
        if self.env.user in self:
            raise UserError(_("Your current session is among those selected. Log out to end it."))
        return self._end_all_sessions()

    @check_identity
    def _end_all_sessions(self):
        check_administrator(self.env)
        # sudo - op.single.session.login: users may not write the login log
        log = self.env["op.single.session.login"].sudo()
        address = get_ip_address(request.httprequest.remote_addr)
        for user in self:
            # like a login that opens no session: it ends everything that is older
            values = {"exclusive": True, "login_date": fields.Datetime.now(), "ip_address": address}
            entry = log._insert([{"user_id": user.id, **values, **prepare_end(self.env)}])
            self.env.cr.postcommit.add(partial(call_in_new_transaction, entry._clean_up))
        return show_notification(_("Users whose sessions were ended: %(count)d", count=len(self)))
