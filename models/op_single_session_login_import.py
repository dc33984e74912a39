"""Entries for sessions that no login has registered."""

from odoo import api, fields, models

from . import devices, session_store


class OpSingleSessionLogin(models.Model):
    _inherit = "op.single.session.login"

    @api.model
    def _import_stored_sessions(self):
        """Add entries for the sessions in the store that are older than the addon: the next login ends them."""
        sessions = dict(session_store.iter_logged_in(self.env.cr.dbname))
        users = set(self.env["res.users"].browse(set(sessions.values())).exists().ids)
        now = fields.Datetime.now()
        self._insert(
            [
                {"user_id": uid, "identifier": identifier, "login_date": now}
                for identifier, uid in sessions.items()
                if uid in users
            ]
        )

    @api.model
    def _import_devices(self, user):
        """Add entries for the user's sessions that have a device alone, for the login to end them."""
        unknown = devices.find_unknown(self.env, user)
        self._insert([{"user_id": user.id, **device} for device in unknown])

    @api.model
    def _reserve_id(self):
        """Return the id that an unregistered session gets should it come back: all later logins are newer."""
        self.env.cr.execute("SELECT nextval('op_single_session_login_id_seq')")
        return self.env.cr.fetchone()[0]

    @api.model
    def _import_session(self, uid, identifier, reserved_id):
        """Add an entry for an unregistered session that has come back; it ends no other.

        :return: as ``_is_ended``
        """
        now = fields.Datetime.now()
        self._insert([{"id": reserved_id, "user_id": uid, "identifier": identifier, "login_date": now}])
        return self._is_ended(identifier)
