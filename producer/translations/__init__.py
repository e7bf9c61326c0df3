"""Translations of the page into the reader's language (gettext).

English is the text itself, but for sentences that name options and commands; the others are `*.po` beside this. A text
without a translation stays English; `make translations` lists them.
"""

from __future__ import annotations

import io
from functools import cache
from importlib import resources
from typing import Final

from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

#: Languages of the page. The first one is used if the reader asks for none of these.
LANGUAGES: Final = ("en", "ru")


@cache
def translations(language: str) -> NullTranslations:
    """Returns the translations of a language of `LANGUAGES`.

    They are compiled in memory, so that nothing has to be built.
    """
    compiled = io.BytesIO()
    write_mo(compiled, catalog(language))
    compiled.seek(0)
    return Translations(compiled)


@cache
def catalog(language: str) -> Catalog:
    """Returns the catalogue of the page itself (`ru.po`) and of phrases (`ru.phrases.po`)."""
    whole = Catalog(locale=language)
    for kind in ("", ".phrases"):
        name = resources.files(__name__) / f"{language}{kind}.po"
        if kind or language != LANGUAGES[0]:
            for message in read_po(io.BytesIO(name.read_bytes()), locale=language):
                if message.id:
                    whole[message.id] = message
    return whole


def language_of(wanted: str, cookie: str, header: str) -> str:
    """Chooses the language: clicked now, clicked before, or the browser's choice (RFC 9110 §12.5.4). Pure."""
    for one in (wanted, cookie):
        if one in LANGUAGES:
            return one
    asked = [one.partition(";")[0].strip().replace("-", "_") for one in header.split(",") if one.strip()]
    found = Locale.negotiate([one for one in asked if one.replace("_", "").isalnum()], LANGUAGES)
    return str(found.language) if found else LANGUAGES[0]
