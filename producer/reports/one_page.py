"""The report of one page, for those who pay: per wave what is done and left, what blocks it, forecast and reality.

It is HTML that needs nothing but itself and prints on one sheet, or CSV for a spreadsheet of the reader's country: with a
BOM, and the separator that goes with its decimal sign. No login is in it.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from functools import cache
from typing import Final

from babel.numbers import get_decimal_symbol
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from producer.forecast.outlook import Score
from producer.notices.wording import Reader
from producer.show.report import safe_cell
from shared.model import Failure, Mailbox, Tally
from shared.model.lifecycle import MailboxState
from shared.nouns import dataclass

#: The columns of the CSV.
HEADS: Final = (
    "Wave",
    "Mailboxes",
    "Done",
    "Left",
    "Wait for a person",
    "Messages",
    "Bytes",
    "Forecast",
    "End",
    "Later by",
    "Cause",
    "Who must act",
)
#: Beginning of a failure's code → who must act; the first that fits counts.
_ACTORS: Final[Mapping[str, str]] = {
    "source_auth": "whoever has the passwords of the source",
    "destination_auth": "whoever has the passwords of the destination",
    "credentials": "whoever has the passwords",
    "source_logins": "whoever has the passwords of the source",
    "destination_logins": "whoever has the passwords of the destination",
    "account_": "the administrator of the accounts",
    "source_": "the operator of the source",
    "destination_": "the operator of the destination",
    "": "the administrator of the migration",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingGroup:
    """Mailboxes of a wave that wait for a person, by one cause."""

    #: The failure.
    failure: Failure
    #: Their number.
    mailboxes: int

    @property
    def actor(self) -> str:
        """The people who must act, in English."""
        return next(who for begins, who in _ACTORS.items() if self.failure.code.startswith(begins))


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveLine:
    """The figures of one wave, of what has none, or of the whole import."""

    #: The wave; "" for what has none.
    name: str
    #: Its mailboxes by state.
    states: Mapping[MailboxState, int]
    #: Messages and bytes, as far as they are counted, and the bytes that are done.
    messages: int
    size_bytes: int
    done_bytes: int
    #: The first forecast, and what came of it; None without one.
    score: Score | None
    #: The latest forecast, seconds since the epoch; 0 without one.
    now_at: float
    #: The obstacle.
    blocked: tuple[WaitingGroup, ...] = ()

    @property
    def mailboxes(self) -> int:
        """The number of its mailboxes."""
        return sum(self.states.values())

    @property
    def done(self) -> int:
        """The number of those that are complete."""
        return self.states.get(MailboxState.COMPLETE, 0)

    @property
    def waiting(self) -> int:
        """The number of those that wait for a person."""
        return self.states.get(MailboxState.PARKED, 0)

    @property
    def left(self) -> int:
        """The number of those that go on by themselves."""
        return self.mailboxes - self.done - self.waiting - self.states.get(MailboxState.CANCELLED, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class OnePage:
    """The content of the report."""

    #: The import's name, the word for its state, and both servers.
    name: str
    word: str
    source: str
    destination: str
    #: When the report was made, seconds since the epoch.
    made_at: float
    #: The whole import.
    whole: WaveLine
    #: Its waves, and what has none; empty where there are no waves.
    waves: tuple[WaveLine, ...] = ()
    #: The limit that binds, in words.
    binds: tuple[str, ...] = field(default=())


@dataclass(slots=True)
class _Sums:
    """The sums of a line, while its mailboxes are read."""

    states: Counter[MailboxState] = field(default_factory=Counter)
    messages: int = 0
    size_bytes: int = 0
    done_bytes: int = 0
    failures: dict[str, Failure] = field(default_factory=dict)
    numbers: Counter[str] = field(default_factory=Counter)

    def add(self, mailbox: Mailbox, tally: Tally) -> None:
        """Adds a mailbox."""
        self.states[mailbox.state] += 1
        self.messages += tally.messages
        self.size_bytes += tally.size_bytes
        self.done_bytes += tally.done_bytes
        if mailbox.state is MailboxState.PARKED and mailbox.failure:
            self.failures.setdefault(mailbox.failure.code, mailbox.failure)
            self.numbers[mailbox.failure.code] += 1

    def line(self, name: str, score: Score | None, now_at: float) -> WaveLine:
        """Returns the line."""
        blocked = (WaitingGroup(failure=self.failures[code], mailboxes=num) for code, num in self.numbers.most_common())
        return WaveLine(
            name=name,
            states=self.states,
            messages=self.messages,
            size_bytes=self.size_bytes,
            done_bytes=self.done_bytes,
            score=score,
            now_at=now_at,
            blocked=tuple(blocked),
        )


def lines_of(
    rows: Iterable[tuple[Mailbox, Tally]], scores: Sequence[Score], now_at: Mapping[str, float], whole_at: float
) -> tuple[WaveLine, tuple[WaveLine, ...]]:
    """Returns the line of all rows, and those of the waves in their order of appearance. `now_at`: the latest forecast by wave."""
    all_, by_wave = _Sums(), defaultdict[str, _Sums](_Sums)
    for mailbox, tally in rows:
        for sums in (all_, by_wave[mailbox.wave]):
            sums.add(mailbox, tally)
    known = {score.wave: score for score in scores}
    whole = all_.line("", known.get(""), whole_at)
    if set(by_wave) <= {""}:
        return whole, ()
    named = sorted(by_wave, key=lambda wave: not wave)
    return whole, tuple(
        by_wave[wave].line(wave, known.get(wave) if wave else None, now_at.get(wave, 0.0)) for wave in named
    )


class ReaderSheet:
    """The report in the reader's language and time zone."""

    def __init__(self, page: OnePage, language: str, zone: str) -> None:
        self.page, self.reader = page, Reader(language, zone)

    def html(self) -> str:
        """Returns the page as HTML."""
        return _template().render(page=self.page, sheet=self, reader=self.reader, say=self.reader.say)

    def csv(self) -> bytes:
        """Returns the table as CSV: a line for each wave, and below it one for each cause that blocks it."""
        say, text = self.reader.say, io.StringIO(newline="")
        comma = get_decimal_symbol(self.reader.language) == ","
        writer = csv.writer(text, delimiter=";" if comma else ",")
        writer.writerow([say(head) for head in HEADS])
        for line in (*self.page.waves, self.page.whole):
            name = self.name(line)
            writer.writerow(
                [
                    safe_cell(name),
                    line.mailboxes,
                    line.done,
                    line.left,
                    line.waiting,
                    line.messages,
                    line.size_bytes,
                    self.forecast(line),
                    self.end(line),
                    self.off(line),
                    "",
                    "",
                ]
            )
            for one in line.blocked if line.name or not self.page.waves else ():
                cause, actor = safe_cell(self.cause(one)), safe_cell(say(one.actor))
                writer.writerow([safe_cell(name), "", "", "", one.mailboxes, "", "", "", "", "", cause, actor])
        return b"\xef\xbb\xbf" + text.getvalue().encode()

    def name(self, line: WaveLine) -> str:
        """Names a line."""
        if line is self.page.whole:
            return self.reader.say("All")
        return line.name or self.reader.say("without a wave")

    def state(self) -> str:
        """Says where the import stands."""
        return self.reader.state(self.page.word)

    def forecast(self, line: WaveLine) -> str:
        """Says what was forecast first."""
        return self.reader.moment(line.score.forecast_at) if line.score and line.score.forecast_at else ""

    def end(self, line: WaveLine) -> str:
        """Says when it ended, or what is forecast now."""
        if line.score and line.score.ended_at:
            return self.reader.moment(line.score.ended_at)
        if not line.left or not line.now_at:
            return ""
        return self.reader.say("forecast now: %(moment)s", moment=self.reader.moment(line.now_at))

    def off(self, line: WaveLine) -> str:
        """Says how much longer it took than was forecast: a part of that, or minutes where that was little."""
        late, off = (line.score.late_seconds, line.score.off) if line.score else (None, None)
        if late is None or off is not None:
            return "" if off is None else f"{off:+.0%}"
        return f"{'-' if late < 0 else '+'}{self.reader.duration(abs(late))}"

    def cause(self, one: WaitingGroup) -> str:
        """Says what blocks a mailbox, without naming anybody."""
        return self.reader.unnamed(self.reader.cause(one.failure.code, one.failure.sentence))


@cache
def _template() -> Template:
    loader = PackageLoader("producer.reports", ".")
    env = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return env.get_template("one_page.html")
