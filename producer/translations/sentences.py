"""Recognition of English sentences that hold names and numbers, by their templates. Pure.

The sentences come as text: from a worker through Redis, from a stored rehearsal, or from an error of another module. So
the text is matched against the templates of the catalogue, and the values in its places are put into the translation.
The name of a place says what may stand there:

    num             a number, which also decides the plural form
    said            words of a server: shown as the server said them
    what, why       a sentence of mailhaul; with any other text the template does not fit
    cause           a sentence of mailhaul, else words of a server or of the system
    word, rows      one or more words of mailhaul, or names
    field           a column of the manifest; nothing else fits
    size            "3.4 GB", "500 messages"
    span            "40 s", "12 min", "3 h", "2 days"
    day             "2024-02-01", "2024-02-01 12:00 UTC"
    option, url     "--source-ca", "imaps://host:993"
    any other       a name, a host, an address: shown as it is

If a sentence has two places of a kind, the kind stands last in the name: `most_size`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_PLACE = re.compile(r"\{(\w+)\}")
#: Texts that follow a sentence, and therefore occur in no name.
_ENDS: Final = ("; ", " (the server said: ")
#: Patterns of values, for the kinds that have one.
_FORMS: Final = {
    "num": re.compile(r"[0-9]{1,3}(?:,?[0-9]{3})*|[0-9]{1,15}"),
    "option": re.compile(r"--[a-z-]+"),
    "url": re.compile(r"\S+://\S+"),
    "place": re.compile(r"\S+"),
    "span": re.compile(r"[0-9]+ (?:s|min|h|days)"),
    "host": re.compile(r"\S+"),
}
#: Places where several sentences may stand.
LONG: Final = frozenset(("what", "why", "cause", "said"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """A recognised text."""

    #: The template: the msgid for gettext.
    one: str
    #: The template's plural; "" if it holds no number.
    many: str
    #: The value in each of its places.
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Template:
    #: See `Fit`.
    one: str
    #: See `Fit`.
    many: str
    #: The fixed texts before, between and behind the places.
    texts: tuple[str, ...]
    #: Names of the places.
    places: tuple[str, ...]

    def fit(self, text: str) -> dict[str, str] | None:
        """Returns the value in each place; None if the text does not fit.

        Takes linear time: each fixed text is searched for behind the one before it.
        """
        first, last = self.texts[0], self.texts[-1]
        if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
            return None
        at, end, values = len(first), len(text) - len(last), {}
        for name, piece in zip(self.places, (*self.texts[1:-1], ""), strict=True):
            found = text.find(piece, at + 1, end) if piece else end
            value = text[at:found]
            form = _FORMS.get(name.rpartition("_")[2])
            whole = name in LONG or not any(end in value for end in _ENDS)
            if found <= at or (form and not form.fullmatch(value)) or not whole:
                return None
            values[name] = value
            at = found + len(piece)
        return values


class Sentences:
    """The templates of the catalogues. `known` holds pairs of (template, its plural or "")."""

    def __init__(self, known: Iterable[tuple[str, str]]) -> None:
        self._whole: dict[str, Fit] = {}
        templates = []
        for one, many in known:
            for text in filter(None, (one, many)):
                pieces = _PLACE.split(text)
                if len(pieces) > 1:
                    places = tuple(pieces[1::2])
                    templates.append(_Template(one=one, many=many, texts=tuple(pieces[::2]), places=places))
                else:
                    self._whole[text] = Fit(one=one, many=many, values={})
        # The template with the most fixed text comes first.
        self._templates = sorted(templates, key=lambda one: -sum(map(len, one.texts)))

    def fits(self, text: str) -> Iterator[Fit]:
        """Yields the templates that the text may come from, the likeliest first; nothing if it fits none."""
        if text in self._whole:
            yield self._whole[text]
        else:
            for template in self._templates:
                if (values := template.fit(text)) is not None:
                    yield Fit(one=template.one, many=template.many, values=values)
