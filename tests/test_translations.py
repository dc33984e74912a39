import io
import re

import polib

from odoo.release import version_info
from odoo.tests.common import TransactionCase, tagged
from odoo.tools.misc import file_path
from odoo.tools.translate import trans_export

# The languages, and the words that are the same in English: translation files leave them empty.
LANGUAGES = {
    "ar": set(),
    "de": {"(%s s)", "Browser", "ID"},
    "es": {"(%s s)", "ID"},
    "fr": {"(%s s)", "Active", "Exclusive", "ID", "Sessions"},
    "hi": set(),
    "it": {"(%s s)", "Browser", "ID"},
    "nl": {"(%s s)", "Browser", "ID", "Platform"},
    "pt_BR": {"(%s s)", "ID"},
}


@tagged("post_install", "-at_install")
class TestTranslations(TransactionCase):
    def read_po(self, name):
        return {entry.msgid: entry for entry in polib.pofile(file_path(f"op_single_session_login/i18n/{name}"))}

    def test_template_has_all_terms(self):
        file = io.BytesIO()
        trans_export(None, ["op_single_session_login"], file, "po", self.env if version_info >= (19,) else self.env.cr)
        exported = {entry.msgid for entry in polib.pofile(file.getvalue().decode())}
        template = set(self.read_po("op_single_session_login.pot"))
        self.assertFalse(exported - template)
        if version_info >= (19,):  # the one that the template is made with
            self.assertEqual(exported, template)

    def test_languages_are_complete(self):
        template = self.read_po("op_single_session_login.pot")
        for language, same_words in LANGUAGES.items():
            entries = self.read_po(f"{language}.po")
            self.assertEqual(set(entries), set(template), language)
            for term, entry in entries.items():
                self.assertFalse(entry.fuzzy or entry.obsolete, (language, term))
                self.assertTrue(entry.msgstr or term in same_words, (language, term))
                holders = [sorted(re.findall(r"%\(\w+\)\w|</?\w+>", text)) for text in (term, entry.msgstr or term)]
                self.assertEqual(*holders, (language, term))
