import os

from odoo import http

from . import controllers, models


def _strip_session_store():
    """Take the method away that the session stores of some addons do not have."""
    if os.environ.get("FAULT_STORE") == "bare" and hasattr(http.FilesystemSessionStore, "delete_from_identifiers"):
        del http.FilesystemSessionStore.delete_from_identifiers
