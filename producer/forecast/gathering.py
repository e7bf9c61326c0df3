"""Gathers what a forecast needs from the rows of an import: loads and limits. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from producer.forecast.loads import ForecastLimits, ForecastLine, Load, Speed
from shared.model import Account, Import, Mailbox, Tally, Wave
from shared.model.lifecycle import SETTLED, Control, MailboxState
from shared.model.sides import Scope
from shared.rules.batching import USUAL_WORTH
from shared.rules.hours import ALWAYS, read_hours

#: Two servers near each other, and the speeds that are likely and slow: see `shared.rules.batching.expected_duration`.
FASTEST: Final = Speed(mailbox_seconds=0.5, messages=1_000.0, size_bytes=20e6, together=200e6)
LIKELY: Final = Speed()
SLOWEST: Final = Speed(mailbox_seconds=5.0, messages=25.0, size_bytes=0.5e6, together=10e6)
_UNCOUNTED: Final = (MailboxState.QUEUED, MailboxState.PLANNING)
_LANES: Final = 4
#: Loads that are changed between two rests.
_PIECE: Final = 100
#: More connections than anybody has.
_MANY: Final = 1_000_000


def slower(speed: Speed, factor: float) -> Speed:
    """Returns the speed divided by a factor."""
    return Speed(
        mailbox_seconds=speed.mailbox_seconds * factor,
        messages=speed.messages / factor,
        size_bytes=speed.size_bytes / factor,
        together=speed.together / factor,
    )


def load_of(
    name: str,
    messages: float,
    size_bytes: float,
    source: Account,
    destination: Account,
    *,
    fresh: bool = True,
    line: str = "",
    priority: int = 0,
    ready_in: float = 0.0,
) -> Load:
    """Returns the load of one mailbox."""
    keys = (_key(source), source.endpoint.host, _key(destination), destination.endpoint.host)
    return Load(
        name=name,
        messages=messages,
        size_bytes=size_bytes,
        fresh=fresh,
        line=line,
        priority=priority,
        keys=keys,
        lanes=_lanes(messages, size_bytes),
        ready_in=ready_in,
    )


class ImportLoads:
    """The loads of an import's mailboxes, read piece by piece.

    Of each mailbox only its load is kept: a process that answers requests keeps no second copy of a large import.
    """

    def __init__(self, now: float) -> None:
        self._now = now
        self._loads = list[Load]()
        #: Where in `_loads` the mailboxes are whose size is assumed.
        self._assumed = list[int]()
        self._counted, self._messages, self._bytes = 0, 0, 0
        #: Mailboxes that were read.
        self.mailboxes = 0
        #: Mailboxes that wait for a person.
        self.waiting = 0
        #: Messages with an outcome, and the bytes of what was copied.
        self.moved, self.moved_bytes = 0, 0

    @property
    def assumed(self) -> int:
        """The number of mailboxes whose size is assumed, since no worker has counted them yet."""
        return len(self._assumed)

    def add(self, rows: Iterable[tuple[Mailbox, Tally]]) -> None:
        """Takes the next mailboxes."""
        for mailbox, tally in rows:
            self.mailboxes += 1
            self.waiting += mailbox.state is MailboxState.PARKED
            self.moved += tally.messages - tally.pending
            self.moved_bytes += tally.done_bytes
            fresh = mailbox.state in _UNCOUNTED
            if fresh and not tally.messages:
                self._assumed.append(len(self._loads))
            else:
                self._counted, self._messages = self._counted + 1, self._messages + tally.messages
                self._bytes += tally.size_bytes
            if mailbox.state not in SETTLED:
                self._loads.append(self._left(mailbox, tally, fresh))

    def loads(self, rest: Callable[[], None] = lambda: None) -> list[Load]:
        """Returns what is left of each mailbox that is not settled; one that is not counted is as large as the average."""
        counted = max(1, self._counted)
        messages, size_bytes = self._messages / counted, self._bytes / counted
        lanes = _lanes(messages, size_bytes)
        for number, at in enumerate(self._assumed):
            self._loads[at] = replace(self._loads[at], messages=messages, size_bytes=size_bytes, lanes=lanes)
            if number % _PIECE == 0:
                rest()
        return self._loads

    def _left(self, mailbox: Mailbox, tally: Tally, fresh: bool) -> Load:
        failure = mailbox.failure
        due = failure.next_at if failure and failure.code == "rate_waiting" and not mailbox.over_at else 0.0
        return load_of(
            mailbox.mailbox_id,
            float(tally.pending),
            float(max(0, tally.size_bytes - tally.done_bytes)),
            mailbox.source,
            mailbox.destination,
            fresh=fresh,
            line=mailbox.wave,
            priority=mailbox.priority,
            ready_in=max(0.0, due - self._now),
        )


def loads_of(rows: Iterable[tuple[Mailbox, Tally]], now: float) -> list[Load]:
    """Returns what is left of these mailboxes, as `ImportLoads.loads` does."""
    found = ImportLoads(now)
    found.add(rows)
    return found.loads()


def one_load(import_: Import, tally: Tally) -> Load:
    """Returns all that is left of an import as if it were one mailbox with as many lanes as there are."""
    keys = ("", import_.source.host, "", import_.destination.host)
    left = float(max(0, tally.size_bytes - tally.done_bytes))
    return Load(name="", messages=tally.pending, size_bytes=left, fresh=False, keys=keys, lanes=_MANY)


def limits_from(
    import_: Import,
    waves: Sequence[Wave],
    given: Mapping[str, int],
    usual: Mapping[str, int],
    default: Mapping[str, int] | None = None,
    lanes: int = 16,
    speed: Speed = LIKELY,
) -> ForecastLimits:
    """Returns the limits of an import."""
    lines = {
        wave.name: ForecastLine(
            order=wave.order,
            weight=wave.weight,
            starts_at=wave.starts_at,
            paused=wave.control is Control.PAUSE,
            hours=read_hours(wave.window) if wave.window else ALWAYS,
        )
        for wave in waves
    }
    hours = read_hours(import_.window) if import_.window else ALWAYS
    return ForecastLimits(
        lanes=lanes,
        given=given,
        usual=usual,
        default=default or {},
        hours=hours,
        paused=import_.control is Control.PAUSE,
        lines=lines,
        speed=speed,
    )


def rated(limits: ForecastLimits) -> bool:
    """Tells whether a rate is set, so that more than speed decides how long it takes."""
    every = (limits.given, limits.usual, limits.default)
    return any("." in name.partition(":")[0] and most for some in every for name, most in some.items())


def of_hosts(limits: ForecastLimits) -> ForecastLimits:
    """Returns the limits without those of accounts."""
    given, usual, default = (
        {name: most for name, most in some.items() if "_account" not in name.partition(":")[0]}
        for some in (limits.given, limits.usual, limits.default)
    )
    free = {Scope.SOURCE_ACCOUNT: _MANY, Scope.DESTINATION_ACCOUNT: _MANY}
    return replace(limits, given=given, usual=usual, default=default | free)


def unlimited(limits: ForecastLimits) -> ForecastLimits:
    """Returns only what decides how fast it goes when nothing holds it back: lanes and connections."""
    given, usual, default = (
        {name: most for name, most in some.items() if "." not in name.partition(":")[0]}
        for some in (limits.given, limits.usual, limits.default)
    )
    return replace(limits, given=given, usual=usual, default=default, hours=ALWAYS, lines={}, paused=False)


def _key(account: Account) -> str:
    return f"{account.endpoint.url}/{account.login}"


def _lanes(messages: float, size_bytes: float) -> int:
    return max(1, min(_LANES, USUAL_WORTH.lanes(int(messages), int(size_bytes))))
