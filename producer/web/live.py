"""What happens, as it happens: server-sent events of one import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from producer.show import document
from producer.web.access import Known, Viewer
from producer.web.counter import Counter
from producer.web.problems import Refused
from shared.errors import MailhaulError

routes = APIRouter(tags=["imports"])
#: Between two looks, seconds.
LOOK_SECONDS: Final = 1.0
#: Streams of one process.
MOST: Final = 200


def _place(known: Known, _: Viewer, request: Request, import_id: str) -> Counter:
    """Refused before the stream begins: afterwards nothing can be said."""
    known.import_(import_id)
    if request.app.state.streams >= MOST:
        raise Refused(429, "too many streams are open")
    return known


@routes.get("/imports/{import_id}/events", response_class=EventSourceResponse)
async def events(
    request: Request, import_id: str, known: Annotated[Counter, Depends(_place)]
) -> AsyncIterator[ServerSentEvent]:
    """Event "progress" whenever something has changed, and "finished" as the last."""
    request.app.state.streams += 1
    try:
        last: dict[str, Any] = {}
        while True:
            try:
                progress = await asyncio.to_thread(known.progress, import_id)
            except (MailhaulError, Refused):
                await asyncio.sleep(LOOK_SECONDS)  # the store is away for a moment, or the import for good
                continue
            fields = document.import_fields(progress)
            if fields != last:
                yield ServerSentEvent(event="finished" if progress.finished else "progress", data=fields)
                last = fields
            if progress.finished:
                return
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        request.app.state.streams -= 1
