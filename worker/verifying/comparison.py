"""The progress of a byte-by-byte comparison of a mailbox, reported to the store every few seconds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final

from shared.model import Lease
from shared.model.messages import Sighting
from shared.store import Store

#: Seconds between two reports.
_TOLD_SECONDS: Final = 2.0


class Comparison:
    """Counts what is read on both sides. A message counts as compared once it was read on both."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store, self._lease = store, lease
        self._read = self._told = 0
        self._due = time.monotonic() + _TOLD_SECONDS

    def counted(self, sightings: Iterable[Sighting]) -> Iterator[Sighting]:
        """Yields the same messages and counts them. Raises `LeaseLost`."""
        for seen in sightings:
            self._read += 1
            if time.monotonic() >= self._due:
                self.tell()
            yield seen

    def tell(self) -> None:
        """Tells the store how many messages were compared so far. Raises `LeaseLost`."""
        self._due = time.monotonic() + _TOLD_SECONDS
        if (number := self._read // 2) != self._told:
            self._store.compared(self._lease, number)
            self._told = number
