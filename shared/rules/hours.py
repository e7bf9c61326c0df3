"""The hours in which an import may work: ``Mon-Fri 20:00-06:00; Sat-Sun Europe/Berlin``.

Pure: the moment is a parameter.

Times are those of the clocks in the named zone, and a part's days are those on which it begins. Where the clocks are
changed, a time that comes twice means the first one, and a time that is left out means the moment that it would have
been without the change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from shared.nouns import dataclass
from shared.wording.phrases import Phrase

DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MINUTES: Final = 24 * 60
#: Days that are looked at: two back, since a window may have begun earlier, and two weeks ahead, since a weekly window
#: may fall out once.
_BEFORE, _AHEAD = 2, 16
_SPAN = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_DAY = re.compile(r"[a-z]{2,9}(?:-[a-z]{2,9})?(?:,[a-z]{2,9}(?:-[a-z]{2,9})?)*", re.IGNORECASE)
_LONGEST: Final = 300
EXAMPLE: Final = Phrase(
    "n_20_00_06_00", '"20:00-06:00 Europe/Berlin" or "Mon-Fri 20:00-06:00; Sat-Sun Europe/Berlin"'
).says()

NO_HOURS: Final = Phrase("hours_empty", "give hours and a time zone, as in {example}")
NO_ZONE: Final = Phrase("hours_without_zone", "{zone} is no time zone: end with one, as in {example}")
ZONE_ALONE: Final = Phrase("hours_zone_alone", "no hours are given before {zone}; write {example}")
NO_PART: Final = Phrase("hours_unknown", "{word} is neither days nor hours; write {example}")
NO_SPAN: Final = Phrase("hours_no_span", "{word} is no span of hours: from 00:00 to 24:00, as in 20:00-06:00")
NO_DAY: Final = Phrase("hours_no_day", "{word} is no day of the week; write {names}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A time window, on some days of the week."""

    #: Days on which it begins, 0 for Monday.
    days: frozenset[int]
    #: When it begins, minutes after midnight.
    begins: int
    #: When it ends, minutes after the midnight on which that day began: up to 48 hours.
    ends: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A time span, seconds since the epoch; the end is outside."""

    #: The beginning.
    opens_at: float
    #: The end.
    shuts_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Hours:
    """All time windows, in one zone."""

    #: The text as a person wrote it, with single blanks.
    text: str
    #: The zone's name, as in "Europe/Berlin".
    zone: str
    #: The windows.
    parts: tuple[Part, ...]

    def span(self, now: float) -> Span:
        """Returns the span that `now` lies in, or the next. Windows that touch are one."""
        opens = shuts = float("-inf")
        for one in sorted(self._spans(now), key=lambda one: one.opens_at):
            if one.opens_at > shuts:
                if shuts > now:
                    break
                opens = one.opens_at
            shuts = max(shuts, one.shuts_at)
        return Span(opens_at=opens, shuts_at=shuts)

    def open_until(self, now: float) -> float | None:
        """Returns when the window shuts, or None while it is shut."""
        span = self.span(now)
        return span.shuts_at if span.opens_at <= now else None

    def shut_until(self, now: float) -> float | None:
        """Returns when the window opens, or None while it is open."""
        span = self.span(now)
        return span.opens_at if span.opens_at > now else None

    def clock(self, moment: float, *, far: bool = False) -> str:
        """Writes a moment as the zone's clocks show it: "20:00 (Europe/Berlin)"; with the day when it is `far`."""
        shown = datetime.fromtimestamp(moment, ZoneInfo(self.zone))
        return f"{shown:{'%a %d %b %H:%M' if far else '%H:%M'}} ({self.zone})"

    def _spans(self, now: float) -> Iterator[Span]:
        zone = ZoneInfo(self.zone)
        today = datetime.fromtimestamp(now, zone).date()
        for ahead in range(-_BEFORE, _AHEAD):
            day = today + timedelta(days=ahead)
            for part in self.parts:
                if day.weekday() in part.days:
                    opens, shuts = _moment(day, part.begins, zone), _moment(day, part.ends, zone)
                    if opens < shuts:  # else it lies in the hour that the change of clocks leaves out
                        yield Span(opens_at=opens, shuts_at=shuts)


#: The value for no hours: the import may always work.
ALWAYS: Final = Hours(text="", zone="UTC", parts=())


def _moment(day: date, minutes: int, zone: ZoneInfo) -> float:
    day += timedelta(days=minutes // _MINUTES)
    minutes %= _MINUTES
    return datetime.combine(day, time(minutes // 60, minutes % 60), zone).astimezone(UTC).timestamp()


def read_hours(text: str) -> Hours:
    """Reads hours as a person writes them, or "none".

    Raises `UsageError` that says what is wrong and how it is written.
    """
    words = text.split()
    if text.strip().lower() == "none":
        return ALWAYS
    if not words or len(text) > _LONGEST or not text.isprintable():
        raise NO_HOURS.error(example=EXAMPLE)
    *said, zone = words
    try:
        name = ZoneInfo(zone).key
    except (ValueError, OSError, KeyError):
        if spans := _SPAN.fullmatch(zone):  # the zone was left out: hours that are none are the greater fault
            _minutes(zone, *map(int, spans.groups()))
        raise NO_ZONE.error(zone=repr(zone), example=EXAMPLE) from None
    parts = [_part(part.split()) for part in " ".join(said).split(";") if part.strip()]
    if not parts:
        raise ZONE_ALONE.error(zone=zone, example=EXAMPLE)
    return Hours(text=" ".join(words), zone=name, parts=tuple(part for some in parts for part in some))


def _part(words: list[str]) -> list[Part]:
    days: set[int] = set()
    spans = []
    for word in words:
        if found := _SPAN.fullmatch(word.rstrip(",")):
            spans.append(_minutes(word, *map(int, found.groups())))
        elif _DAY.fullmatch(word.rstrip(",")) and not spans:
            days |= _days(word.rstrip(","))
        else:
            raise NO_PART.error(word=repr(word), example=EXAMPLE)
    on = frozenset(days or range(7))
    return [Part(days=on, begins=begins, ends=ends) for begins, ends in spans or [(0, _MINUTES)]]


def _minutes(word: str, hour: int, minute: int, to_hour: int, to_minute: int) -> tuple[int, int]:
    begins, ends = hour * 60 + minute, to_hour * 60 + to_minute
    if max(minute, to_minute) > 59 or begins >= _MINUTES or ends > _MINUTES or begins == ends:
        raise NO_SPAN.error(word=repr(word))
    return begins, ends if ends > begins else ends + _MINUTES


def _days(word: str) -> set[int]:
    found: set[int] = set()
    for one in word.split(","):
        first, _, last = one.partition("-")
        low, high = _day(first), _day(last or first)
        found |= {day % 7 for day in range(low, high + 1 + (7 if high < low else 0))}
    return found


def _day(word: str) -> int:
    for number, name in enumerate(DAYS):
        if word[:3].title() == name and name_of(number).startswith(word.lower()):
            return number
    raise NO_DAY.error(word=repr(word), names=", ".join(DAYS))


def name_of(day: int) -> str:
    """Returns the day's whole name, in lower case."""
    return ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")[day]
