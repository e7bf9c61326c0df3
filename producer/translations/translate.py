"""Texts that come from elsewhere, in the reader's language.

Sentences of mailhaul are translated. A server's words are marked and left as they are. Both are text: nothing in them
becomes markup.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import time
from typing import Final

from babel.dates import format_date, format_time, format_timedelta
from babel.numbers import format_decimal
from babel.support import NullTranslations
from markupsafe import Markup, escape

from producer.translations import our_sentences, said, translations
from producer.translations.sentences import Fit
from shared.wording.phrases import PLAIN, Fault, FaultsFound, FieldName, Parameter, Sentence, ServerWords, option

_PLACE: Final = re.compile(r"\{(\w+)\}")
_SIZE: Final = re.compile(r"([\d,]+(?:\.\d+)?) (bytes|kB|MB|GB|TB|messages|s|min|h|days)")
_DAY: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:( \d\d:\d\d(?::\d\d)?) UTC)?")
_QUOTED: Final = Markup('<q class="said" lang="" translate="no">{}</q>')
_DAY_AND_TIME: Final = ((format_date, "medium"), (format_time, "short"))
#: Seconds up to which a moment is just now.
_JUST_NOW: Final = 51
#: Kinds of places that hold sentences of mailhaul.
_OURS: Final = ("what", "why", "cause", "rows")
#: Kinds of places whose value must be recognised, or the template does not fit.
_SURE: Final = ("what", "why", "field")
#: How deep sentences may be nested.
_DEEP: Final = 6
#: Maximum number of sentences in one text, and of parts between "; " that one sentence spans.
_MANY, _JOINED = 20, 3
#: Longer texts are not recognised, since mailhaul writes none.
_LONGEST: Final = 4000
#: Maximum number of texts whose translation is cached.
_KEPT: Final = 4096


class Translator:
    """The translation of English texts into one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words: NullTranslations = translations(language)
        #: Translates a sentence of mailhaul, with a cache; None for any other text.
        self.known = lru_cache(maxsize=_KEPT)(self._known)
        self._kinds: Mapping[str, Callable[[str], Markup | None]] = {
            "num": lambda text: escape(self.number(int(text.replace(",", "")))),
            "said": self.quoted,
            "size": self._size,
            "span": self._span,
            "day": self._day,
            "field": lambda text: escape(self.word(said.FIELDS[text])) if text in said.FIELDS else None,
            "word": lambda text: escape(self.word(text)),
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
        """Translates sentences of mailhaul, line by line. An unknown line is shown as it is."""
        return Markup("\n").join(_or(self.known(line), line) for line in text.splitlines())

    def told(self, what: str | Exception) -> list[Markup]:
        """Words each fault of an error, or translates each line of a text."""
        if isinstance(what, FaultsFound):
            return [self.fault(fault) for fault in what.faults]
        return [self.sentence(line) for line in str(what).splitlines()]

    def fault(self, fault: Fault) -> Markup:
        """Words a fault, with the label of its field."""
        heads = escape(" / ".join(dict.fromkeys(filter(None, map(self.label, fault.fields)))))
        phrase = fault.sentence.phrase
        text = self.worded(fault.sentence, heads)
        return heads + ": " + text if fault.under(heads, self._words.gettext(phrase.text)) else text

    def worded(self, sentence: Sentence, field: Markup | str = "") -> Markup:
        """Words a sentence by its code; `field` is the label of its own field."""
        if sentence.phrase is PLAIN:
            return self._parameter("what", sentence.parameters["what"])
        text, num = sentence.phrase.text, sentence.parameters.get("num")
        message = self._words.ngettext(text, text, num) if isinstance(num, int) else text
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
        """Translates a text that may be a server's, line by line. An unknown line is marked as a server's words."""
        return Markup("\n").join(_or(self.known(line), self.quoted(line)) for line in text.splitlines())

    def _known(self, text: str, deep: int = 0) -> Markup | None:
        """Translates a sentence of mailhaul; None for any other text."""
        if deep > _DEEP or not 0 < len(text) <= _LONGEST:
            return None
        found = self._one(text, deep)
        return self._several(text, deep) if found is None else found

    def _one(self, text: str, deep: int) -> Markup | None:
        """Translates the text as a single sentence; None if it is none."""
        found = self._headed(text, deep)
        for fit in our_sentences().fits(text) if found is None else ():
            if (found := self._filled(fit, deep)) is not None:
                break
        return found

    def _headed(self, text: str, deep: int) -> Markup | None:
        """Translates a sentence with its subject in front: `source: …`, `since: …`."""
        head, colon, rest = text.partition(": ")
        whose = [one.lstrip("-") for one in head.split(" and ")]
        if not colon or not said.HEADS.keys() >= set(whose):
            return None
        known = self.known(rest, deep + 1)
        return None if known is None else escape(" / ".join(self.word(said.HEADS[one]) for one in whose)) + ": " + known

    def _several(self, text: str, deep: int) -> Markup | None:
        """Translates sentences with "; " between them, or one sentence with a server's words behind a colon."""
        parts, told = text.split("; "), list[Markup]()
        while parts and len(told) < _MANY:
            for count in range(min(len(parts), _JOINED), 0, -1):
                found = self._one("; ".join(parts[:count]), deep) if told or count < len(parts) else None
                if found is not None:
                    told.append(found)
                    del parts[:count]
                    break
            else:
                break
        if told and not parts:
            return Markup("; ").join(told)
        head, colon, rest = text.partition(": ")
        first = self.known(head, deep + 1) if colon else None
        return None if first is None else first + ": " + self.quoted(rest)

    def _filled(self, fit: Fit, deep: int) -> Markup | None:
        values: dict[str, Markup] = {}
        for name, text in fit.values.items():
            kind = name.rpartition("_")[2]
            value = self.known(text, deep + 1) if kind in _OURS else self._kinds.get(kind, _plain)(text)
            if value is None and kind in _SURE:
                return None
            values[name] = _or(value, self.quoted(text) if kind == "cause" else text)
        if fit.many:
            message = self._words.ngettext(fit.one, fit.many, int(fit.values["num"].replace(",", "")))
        else:
            message = self._words.gettext(fit.one)
        pieces = enumerate(_PLACE.split(message))
        return Markup("").join(values[piece] if at % 2 else escape(piece) for at, piece in pieces)

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
