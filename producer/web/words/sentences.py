"""Sentences that hold names and numbers, known again by their templates. Pure.

They come as text: from a worker by way of Redis, from a rehearsal that was kept, from an error three floors below. So a
template of a catalogue is looked for that the text fits; its places then take the same values in another language. What a place
is called says what may stand there:

    num             a number, which decides the plural too
    said            what a server said: shown as it said it
    what, why       a sentence of ours; with any other text the template does not fit
    cause           a sentence of ours, else what a server or the system said
    word, rows      a word or words of ours, or names
    field           a column of the manifest; nothing else fits
    size            "3.4 GB", "500 messages"
    day             "2024-02-01", "2024-02-01 12:00 UTC"
    option, url     "--source-ca", "imaps://host:993"
    any other       a name, a host, an address: shown as it is

Where there are two of a kind, the kind stands last: `most_size`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_PLACE = re.compile(r"\{(\w+)\}")
#: What stands behind a sentence, and so in no name.
_ENDS: Final = ("; ", " (the server said: ")
#: What values of a kind look like, where that is known.
_FORMS: Final = {
    "num": re.compile(r"[0-9]{1,3}(?:,?[0-9]{3})*|[0-9]{1,15}"),
    "option": re.compile(r"--[a-z-]+"),
    "url": re.compile(r"\S+://\S+"),
    "place": re.compile(r"\S+"),
    "host": re.compile(r"\S+"),
}
#: Places where several sentences may stand.
LONG: Final = frozenset(("what", "why", "cause", "said"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fit:
    """A text, known again."""

    #: The template: what gettext asks for.
    one: str
    #: The same for several; "" where it has no number.
    many: str
    #: What stands in its places.
    values: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Template:
    #: As in `Fit`.
    one: str
    #: As in `Fit`.
    many: str
    #: Between, before and behind the places.
    texts: tuple[str, ...]
    #: Names of the places.
    places: tuple[str, ...]

    def fit(self, text: str) -> dict[str, str] | None:
        """What stands in the places; None when it does not fit. Linear: each piece is looked for behind the one before it."""
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
    """Those of the catalogues. `known`: (template, the one for several or "")."""

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
        # The one that says most of it itself.
        self._templates = sorted(templates, key=lambda one: -sum(map(len, one.texts)))

    def fits(self, text: str) -> Iterator[Fit]:
        """What the text may be, the likeliest first; nothing when it is none of these."""
        if text in self._whole:
            yield self._whole[text]
        else:
            for template in self._templates:
                if (values := template.fit(text)) is not None:
                    yield Fit(one=template.one, many=template.many, values=values)
