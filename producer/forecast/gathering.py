"""Gathers what a forecast needs from the rows of an import: loads and limits. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    lanes = max(1, min(_LANES, USUAL_WORTH.lanes(int(messages), int(size_bytes))))
    return Load(
        name=name,
        messages=messages,
        size_bytes=size_bytes,
        fresh=fresh,
        line=line,
        priority=priority,
        keys=keys,
        lanes=lanes,
        ready_in=ready_in,
    )


def loads_of(rows: Iterable[tuple[Mailbox, Tally]], now: float) -> list[Load]:
    """Returns what is left of these mailboxes; those that are settled are left out.

    One that is not counted yet is taken to be as large as the average of the others.
    """
    rows = list(rows)
    counted = [tally for mailbox, tally in rows if mailbox.state not in _UNCOUNTED or tally.messages]
    number = max(1, len(counted))
    average = sum(one.messages for one in counted) / number, sum(one.size_bytes for one in counted) / number
    found = []
    for mailbox, tally in rows:
        if mailbox.state in SETTLED:
            continue
        fresh = mailbox.state in _UNCOUNTED
        left = float(tally.pending), float(max(0, tally.size_bytes - tally.done_bytes))
        if fresh and not tally.messages:
            left = average
        failure = mailbox.failure
        due = failure.next_at if failure and failure.code == "rate_waiting" and not mailbox.over_at else 0.0
        found.append(
            load_of(
                mailbox.mailbox_id,
                *left,
                mailbox.source,
                mailbox.destination,
                fresh=fresh,
                line=mailbox.wave,
                priority=mailbox.priority,
                ready_in=max(0.0, due - now),
            )
        )
    return found


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
