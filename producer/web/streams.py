"""Places for streams of events: so many at once in one process, each taken before it begins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Depends, Request

from producer.web.problems import Refused

#: Places of one process.
MOST: Final = 200


async def seat(request: Request) -> AsyncIterator[None]:
    """Taken until the answer has ended, however it does. Raises `Refused` (429)."""
    # On the loop's own thread, so that nobody comes between the look and the count.
    if request.app.state.streams >= MOST:
        raise Refused(429, "too many streams are open")
    request.app.state.streams += 1
    try:
        yield
    finally:
        request.app.state.streams -= 1


Seat = Annotated[None, Depends(seat)]
