"""Keeps INTERNALDATE within what servers can hold (RFC 9051 §2.3.3).

Measured: Dovecot stores 1900 as 2036 and whatever is after today as today; Cyrus turns the epoch into "now", refuses what is
before it, and stores 2110 as 1973. So a date outside of what every server stores as given is tried as it is, and where it is
not kept, the nearest that is kept stands for it. Each such message is reported.
"""

from __future__ import annotations

from typing import Final

#: 1970-01-02T00:00:00Z
EARLIEST: Final = 86_400
#: 2038-01-19T03:14:07Z, the last second of a signed 32-bit clock
LATEST: Final = 2_147_483_647

#: 1970-01-01T00:00:00Z, the first second of an unsigned clock.
_EPOCH: Final = 0
#: 2106-02-07T06:28:15Z, the last second of an unsigned 32-bit clock.
_LATEST_UNSIGNED: Final = 4_294_967_295


def usual(epoch_seconds: int) -> bool:
    """Tells whether every server stores this date as given."""
    return EARLIEST <= epoch_seconds <= LATEST


def clamp(epoch_seconds: int) -> int:
    """Returns the nearest date that every server stores as given."""
    return min(max(epoch_seconds, EARLIEST), LATEST)


def stand_ins(epoch_seconds: int) -> tuple[int, ...]:
    """Returns the dates that a copy of such a message may have, its own first.

    The limits of clocks follow, the nearest first, and at last one that is `usual`.
    """
    if usual(epoch_seconds):
        return (epoch_seconds,)
    if epoch_seconds < EARLIEST:
        limits = [limit for limit in (_EPOCH, EARLIEST) if limit > epoch_seconds]
    else:
        limits = [limit for limit in (_LATEST_UNSIGNED, LATEST) if limit < epoch_seconds]
    return (epoch_seconds, *limits)
