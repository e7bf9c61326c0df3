"""Sentences and texts of servers in the reader's language.

A sentence of mailhaul is worded by its code and its parameters, and the name of a place says what stands there:

    num             a number, which also decides the plural form
    said            words of a server: shown as the server said them
    what, why, rows a sentence of mailhaul, or a text that is shown as it is
    cause           a sentence of mailhaul, else words of a server or of the system
    word            a word of mailhaul, or a name
    state, guard, act, role  a state of a mailbox or a cutover; a guard or an event of a cutover; a role
    field           a column of the manifest, or the label of the sentence's own field
    size            "3.4 GB", "500 messages"
    span            "40 s", "12 min", "3 h", "2 days"
    day             "2024-02-01", "2024-02-01 12:00 UTC"
    any other       a name, a host, an address, an option: shown as it is

If a sentence has two places of a kind, the kind stands last in the name: `most_size`. A server's words are marked, and
left as they are. All is text: nothing in it becomes markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from time import time
from typing import Final

from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_decimal
from babel.support import NullTranslations
from markupsafe import Markup, escape

from producer.translations import said, translations
from shared.wording.phrases import Fault, FaultsFound, FieldName, Parameter, Sentence, ServerWords, option, text_of

_PLACE: Final = re.compile(r"\{(\w+)\}")
_SIZE: Final = re.compile(r"([\d,]+(?:\.\d+)?) (bytes|kB|MB|GB|TB|messages|ms|s|min|h|days)")
_DAY: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:( \d\d:\d\d(?::\d\d)?) UTC)?")
_QUOTED: Final = Markup('<q class="said" lang="" translate="no">{}</q>')
_DAY_AND_TIME: Final = ((format_date, "medium"), (format_time, "short"))
#: Seconds up to which a moment is just now.
_JUST_NOW: Final = 51
#: Kinds of places in which a text that is no sentence may be what the system says.
_OURS: Final = ("what", "why", "cause", "rows")


class Translator:
    """The translation into one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words: NullTranslations = translations(language)
        self._kinds: Mapping[str, Callable[[str], Markup | None]] = {
            "num": lambda text: escape(self.number(int(text.replace(",", "")))),
            "said": self.quoted,
            "size": self._size,
            "span": self._span,
            "day": self._day,
            "field": lambda text: escape(self.word(said.FIELDS[text])) if text in said.FIELDS else None,
            "word": lambda text: escape(self.word(text)),
            "state": self._labelled(said.ON_PAGE | said.CUTOVERS),
            "guard": self._labelled(said.GUARDS),
            "act": self._labelled(said.CUTOVER_ACTS),
            "role": lambda text: escape(self.word(said.ROLES.get(text, text)).partition(":")[0]),
        }

    def word(self, text: str) -> str:
        """Translates a word or sentence of the catalogue; an unknown one is returned as it is."""
        return self._words.gettext(text) if text else ""

    def some(self, one: str, many: str, number: int) -> str:
        """Translates a text with a number, grouped as the language does, in place of `%(num)s`."""
        return self._words.ngettext(one, many, number).replace("%(num)s", self.number(number))

    def number(self, value: float) -> str:
        """Formats a number: 1,234 or 1 234."""
        return format_decimal(value, locale=self.language)

    def moment(self, at: float) -> Markup:
        """Formats date and time, given in seconds since the epoch.

        The browser shows its own zone (`static/times.js`).
        """
        if not at:
            return Markup("–")
        return self._time(at, "moment", self._utc(at))

    def ago(self, at: float) -> Markup:
        """Formats how long ago or in how long, in whole minutes at least, with the exact moment in the title.

        The browser keeps it up to date (`static/times.js`).
        """
        if not at:
            return Markup("–")
        seconds = at - time()
        text = self.word("just now")
        if abs(seconds) >= _JUST_NOW:
            text = format_timedelta(
                timedelta(seconds=seconds), granularity="minute", add_direction=True, locale=self.language
            )
        return self._time(at, "ago", text)

    def hour(self, at: float) -> Markup:
        """Formats the time of day alone, with seconds."""
        when = datetime.fromtimestamp(at, UTC)
        return self._time(at, "hour", f"{format_time(when, 'medium', locale=self.language)} UTC")

    def quoted(self, text: str) -> Markup:
        """Marks words of a server as quoted, with an unknown language (HTML: `lang=""`)."""
        return _QUOTED.format(text)

    def sentence(self, text: str) -> Markup:
        """Words a sentence of mailhaul. Any other text is shown as it is: an older version may have kept it."""
        return _or(self.known(text), text)

    def told(self, what: str | Exception) -> list[Markup]:
        """Words each fault of an error, or each line of a text."""
        if isinstance(what, FaultsFound):
            return [self.fault(fault) for fault in what.faults]
        text = text_of(what) if isinstance(what, Exception) else what
        return list(map(self.sentence, [text] if isinstance(text, Sentence) else text.splitlines()))

    def fault(self, fault: Fault) -> Markup:
        """Words a fault, with the label of its field."""
        heads = escape(" / ".join(dict.fromkeys(filter(None, map(self.label, fault.fields)))))
        phrase = fault.sentence.phrase
        text = self.worded(fault.sentence, heads)
        return heads + ": " + text if fault.under(heads, self._words.gettext(phrase.text)) else text

    def worded(self, sentence: Sentence, field: Markup | str = "") -> Markup:
        """Words a sentence by its code; `field` is the label of its own field."""
        text, num = sentence.phrase.text, str(sentence.parameters.get("num", "")).replace(",", "")
        message = self._words.ngettext(text, text, int(num)) if num.isdecimal() else text
        pieces = enumerate(_PLACE.split(self._words.gettext(text) if message == text else message))
        values = {"field": escape(field)}
        values |= {place: self._parameter(place, value) for place, value in sentence.parameters.items()}
        return Markup("").join(values[piece] if at % 2 else escape(piece) for at, piece in pieces)

    def label(self, path: str) -> str:
        """Returns the label of a field of a request; "" for one that the page shows without."""
        known = said.HEADS.get(option(path).removeprefix("--")) or said.HEADS.get(path.partition(".")[0], "")
        return self.word(known)

    def _parameter(self, place: str, value: Parameter) -> Markup:
        """Words the value in a place of a phrase: by its type, and a plain text by the kind of its place."""
        if isinstance(value, Sentence):
            return self.worded(value)
        if isinstance(value, FieldName):
            return escape(self.label(value) or value)
        if isinstance(value, ServerWords):
            return self.quoted(value)
        kind = place.rpartition("_")[2]
        found = self.known(str(value)) if kind in _OURS else self._kinds.get(kind, _plain)(str(value))
        return _or(found, self.quoted(str(value)) if kind == "cause" else str(value))

    def heard(self, text: str) -> Markup:
        """Words a sentence of mailhaul. Each line of any other text is marked as a server's words."""
        known = self.known(text)
        return Markup("\n").join(map(self.quoted, text.splitlines())) if known is None else known

    def known(self, text: str) -> Markup | None:
        """Words a sentence of mailhaul, or what the system says of a file or a connection; None for any other text."""
        if isinstance(text, Sentence):
            return self.worded(text)
        return escape(self.word(text)) if text in said.SYSTEM else None

    def _labelled(self, labels: Mapping[str, str]) -> Callable[[str], Markup]:
        """Returns what names a code by its label, another text by itself."""
        return lambda text: escape(self.word(labels.get(text.replace(" ", "_"), text)))

    def _size(self, text: str) -> Markup | None:
        if not (found := _SIZE.fullmatch(text)):
            return None
        amount = float(found[1].replace(",", ""))
        if found[2] == "messages":
            return escape(self.some("%(num)s message", "%(num)s messages", int(amount)))
        return escape(f"{self.number(amount)}\u00a0{self.word(found[2])}")

    def _span(self, text: str) -> Markup | None:
        amount, _, unit = text.partition(" ")
        return escape(f"{self.number(int(amount))}\u00a0{self.word(unit)}") if amount.isdecimal() and unit else None

    def _day(self, text: str) -> Markup | None:
        if not (found := _DAY.fullmatch(text)):
            return None
        try:
            when = datetime.fromisoformat(f"{found[1]}{found[2] or ''}+00:00" if found[2] else found[1])
        except ValueError:
            return None
        if found[2]:
            return self.moment(when.timestamp())
        return escape(format_date(when, "medium", locale=self.language))

    def _utc(self, at: float) -> str:
        when = datetime.fromtimestamp(at, UTC)
        day, time = (form(when, length, locale=self.language) for form, length in _DAY_AND_TIME)
        return f"{day}, {time} UTC"

    def _time(self, at: float, shown: str, text: str) -> Markup:
        when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        tag = Markup('<time datetime="{}" data-shown="{}" title="{}">{}</time>')
        return tag.format(when, shown, self._utc(at), text)


def _plain(text: str) -> Markup:
    return escape(text)


def _or(found: Markup | None, text: str | Markup) -> Markup:
    return escape(text) if found is None else found
