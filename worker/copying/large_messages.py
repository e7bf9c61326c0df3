"""Shares a destination between the large messages of one import and the other imports of a process.

A large message takes all that the destination gives a connection, and a source may bring one after the other without end. While
lanes of other imports are at work, the large messages of an import together take about as much as one of them alone would:
each rests after a while for as long as the destination was busy with it, once for each of the others.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

#: Seconds for which the destination is busy with a message before the message rests.
_TURN_SECONDS: Final = 0.05
#: Seconds of the longest rest: a lane has to hear what is wanted of it, and a source may close a connection that is not read.
_REST_SECONDS: Final = 0.5


class LargeMessages:
    """The large messages that pass through the lanes of a process. Thread-safe."""

    def __init__(
        self,
        others: Callable[[str], bool] = lambda import_id: False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """`others` tells whether a lane is at work for another import than this."""
        self._others, self._clock, self._sleep = others, clock, sleep
        self._passing: Counter[str] = Counter()
        self._lock = threading.Lock()

    def paced(self, import_id: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yields the chunks of a message of this import. The time until the next one is asked for is the destination's."""
        self._count(import_id, 1)
        try:
            busy = 0.0
            for chunk in chunks:
                began = self._clock()
                yield chunk
                busy += self._clock() - began
                if busy >= _TURN_SECONDS:
                    beside = self._passing[import_id] - 1
                    if beside > 0 and self._others(import_id):
                        self._sleep(min(busy * beside, _REST_SECONDS))
                    busy = 0.0
        finally:
            self._count(import_id, -1)

    def _count(self, import_id: str, number: int) -> None:
        with self._lock:
            self._passing[import_id] += number
            if not self._passing[import_id]:
                del self._passing[import_id]
