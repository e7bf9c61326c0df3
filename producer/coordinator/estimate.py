"""How long it takes still, as a range: from what is left, how fast it went lately, and the rates that are set. Pure.

Mailboxes say how much they hold when it is their turn. Those that did not yet are taken for as large as the others on
average, and make the range wider; when hardly any did, it is too early to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from producer.coordinator.pace import EARLY_SECONDS, Window
from shared.model import Account, Import, Mailbox, Stranded, Tally
from shared.rates import DAY_SECONDS, most_of

#: Parts of the window whose rates are compared.
_PARTS: Final = 3
#: Nobody knows better than this: the range is at least so wide on both sides.
_DOUBT: Final = 0.1
#: And so much wider where no mailbox but a few is counted.
_DOUBT_UNCOUNTED: Final = 0.5
#: Mailboxes, or part of them, that must be counted before the others are taken to be like them.
_ENOUGH, _ENOUGH_SHARE = 5, 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """What there is still to do."""

    #: Messages without an outcome, of mailboxes that are counted.
    messages: int
    #: Their bytes.
    size_bytes: int
    #: All messages of mailboxes that are counted.
    known_messages: int
    #: Their bytes.
    known_bytes: int
    #: Mailboxes that are counted.
    counted: int
    #: Mailboxes that are not.
    uncounted: int
    #: Mailboxes that are counted and not yet complete.
    at_work: int
    #: Whether what is counted tells what mailboxes hold; later passes count what an earlier one left.
    first_pass: bool
    #: What waits for a worker that is silent.
    stranded: Stranded
    #: Messages whose bytes are still to be compared.
    to_compare: int = 0
    #: Seconds below which the rates that are set do not let it end.
    floor_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Caps:
    """Rates that are set, as `shared.rates.most_of` reads them."""

    #: What a person set, by scope.
    given: Mapping[str, int] = field(default_factory=dict)
    #: What is usual, by server.
    usual: Mapping[str, int] = field(default_factory=dict)

    def seconds(self, request: Import, tally: Tally, rows: Iterable[tuple[Mailbox, Tally]]) -> float:
        """How long the rates make it last at least: of both hosts for all that is left, of each account for its own."""
        if not any("." in name for name in (*self.given, *self.usual)):
            return 0.0
        found = [
            self._of(f"{side}_host", host, tally.pending, tally.size_bytes - tally.done_bytes)
            for side, host in (("source", request.source.host), ("destination", request.destination.host))
            if host
        ]
        for mailbox, own in rows:
            for side, account in (("source", mailbox.source), ("destination", mailbox.destination)):
                left = own.size_bytes - own.done_bytes
                found.append(self._of(f"{side}_account", _key(account), own.pending, left))
        return max(found, default=0.0)

    def _of(self, scope: str, key: str, messages: int, size_bytes: int) -> float:
        def most(rate: str) -> int:
            return most_of(f"{scope}.{rate}", key, self.given, self.usual, 0)

        seconds = [0.0]
        if cap := most("messages_per_second"):
            seconds.append(messages / cap)
        if cap := most("bytes_per_second"):
            seconds.append(size_bytes / cap)
        if cap := most("bytes_per_day"):
            seconds.append((size_bytes / cap - 1) * DAY_SECONDS)
        return max(seconds)


NO_CAPS: Final = Caps()


def eta(left: Left, window: Window) -> float | None:
    """Seconds that are probably left; None: too early to say. Nothing is done before the leases that a silent worker holds have
    run out; where all that is left waits for them, the copying comes after that."""
    ways = _ways(left, window)
    if not ways:
        return None
    working, waiting = max(ways), left.stranded.seconds
    behind = left.messages and left.stranded.messages >= left.messages
    return max(left.floor_seconds, working + waiting if behind else max(working, waiting))


def _ways(left: Left, window: Window) -> list[float]:
    """Seconds by messages, by bytes and by mailboxes, as far as each can be told: many small messages wait on the server, few
    large ones on the line, and mailboxes with nothing new on signing in."""
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
    """(At least, at most) seconds; None: too early to say. From how fast it went at its fastest and at its slowest, lately."""
    whole = eta(left, window)
    if whole is None:
        return None
    doubt = _DOUBT + _DOUBT_UNCOUNTED * left.uncounted / max(1, left.uncounted + left.counted)
    found = [whole * (1 - doubt), whole * (1 + doubt), *([min(_ways(left, window))] if left.uncounted else [])]
    size = window.seconds / _PARTS
    if size >= EARLY_SECONDS:
        for at in range(_PARTS):
            began = window.samples[0].at + at * size
            part = replace(window, samples=tuple(s for s in window.samples if began <= s.at <= began + size))
            again = eta(left, part)
            if again is not None:
                found.append(again)
    return max(left.floor_seconds, min(found)), max(found)


def _key(account: Account) -> str:
    return f"{account.endpoint.url}/{account.login}"
