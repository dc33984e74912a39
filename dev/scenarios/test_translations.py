"""The translation files have all terms of the addon."""

import re

import polib
import pytest

from devtools.environment import REPOSITORY
from servers import ENVIRONMENT, odoo, shell

# The languages, and the words that are the same in English: translation files leave them empty.
LANGUAGES = {
    "ar": set(),
    "de": {"(%s s)", "Browser"},
    "es": {"(%s s)"},
    "fr": {"(%s s)", "Exclusive", "Sessions"},
    "hi": set(),
    "it": {"(%s s)", "Browser"},
    "nl": {"(%s s)", "Browser", "Open", "Platform"},
    "pt_BR": {"(%s s)"},
}
# Terms that Odoo translates itself: a text here would replace Odoo's.
ODOO = {"Communication Bus", "Display Name", "HTTP Routing", "ID", "websocket message handling"}


def read_terms(path):
    return {entry.msgid: entry for entry in polib.pofile(str(path))}


@pytest.fixture(scope="module")
def template():
    return read_terms(REPOSITORY / "i18n" / "op_single_session_login.pot")


def test_template(addon_database, template, tmp_path):
    path = tmp_path / "exported.pot"
    odoo("-d", addon_database, script=shell("export_terms", path=str(path)))
    exported = read_terms(path)
    assert set(exported) <= set(template)
    if ENVIRONMENT.series == "19.0":  # the one that the template is made with
        assert set(exported) == set(template)


@pytest.mark.parametrize("language", LANGUAGES)
def test_language(template, language):
    entries = read_terms(REPOSITORY / "i18n" / f"{language}.po")
    assert set(entries) == set(template)
    for term, entry in entries.items():
        assert not entry.fuzzy and not entry.obsolete, term
        assert bool(entry.msgstr) != (term in ODOO | LANGUAGES[language]), term
        placeholders = [sorted(re.findall(r"%\(\w+\)\w|</?\w+>", text)) for text in (term, entry.msgstr or term)]
        assert placeholders[0] == placeholders[1], term
