"""Sorts the messages of a folder into age bands, so that the recent mail of everybody goes before the archive of anybody.

Pure. The bands decide an order and nothing else: a message in the wrong band is copied all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from shared.model.uids import Uid, UidSet
from shared.rules.selection import search_day

#: The ages at which a band ends, days; what is older than the last is a band of its own.
AGES_DAYS: Final = (30, 365)
#: The room of one band in the order of a unit, above the places of folders and batches (shared/store/lua/_common.lua).
BAND: Final = 10**11
#: The order of a verification, which is of no band.
LAST: Final = 9 * 10**15
#: The room for bands in a tier of a queue.
BANDS: Final = 10


def band_of(order: int) -> int:
    """Returns the age band of a unit by its order; plans and verifications are of the first."""
    return order // BAND if order < LAST else 0


def band_keys(now: float) -> tuple[str, ...]:
    """Returns the SEARCH keys of the messages younger than each age; `now` in seconds since the epoch.

    SEARCH compares whole days of the server's zone (RFC 9051 §6.4.4), so a band may end a day later.
    """
    today = int(now) // 86400
    return tuple(f"SINCE {search_day(today - days)}" for days in AGES_DAYS)


def in_bands(
    sizes: Iterable[tuple[Uid, int]], younger: Sequence[UidSet]
) -> Iterator[tuple[int, list[tuple[Uid, int]]]]:
    """Yields each band that has messages with its (UID, size), the youngest band first; UIDs ascend in each.

    `younger` are the answers to `band_keys`. A message that no answer names is of the last band.
    """
    bands: list[list[tuple[Uid, int]]] = [[] for _ in range(len(younger) + 1)]
    for uid, size in sizes:
        bands[next((n for n, uids in enumerate(younger) if uid in uids), len(younger))].append((uid, size))
    for n, band in enumerate(bands):
        if band:
            yield n, band
