"""Writes a request in several calls, and starts it only if the store has lost none of them.

A server that is started again may have lost the second before (a power cut under `appendfsync everysec`, a replica that
lagged): rows that it had acknowledged. Whoever wrote them would start the rest, and nobody would miss them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.model.errors import StoreRestarted
from shared.store.ports.request_store import RequestStore

#: The number of times that a request is written before its author is told to give the command again.
ATTEMPTS: Final = 3


def submit_whole(store: RequestStore, import_id: str, write: Callable[[], int], *, hold: bool = False) -> int:
    """Writes a request by `write`, which may be repeated, and starts the import unless it is on `hold`.

    Writes it once more where the server was started again meanwhile. Returns the largest number that `write` returned.
    Raises `StoreRestarted` where that happens each time.
    """
    most = 0
    for attempt in range(1, ATTEMPTS + 1):
        since = store.life()
        most = max(most, write())
        try:
            if not hold:
                store.submit(import_id, since=since)
            elif store.life() != since:
                raise StoreRestarted(
                    "the state store was started again while the request was written: give the same command again"
                )
            return most
        except StoreRestarted:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("each attempt returns or raises")
