"""Words a notice for its reader: a subject and lines, in the reader's language and time zone. Pure.

English is the text itself; the others stand in `*.po` beside this module. What causes and advice are called is the page's
(`producer.translations`).
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib import resources
from typing import Any, Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from producer.translations import LANGUAGES
from producer.translations.said import ADVICE, CAUSES, ON_PAGE
from producer.translations.translate import Translator
from shared.content.json_text import read_json
from shared.model.notices import Notice
from shared.nouns import dataclass
from shared.wording.phrases import LINES, parts

#: A name of a person: anything with an "@" in it.
_LOGIN: Final = re.compile(r"[^\s\"'(),:;<>]*@[^\s\"'(),:;<>]*")
#: Categories of Unicode that a line does not hold: controls, and ends of lines and paragraphs.
_NO_LINE: Final = ("Cc", "Zl", "Zp")
#: State of an import or a wave → what happened, with its name in front.
_STATES: Final[Mapping[str, str]] = {
    "running": "%(what)s: it has begun",
    "complete": "%(what)s: complete",
    "incomplete": "%(what)s: at its end, and something is left to do",
    "cancelled": "%(what)s: cancelled",
}
#: State of a cutover → what it is called.
_CUTOVERS: Final[Mapping[str, str]] = {
    "drafted": "drafted",
    "checked": "checked",
    "staging": "staging",
    "synced": "synced",
    "announced": "announced",
    "switched": "switched",
    "draining": "draining",
    "closed": "closed",
    "rolled_back": "rolled back",
}
_UNITS: Final = (("min", 5400, 60), ("h", 172_800, 3600), ("days", float("inf"), 86_400))


@dataclass(frozen=True, kw_only=True, slots=True)
class Wording:
    """The words that a reader is told."""

    #: One line.
    subject: str
    #: The lines below it.
    lines: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The subject and the lines."""
        return "\n".join((self.subject, *self.lines))


@cache
def _translations(language: str) -> NullTranslations:
    if language == LANGUAGES[0]:
        return NullTranslations()
    text = (resources.files(__package__) / f"{language}.po").read_bytes()
    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(text), locale=language))
    compiled.seek(0)
    return Translations(compiled)


_translator = cache(Translator)


class Reader:
    """The language and the time zone of who reads."""

    def __init__(self, language: str, zone: str) -> None:
        self.language, self._zone = language, ZoneInfo(zone)
        self._words, self._page = _translations(language), _translator(language)

    def say(self, text: str, **values: object) -> str:
        """Says a sentence, with its values in their places."""
        return self._words.gettext(text) % values if values else self._words.gettext(text)

    def some(self, one: str, many: str, number: float, **values: object) -> str:
        """Says a sentence about a number, which stands for `%(num)s`."""
        return self._words.ngettext(one, many, int(number)) % {"num": self.number(number), **values}

    def number(self, value: float) -> str:
        """Writes a whole number: 1,234 or 1 234."""
        return self._page.number(int(value))

    def moment(self, at: float) -> str:
        """Writes a day and a time as the reader's clocks show it, with the zone."""
        when = datetime.fromtimestamp(at, self._zone)
        return f"{format_datetime(when, 'd MMM y, HH:mm', locale=self.language)} ({self._zone.key})"

    def day(self, at: float) -> str:
        """Writes a day."""
        return format_date(datetime.fromtimestamp(at, self._zone), "long", locale=self.language)

    def duration(self, seconds: float) -> str:
        """Writes a time: 40 min, 3 h, 2 days."""
        unit, divisor = next((unit, divisor) for unit, below, divisor in _UNITS if seconds < below)
        return f"{self.number(max(1, round(seconds / divisor)))}\u00a0{self.say(unit)}"

    def size(self, size_bytes: float) -> str:
        """Writes bytes: 3.4 GB."""
        unit = "bytes"
        for unit in ("bytes", "kB", "MB", "GB", "TB"):
            if size_bytes < 1000 or unit == "TB":
                break
            size_bytes /= 1000
        return f"{self._page.number(round(size_bytes, 1 if unit != 'bytes' else 0))}\u00a0{self._page.word(unit)}"

    def state(self, word: str) -> str:
        """Names the state of an import."""
        return self._page.word(ON_PAGE.get(word, word))

    def cause(self, code: str, sentence: str) -> str:
        """Says what a failure means, without a full stop."""
        known = CAUSES.get(code)
        return (self._page.word(known) if known else self.sentence(sentence)).rstrip(".")

    def advice(self, code: str, sentence: str) -> str:
        """Says what to do about it."""
        known = ADVICE.get(code)
        return self._page.word(known) if known else self.sentence(sentence)

    def sentence(self, text: str) -> str:
        """Translates a sentence of mailhaul; words of a server stay as they are."""
        return str(self._page.heard(text).striptags())

    def unnamed(self, text: str) -> str:
        """Leaves out whatever names a person."""
        return _LOGIN.sub("…", text)

    def what(self, name: str, wave: str) -> str:
        """Names an import, or a wave of it."""
        return (
            self.say("wave %(wave)s of import %(name)s", wave=wave, name=name)
            if wave
            else self.say("import %(name)s", name=name)
        )


