"""What the page says, in the reader's language (gettext). English is the text itself; others are `*.po` beside this."""

from __future__ import annotations

import io
from functools import cache
from importlib import resources
from typing import Final

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

#: The first one is for who asks for another.
LANGUAGES: Final = ("en", "ru")


@cache
def translations(language: str) -> NullTranslations:
    """Of a language of `LANGUAGES`; compiled in memory, so that nothing has to be built."""
    if language == LANGUAGES[0]:
        return NullTranslations()
    text = (resources.files(__name__) / f"{language}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(text), locale=language))
    compiled.seek(0)
    return Translations(compiled)


def language_of(wanted: str, cookie: str, header: str) -> str:
    """What was clicked, else what was clicked before, else what the browser asks for (RFC 9110 §12.5.4). Pure."""
    for one in (wanted, cookie):
        if one in LANGUAGES:
            return one
    asked = [one.partition(";")[0].strip().replace("-", "_") for one in header.split(",") if one.strip()]
    found = Locale.negotiate([one for one in asked if one.replace("_", "").isalnum()], LANGUAGES)
    return str(found.language) if found else LANGUAGES[0]
