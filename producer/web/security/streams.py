"""Limits on streams of events, of one process and of one person. Each stream takes its place before it begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Depends, Request

from producer.web.problems import Refused
from shared.wording.phrases import Phrase

TOO_MANY_STREAMS_ARE_OPEN: Final = Phrase("too_many_streams_are_open", "too many streams are open")
STREAMS_OF_YOURS_ARE_OPEN_WHICH: Final = Phrase(
    "streams_of_yours_are_open_which", "{number} streams of yours are open, which is the most: close a page"
)

#: Maximum number of streams of one process.
MOST: Final = 200
#: Most streams of one person. An open page takes one.
MOST_OF_ONE: Final = 30


async def seat(request: Request) -> AsyncIterator[None]:
    """Holds one place until the answer has ended, in whatever way. Raises `Refused` (429)."""
    # Check and increment run on the event loop, so no other request can come between them.
    state, who = request.app.state, getattr(request.state, "who", "")
    if state.streams.total() >= MOST:
        raise Refused(429, TOO_MANY_STREAMS_ARE_OPEN.says())
    if who and state.streams[who] >= MOST_OF_ONE:
        raise Refused(429, STREAMS_OF_YOURS_ARE_OPEN_WHICH.says(number=MOST_OF_ONE))
    state.streams[who] += 1
    try:
        yield
    finally:
        state.streams[who] -= 1
        if not state.streams[who]:
            del state.streams[who]


Seat = Annotated[None, Depends(seat)]
