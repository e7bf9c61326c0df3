"""The texts that have no translation, which no page may show. `make translations` lists them."""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from producer.translations import LANGUAGES, catalog
from shared.wording.phrases import PLACE
from tests.web.spoken import phrases, shown
from tests.web.test_words import without_translation

OTHERS: Final = [language for language in LANGUAGES if language != "en"]
#: A phrase without a word of its own needs no translation.
_WORD: Final = re.compile("[A-Za-z]{2,}")


@cache
def missing(language: str) -> dict[str, str]:
    """Returns each text without a translation → where it stands.

    Phrases that only the command line or the API says need none, and are listed all the same: nobody has to decide.
    """
    found = dict.fromkeys(without_translation(language), "the page")
    found |= {
        text: place
        for text, place in phrases().items()
        if text not in catalog(language) and _WORD.search(PLACE.sub("", text))
    }
    return found


def in_english(language: str) -> dict[str, str]:
    """Returns each text that a page of this language would show in English → where it stands."""
    files = set(shown())
    known = missing(language).items()
    return {text: place for text, place in known if place == "the page" or place.partition(":")[0] in files}


if __name__ == "__main__":
    for language in OTHERS:
        for text, place in sorted(missing(language).items(), key=lambda one: one[1]):
            print(f"{language}: {place}: {text}")