def worded(notice: Notice, language: str, zone: str, logins: Sequence[str] | None = None) -> Wording:
    """Words the notice. Without `logins` (None) it names nobody, whatever the sentences in it say."""
    reader = Reader(language, zone)
    found = _WORDERS[notice.kind](notice, reader)
    if logins is None:
        hidden = [_LOGIN.sub("…", line) for line in (found.subject, *found.lines)]
        return Wording(subject=_line(hidden[0]), lines=tuple(hidden[1:]))
    if logins and notice.mailbox_ids:
        named = reader.say("These are: %(logins)s", logins=", ".join(logins))
        found = Wording(subject=found.subject, lines=(*found.lines, named))
    return Wording(subject=_line(found.subject), lines=found.lines)


def _line(text: str) -> str:
    """Returns the text as one line, which ends no header."""
    return "".join(" " if unicodedata.category(char) in _NO_LINE else char for char in text).strip()


def _state(notice: Notice, reader: Reader) -> Wording:
    values, what = notice.values, reader.what(notice.name, notice.wave)
    word = str(values.get("word", ""))
    subject = reader.say(_STATES[word], what=what) if word in _STATES else f"{what}: {reader.state(word)}"
    return Wording(subject=subject, lines=(*_counts(values, reader), reader.moment(notice.at)))


def _cutover(notice: Notice, reader: Reader) -> Wording:
    word = str(notice.values.get("word", ""))
    called = reader.say(_CUTOVERS[word]) if word in _CUTOVERS else word
    subject = reader.say("%(what)s: the cutover is %(word)s", what=reader.what(notice.name, notice.wave), word=called)
    said = [reader.sentence(_text(value)) for name, value in notice.values.items() if name.startswith("said")]
    return Wording(subject=subject, lines=(*said, *_counts(notice.values, reader), reader.moment(notice.at)))


def _person(notice: Notice, reader: Reader) -> Wording:
    values = notice.values
    subject = reader.some(
        "%(what)s: %(num)s mailbox waits for a person",
        "%(what)s: %(num)s mailboxes wait for a person",
        float(values.get("mailboxes", 1)),
        what=reader.what(notice.name, notice.wave),
    )
    code = str(values["code"])
    cause, advice = reader.cause(code, _text(values.get("sentence", ""))), _text(values.get("advice", ""))
    return Wording(subject=subject, lines=(cause, *filter(None, [reader.advice(code, advice)])))


def _still(notice: Notice, reader: Reader) -> Wording:
    values, since = notice.values, float(notice.values["since"])
    what = reader.what(notice.name, notice.wave)
    subject = reader.say("%(what)s: nothing has moved for %(time)s", what=what, time=reader.duration(notice.at - since))
    causes = [reader.sentence(line) for line in parts(_text(values.get("cause", "")), LINES)]
    unknown = reader.say("No cause is known: see mailhaul status and mailhaul doctor.")
    return Wording(
        subject=subject, lines=(reader.say("Since %(moment)s", moment=reader.moment(since)), *(causes or [unknown]))
    )


def _slipped(notice: Notice, reader: Reader) -> Wording:
    values, what = notice.values, reader.what(notice.name, notice.wave)
    then, now = float(values["then"]), float(values["now"])
    subject = reader.say("%(what)s: the end is forecast %(time)s later", what=what, time=reader.duration(now - then))
    lines = [
        reader.say(
            "Forecast on %(made)s: %(then)s", made=reader.moment(float(values["made_at"])), then=reader.moment(then)
        ),
        reader.say("Forecast now: %(now)s", now=reader.moment(now)),
    ]
    lines += [reader.sentence(line) for line in parts(_text(values.get("binds", "")), LINES)]
    return Wording(subject=subject, lines=tuple(lines))


def _digest(notice: Notice, reader: Reader) -> Wording:
    subject = reader.say("mailhaul: where everything stands on %(day)s", day=reader.day(notice.at))
    rows: list[dict[str, Any]] = read_json(str(notice.values.get("rows", "[]")))
    lines: list[str] = []
    for row in rows:
        head = reader.say(_STATES.get(row["word"], "%(what)s"), what=reader.what(row["name"], row.get("wave", "")))
        lines += ["", head, *(f"  {line}" for line in _counts(row, reader))]
    return Wording(subject=subject, lines=tuple(lines[1:]) or (reader.say("No import is there."),))


def _test(notice: Notice, reader: Reader) -> Wording:
    return Wording(
        subject=reader.say("mailhaul: a test message"),
        lines=(reader.say("Whoever reads this is told what was asked for."), reader.moment(notice.at)),
    )


def _counts(values: Mapping[str, Any], reader: Reader) -> list[str]:
    """Says the numbers that a notice has, each in a line."""
    lines: list[str] = []
    if "mailboxes" in values:
        done = reader.number(float(values.get("complete", 0)))
        lines.append(
            reader.some(
                "%(done)s of %(num)s mailbox is complete",
                "%(done)s of %(num)s mailboxes are complete",
                float(values["mailboxes"]),
                done=done,
            )
        )
    if values.get("parked"):
        lines.append(
            reader.some(
                "%(num)s mailbox waits for a person", "%(num)s mailboxes wait for a person", float(values["parked"])
            )
        )
    if values.get("messages"):
        size = reader.size(float(values.get("size_bytes", 0)))
        lines.append(
            reader.some("%(num)s message, %(size)s", "%(num)s messages, %(size)s", float(values["messages"]), size=size)
        )
    if values.get("ends_at"):
        lines.append(reader.say("The end is forecast for %(moment)s", moment=reader.moment(float(values["ends_at"]))))
    return lines


_WORDERS: Final = {
    "state": _state,
    "cutover": _cutover,
    "person": _person,
    "still": _still,
    "slipped": _slipped,
    "digest": _digest,
    "test": _test,
}


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else str(value)
