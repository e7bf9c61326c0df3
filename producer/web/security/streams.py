"""Limits on streams of events, of one process and of one person, and their end when the process stops.

Each stream takes its place before it begins. It would never end by itself, so a process that stops has to end it: the
browser, or the program, comes back by itself and finds the next process.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Depends, Request

from producer.web.problems import Refused
from shared.wording.phrases import Phrase

TOO_MANY_STREAMS_ARE_OPEN: Final = Phrase("too_many_streams_are_open", "too many streams are open")
TOO_MANY_STREAMS_OF_YOURS: Final = Phrase(
    "too_many_streams_of_yours", "{number} streams of yours are open, which is the most: close a page"
)

#: Maximum number of streams of one process.
MOST: Final = 200
#: Most streams of one person. An open page takes one.
MOST_OF_ONE: Final = 30
#: Seconds between two looks of a stream at what it shows.
LOOK_SECONDS: Final = 1.0


class Streams:
    """The open streams of one process. Only the thread of the event loop uses it."""

    def __init__(self) -> None:
        #: Number of open streams of each person.
        self.open: Counter[str] = Counter()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ends all streams: each wait in `wait` returns at once."""
        self._stopping.set()

    async def wait(self) -> bool:
        """Waits until the next look. Returns False at once if the process stops: the stream must end then."""
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._stopping.wait()
        except TimeoutError:
            return True
        return False


async def seat(request: Request) -> AsyncIterator[Streams]:
    """Holds one place until the answer has ended, in whatever way. Raises `Refused` (429)."""
    # Check and increment run on the event loop, so no other request can come between them.
    streams: Streams = request.app.state.streams
    open_, who = streams.open, getattr(request.state, "who", "")
    if open_.total() >= MOST:
        raise Refused(429, TOO_MANY_STREAMS_ARE_OPEN.says())
    if who and open_[who] >= MOST_OF_ONE:
        raise Refused(429, TOO_MANY_STREAMS_OF_YOURS.says(number=MOST_OF_ONE))
    open_[who] += 1
    try:
        yield streams
    finally:
        open_[who] -= 1
        if not open_[who]:
            del open_[who]


Seat = Annotated[Streams, Depends(seat)]
