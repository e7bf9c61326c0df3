"""Estimates the time left as a range, from what is left, the latest rates and the limits on rates. Pure.

A mailbox reports its size when a worker plans it. Mailboxes not yet planned are assumed to be as large as the average
of the others, and make the range wider. With too few planned mailboxes there is no estimate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from producer.coordinator.pace import EARLY_SECONDS, Window
from shared.model import Import, Mailbox, Stranded, Tally, Wave
from shared.nouns import dataclass

#: Number of parts of the window whose rates are compared.
_PARTS: Final = 3
#: Smallest half-width of the range, as a part of the estimate.
_DOUBT: Final = 0.1
#: Width that is added where no mailbox is counted; with some counted it is less.
_DOUBT_UNCOUNTED: Final = 0.5
#: Number or part of the mailboxes that must be counted before the others are assumed to be like them.
_ENOUGH, _ENOUGH_SHARE = 5, 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """The work that is still to be done."""

    #: Messages without an outcome, in counted mailboxes.
    messages: int
    #: Bytes of these messages.
    size_bytes: int
    #: All messages of counted mailboxes.
    known_messages: int
    #: Bytes of these messages.
    known_bytes: int
    #: Mailboxes that are counted.
    counted: int
    #: Mailboxes that are not yet counted.
    uncounted: int
    #: Mailboxes that are counted and not yet complete.
    at_work: int
    #: True if the counts are all that the mailboxes hold. A later pass counts only what an earlier one left.
    first_pass: bool
    #: Work that waits for a silent worker's lease to expire.
    stranded: Stranded
    #: Messages whose bytes are still to be compared.
    to_compare: int = 0
    #: Least time in seconds that the limits on rates, the hours and the waves allow.
    floor_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Caps:
    """The limits that a forecast of this import has to keep: rates, hours and waves."""

    #: ForecastLimits that the operator set, by scope.
    given: Mapping[str, int] = field(default_factory=dict)
    #: Usual limits, by server.
    usual: Mapping[str, int] = field(default_factory=dict)
    #: The waves of the import.
    waves: Sequence[Wave] = ()
    #: The time of day, seconds since the epoch.
    now: float = 0.0
    #: The end that was forecast last, for an import whose mailboxes are too many to be looked at each time; 0 for none.
    foreseen_at: float = 0.0

    def held_back(self, import_: Import) -> bool:
        """Tells whether anything but speed decides how long it takes."""
        rates = any("." in name.partition(":")[0] for name in (*self.given, *self.usual))
        return bool(rates or import_.window or any(w.window or w.starts_at > self.now for w in self.waves))

    def seconds(
        self, import_: Import, tally: Tally, rows: Iterable[tuple[Mailbox, Tally]], plain: float = 0.0
    ) -> float:
        """Returns the seconds that are left under the limits: `plain`, without them, where they cost nothing.

        It is simulated (`producer.forecast`), mailbox by mailbox. Without `rows` the whole import counts as one, to which
        no account's limit applies, and it ends no earlier than it was forecast to last.
        """
        # Loaded here: most imports have no limits, and are only looked at.
        from producer.forecast.gathering import FASTEST, limits_from, loads_of, of_hosts, one_load, slower, unlimited
        from producer.forecast.simulation import simulated

        loads = loads_of(rows, self.now)
        limits = replace(limits_from(import_, self.waves, self.given, self.usual), lanes=_LANES, paused=False)
        least = 0.0
        if not loads:
            loads, limits, least = [one_load(import_, tally)], of_hosts(limits), self.foreseen_at - self.now
        speed = FASTEST
        if plain > 0 and (free := simulated(loads, replace(unlimited(limits), speed=speed)).known) > 0:
            speed = slower(speed, plain / free)
        return max(least, simulated(loads, replace(limits, speed=speed), self.now).known)


#: Lanes that are assumed where only the limits are asked for.
_LANES: Final = 64
NO_CAPS: Final = Caps()


def eta(left: Left, window: Window) -> float | None:
    """Returns the seconds that are probably left; None when it is too early to tell.

    Nothing moves at a silent worker before its leases expire. Where all that is left waits for them, the copying comes
    after that time.
    """
    ways = _ways(left, window)
    if not ways:
        known = left.counted and (not left.uncounted or _enough(left))
        return left.floor_seconds if known and left.floor_seconds > 0 else None
    working, waiting = max(ways), left.stranded.seconds
    behind = left.messages and left.stranded.messages >= left.messages
    return max(left.floor_seconds, working + waiting if behind else max(working, waiting))


def _ways(left: Left, window: Window) -> list[float]:
    """Returns the seconds by messages, by bytes and by mailboxes, as far as each can be estimated.

    Many small messages are limited by the server, few large ones by the line, and mailboxes with nothing new by signing
    in.
    """
    if window.seconds < EARLY_SECONDS:
        return []
    ways = []
    likely = left.uncounted / left.counted if left.counted else 0.0
    if not left.uncounted or (left.first_pass and _enough(left)):
        messages = left.messages + left.to_compare + likely * left.known_messages
        size_bytes = left.size_bytes + likely * left.known_bytes
        if messages and window.messages_per_second > 0:
            ways.append(messages / window.messages_per_second)
            if window.bytes_per_second > 0 and left.size_bytes:
                ways.append(size_bytes / window.bytes_per_second)
        elif not messages and not left.uncounted:
            ways.append(0.0)
    if window.mailboxes_per_second > 0 and (left.uncounted or not left.messages):
        ways.append((left.uncounted + left.at_work) / window.mailboxes_per_second)
    return ways


def _enough(left: Left) -> bool:
    return left.counted >= min(_ENOUGH, _ENOUGH_SHARE * (left.counted + left.uncounted)) and left.known_messages > 0


def eta_range(left: Left, window: Window) -> tuple[float, float] | None:
    """Returns (at least, at most) seconds; None when it is too early to tell.

    The range covers the fastest and the slowest part of the window.
    """
    whole = eta(left, window)
    if whole is None:
        return None
    doubt = _DOUBT + _DOUBT_UNCOUNTED * left.uncounted / max(1, left.uncounted + left.counted)
    found = [whole * (1 - doubt), whole * (1 + doubt)]
    # Without a rate the limits alone tell, as of a wave that begins later.
    if left.uncounted and (ways := _ways(left, window)):
        found.append(min(ways))
    size = window.seconds / _PARTS
    if size >= EARLY_SECONDS:
        for at in range(_PARTS):
            began = window.samples[0].at + at * size
            part = replace(window, samples=tuple(s for s in window.samples if began <= s.at <= began + size))
            again = eta(left, part)
            if again is not None:
                found.append(again)
    return max(left.floor_seconds, min(found)), max(found)
