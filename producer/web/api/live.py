"""Server-sent events of one import."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import blake2b
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from producer.coordinator.tally import Progress
from producer.operations.finding import progress_of
from producer.show import document
from producer.waves import wave_of
from producer.web.api import answers
from producer.web.api.imports import OneWave
from producer.web.problems import Refused
from producer.web.security.access import Known, Viewer, viewer
from producer.web.security.streams import Seat
from producer.web.web_context import WebContext
from shared.model.errors import MailhaulError
from shared.model.lifecycle import SETTLED
from shared.wording.phrases import text_of

routes = APIRouter(tags=["imports"])


def _place(known: Known, _: Viewer, import_id: str, wave: OneWave = "") -> WebContext:
    """Refuses an unknown import or wave before the stream begins, since no error can be sent afterwards."""
    found = known.import_(import_id)
    if wave:
        wave_of(known.store, found, wave)
    return known


@routes.get("/imports/{import_id}/events", response_class=EventSourceResponse)
async def events(
    request: Request, import_id: str, known: Annotated[WebContext, Depends(_place)], streams: Seat, wave: OneWave = ""
) -> AsyncIterator[ServerSentEvent]:
    """Sends event "progress" whenever something has changed, and "finished" as the last one.

    Sends "ended" if the token was revoked or the import is gone. Each event has the whole state, and its id says which:
    whoever comes back with it (`Last-Event-ID`) gets what has changed since, and not the same again.
    """
    last = request.headers.get("last-event-id", "")

    def look() -> Progress:
        viewer(request, known)  # raises once the token was revoked
        if wave:
            return progress_of(known.store, known.import_(import_id), wave=wave)
        return known.progress(import_id)

    going_on = True
    while going_on:
        try:
            progress = await asyncio.to_thread(look)
        except Refused as error:
            yield ServerSentEvent(event="ended", data={"detail": text_of(error)})
            return
        except MailhaulError:
            going_on = await streams.wait()  # the store does not answer now
            continue
        fields = document.import_fields(progress)
        over = progress.finished or (wave and all(s in SETTLED for s, number in progress.mailboxes.items() if number))
        now = blake2b(json.dumps(fields, sort_keys=True).encode(), digest_size=8).hexdigest()
        if now != last or over:
            told = answers.ImportAnswer.model_validate(fields).model_dump(mode="json", exclude_unset=True)
            yield ServerSentEvent(event="finished" if over else "progress", id=now, data=told)
            last = now
        if over:
            return
        going_on = await streams.wait()
