"""What the page says, in the reader's language (gettext). English is the text itself; others are `*.po` beside this."""

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

from producer.web.words.sentences import Sentences

#: The first one is for who asks for another.
LANGUAGES: Final = ("en", "ru")
#: The shortest thing that mailhaul says of a server.
REFUSED: Final = "refused"


@cache
def translations(language: str) -> NullTranslations:
    """Of a language of `LANGUAGES`; compiled in memory, so that nothing has to be built."""
    if language == LANGUAGES[0]:
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, catalog(language))
    compiled.seek(0)
    return Translations(compiled)


@cache
def catalog(language: str) -> Catalog:
    """Of the page itself (`ru.po`) and of what is said elsewhere (`ru.sentences.po`)."""
    whole = Catalog(locale=language)
    for name in (f"{language}.po", f"{language}.sentences.po"):
        for message in read_po(io.BytesIO((resources.files(__name__) / name).read_bytes()), locale=language):
            if message.id:
                whole[message.id] = message
    return whole


@cache
def our_sentences() -> Sentences:
    """What mailhaul says in English, to be known again."""
    ids = [(one, "") if isinstance(one := message.id, str) else one for message in catalog(LANGUAGES[1])]
    # A single word would be found in whatever a server says.
    return Sentences((one[0], one[1]) for one in ids if " " in one[0] or one[0] == REFUSED)


def language_of(wanted: str, cookie: str, header: str) -> str:
    """What was clicked, else what was clicked before, else what the browser asks for (RFC 9110 §12.5.4). Pure."""
    for one in (wanted, cookie):
        if one in LANGUAGES:
            return one
    asked = [one.partition(";")[0].strip().replace("-", "_") for one in header.split(",") if one.strip()]
    found = Locale.negotiate([one for one in asked if one.replace("_", "").isalnum()], LANGUAGES)
    return str(found.language) if found else LANGUAGES[0]
