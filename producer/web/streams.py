"""Places for streams of events: so many at once in one process, and so many of one person, each taken before it begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Depends, Request

from producer.web.problems import Refused

#: Places of one process.
MOST: Final = 200
#: Places of one person: a page that is open takes one.
MOST_OF_ONE: Final = 30


async def seat(request: Request) -> AsyncIterator[None]:
    """Taken until the answer has ended, however it does. Raises `Refused` (429)."""
    # On the loop's own thread, so that nobody comes between the look and the count.
    state, who = request.app.state, getattr(request.state, "who", "")
    if state.streams.total() >= MOST:
        raise Refused(429, "too many streams are open")
    if who and state.streams[who] >= MOST_OF_ONE:
        raise Refused(429, f"{MOST_OF_ONE} streams of yours are open, which is the most: close a page")
    state.streams[who] += 1
    try:
        yield
    finally:
        state.streams[who] -= 1
        if not state.streams[who]:
            del state.streams[who]


Seat = Annotated[None, Depends(seat)]
