"""Rates: how many bytes and messages may be moved in a second or a day, for each account or host, over all workers.

A rate is written like a limit of connections: "source_account.bytes_per_day" for every account at a source,
"source_account.bytes_per_day:imaps://imap.example.org:993/login" for one. 0 is no cap.

A rate is paid afterwards: what a group of messages moves is charged with its intent, and a lane in debt then waits. So
a message of any size passes, and the excess is at most one group, or one large message, of each lane at the account.

- per second: a leaking bucket. Its level grows with what is moved, and drains by the rate; up to `BURST_SECONDS` of the
  rate it delays no lane.
- per day: the bytes of a period of 24 h that begins with the first byte. Once they are all that is allowed, nothing
  more is moved.

Both meters only count, and are compared with the rate when a lane asks: a change of the rate counts at once, for old
debt too. The arithmetic is here and, for the scripts, in `shared/store/lua/_rates.lua`; the store's contract holds both
to the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from shared.model.sides import Side
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

WAITING_UNTIL_NO_MORE: Final = Phrase(
    "waiting_until_no_more", "waiting until {day}: no more than {size} a second may be moved"
)
WAITING_UNTIL_DAY_LIMIT_ALLOWS: Final = Phrase(
    "waiting_until_day_limit_allows", "waiting until {day}: {size} of the {most_size} of 24 hours are used"
)

#: The rates that can be capped, at each of the four scopes of `shared.store.SCOPES`.
RATES: Final = ("bytes_per_second", "messages_per_second", "bytes_per_day")

#: The highest rate that can be set.
MOST_RATE: Final = 10**15

#: Seconds of a rate that may be moved at once.
BURST_SECONDS: Final = 1.0
#: A lane with its connections open waits so long, seconds, for its debt to drain; if that is not enough, it gives the
#: unit back.
PATIENCE_SECONDS: Final = 10.0
DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Meter:
    """The amount that was moved, for one rate at one account or host."""

    #: Per second: bytes or messages that have not drained yet. Per day: bytes since `at`.
    level: float = 0.0
    #: Per second: when `level` was measured. Per day: when the day began. Seconds since the epoch, by the store's
    #: clock.
    at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A debt that a lane has to wait for."""

    #: The rate's name, as in "source_account.bytes_per_day".
    name: str
    #: The wait from now, seconds.
    seconds: float
    #: The end of the wait, seconds since the epoch by the store's clock.
    until: float
    #: The amount that was moved: in a day, or what has not drained yet.
    used: float
    #: The amount that may be moved.
    most: int

    @property
    def rate(self) -> str:
        """The kind of the rate, as in "bytes_per_day"."""
        return self.name.partition(".")[2]

    @property
    def side(self) -> Side:
        """The side of the rate."""
        return Side(self.name.partition("_")[0])


def drained(rate: str, meter: Meter, most: int, now: float) -> Meter:
    """Returns the meter as it is now."""
    if rate.endswith("day"):
        return meter if now < meter.at + DAY_SECONDS else Meter(at=now)
    return Meter(level=max(0.0, meter.level - max(0.0, now - meter.at) * most), at=now)


def charged(rate: str, meter: Meter, most: int, now: float, size_bytes: int, messages: int) -> Meter:
    """Returns the meter after a group of so many bytes and messages."""
    before = drained(rate, meter, most, now)
    return replace(before, level=before.level + (messages if rate.startswith("messages") else size_bytes))


def seconds_due(rate: str, meter: Meter, most: int, now: float) -> float:
    """Returns how long to wait until something may be moved again, seconds; 0 for now."""
    before = drained(rate, meter, most, now)
    if rate.endswith("day"):
        return before.at + DAY_SECONDS - now if before.level >= most else 0.0
    return max(0.0, before.level / most - BURST_SECONDS)


def most_of(name: str, key: str, given: Mapping[str, int], usual: Mapping[str, int], default: int) -> int:
    """Returns the rate that counts for an account or host; 0 for no cap.

    It is the one set for just this account or host. Else it is the lower of the one set for all and the usual one at
    that server. Else it is the default.
    """
    if (own := given.get(f"{name}:{key}")) is not None:
        return own
    server = "/".join(key.split("/")[:3]) if "_account." in name else key
    found = [value for value in (given.get(name), usual.get(f"{name}:{server}")) if value is not None]
    return min((value for value in found if value), default=0) if found else default


def is_rate(scope: str) -> bool:
    """Tells whether this is the name of a rate, and not of a limit of connections."""
    return "." in scope.partition(":")[0]


def spoken_due(due: Due) -> str:
    """Words a debt for a person: "waiting until 2026-11-24 14:20 UTC: 2.5 GB of the 2.5 GB of 24 hours are used"."""
    until = datetime.fromtimestamp(math.ceil(due.until / 60) * 60, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if due.name.endswith("bytes_per_day"):
        return WAITING_UNTIL_DAY_LIMIT_ALLOWS.says(day=until, size=_spoken(due.used), most_size=_spoken(due.most))
    what = "messages" if ".messages" in due.name else "bytes"
    most = f"{due.most:,} messages" if what == "messages" else _spoken(due.most)
    return WAITING_UNTIL_NO_MORE.says(day=until, size=most)


def _spoken(size_bytes: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size_bytes < 1000 or unit == "GB":
            break
        size_bytes /= 1000
    return f"{size_bytes:.1f} {unit}".replace(".0 ", " ")
