"""A limit on streams of events in one process. Each stream takes its place before it begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Depends, Request

from producer.web.problems import Refused

#: Maximum number of streams of one process.
MOST: Final = 200


async def seat(request: Request) -> AsyncIterator[None]:
    """Holds one place until the answer has ended, in whatever way. Raises `Refused` (429)."""
    # Check and increment run on the event loop, so no other request can come between them.
    if request.app.state.streams >= MOST:
        raise Refused(429, "too many streams are open")
    request.app.state.streams += 1
    try:
        yield
    finally:
        request.app.state.streams -= 1


Seat = Annotated[None, Depends(seat)]
