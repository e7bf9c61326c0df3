"""Routes of the page: a form that is sent twice by a double click is done once, and one that comes signed out is kept.

What the page drew as dots comes with it, and what was kept while a form was filled in is dropped once it is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message

from producer.web.pages import filled_store, interrupted
from producer.web.pages.filled_forms import DOTTED, FILLED
from producer.web.pages.sign_in_page import NotSignedIn, there, was
from producer.web.problems import Refused
from producer.web.web_context import WebContext
from shared.model.errors import StoreError
from shared.wording.phrases import Phrase

SAME_FORM_IS_BEING_WORKED_ON: Final = Phrase(
    "same_form_is_being_worked_on", "the same form was sent before and is being worked on: look again in a while"
)

#: The field of a form whose act would be done twice by two clicks: a text that each drawing makes anew.
ONCE: Final = "once"
_MOST_FIELDS: Final = 2000
_MOST_FILES: Final = 3
_TEXT: Final = re.compile(r"[0-9a-f]{16}")
#: The most looks of a second click for the first one's result, a tenth of a second apart.
_LOOKS: Final = 300
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class PageRoute(APIRoute):
    """A route of the page."""

    def get_route_handler(self) -> _Handler:
        """Returns the handler."""
        handle = super().get_route_handler()

        async def whole(request: Request) -> Response:
            return await handle(await _whole(request))

        async def handler(request: Request) -> Response:
            if request.method != "POST" or request.headers.get("hx-request") == "true":
                return await handle(request)
            length = request.headers.get("content-length", "0")
            small = length.isdecimal() and int(length) <= interrupted.MOST_OCTETS
            small = small and "transfer-encoding" not in request.headers
            body = await request.body() if small else None
            try:
                answer = await _once(request, whole if body and _urlencoded(request) else handle)
            except NotSignedIn as error:
                if error.to:  # the route knows where to go
                    raise
                if page := interrupted.empty(request.url.path):
                    raise NotSignedIn(page) from None
                known: WebContext = request.app.state.web_context
                kept = await run_in_threadpool(interrupted.keep, known, request, body, was(request))
                raise NotSignedIn(f"/sent/{kept}" if kept else "") from None
            if not getattr(request.state, "fault", False):
                await run_in_threadpool(_done, request)
            return answer

        return handler


def page_routes(prefix: str = "") -> APIRouter:
    """Returns a router for routes of the page."""
    return APIRouter(prefix=prefix, include_in_schema=False, route_class=PageRoute)


async def whole_form(request: Request) -> FormData:
    """Reads the form of a request, with its list of mailboxes. Whoever asks once more gets the same."""
    most = request.app.state.web_context.settings.web_upload_bytes
    return await request.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS, max_part_size=most)


def _is_form(request: Request) -> bool:
    return _urlencoded(request) or request.headers.get("content-type", "").startswith("multipart/form-data")


def _urlencoded(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


async def _whole(request: Request) -> Request:
    """Returns the request with what was kept of the fields that the page drew with dots."""
    given = [(name, text) for name, text in (await request.form()).multi_items() if isinstance(text, str)]
    request.state.sent = given
    if all(name != DOTTED for name, _ in given):
        return request
    known: WebContext = request.app.state.web_context
    who = await run_in_threadpool(there, known, request, touch=False)
    request.state.sent = await run_in_threadpool(filled_store.whole, known, who, given)
    if who is not None:
        filled_store.all_there(request.state.sent)
    body = urlencode(request.state.sent).encode()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(request.scope, receive)


def _done(request: Request) -> None:
    """Drops what was kept while the form was filled in. The act is done, and is told as done if the store answers no more."""
    known: WebContext = request.app.state.web_context
    kept = filled_store.kept_as(getattr(request.state, "sent", ()))
    with contextlib.suppress(StoreError):
        if kept and (who := there(known, request, touch=False)):
            for kept_id, form in kept:
                filled_store.drop(known, who, kept_id, form)


def _said(given: FormData) -> str:
    """Returns what stands in the fields of a form; of a file a digest. Whoever reads the file next begins at its start."""
    found: list[tuple[str, str | bytes]] = []
    for name, value in given.multi_items():
        if isinstance(value, UploadFile):
            digest = hashlib.sha256()
            while piece := value.file.read(1 << 16):
                digest.update(piece)
            value.file.seek(0)
            found.append((name, digest.digest()))
        elif name != FILLED:
            found.append((name, value))
    return repr(found)


async def _once(request: Request, handle: _Handler) -> Response:
    """Handles a request; of two with the same text in `ONCE`, the second gets the way to the first one's result.

    What Back leads to and is filled in otherwise is another request, and so is one after a fault.

    Raises `Refused` (409) where the first takes longer than a person waits: nothing is done twice.
    """
    given = await whole_form(request) if _is_form(request) else FormData()
    text = str(given.get(ONCE, ""))
    if not _TEXT.fullmatch(text):
        return await handle(request)
    records = request.app.state.web_context.records
    who = request.headers.get("cookie", "").encode() + str(request.client and request.client.host).encode()
    said = await run_in_threadpool(_said, given)
    parts = (who, request.url.path.encode(), text.encode(), said.encode("utf-8", "surrogatepass"))
    key = "press:" + hashlib.sha256(b"\0".join(parts)).hexdigest()
    for _ in range(_LOOKS):
        before = await run_in_threadpool(records.begin, key, text)
        if before is None:
            break
        if to := before.get("answer"):
            return RedirectResponse(to, 303)
        await asyncio.sleep(0.1)
    else:
        raise Refused(409, SAME_FORM_IS_BEING_WORKED_ON.says())
    try:
        answer = await handle(request)
    except BaseException:
        await run_in_threadpool(records.drop, key)
        raise
    to = "" if getattr(request.state, "fault", False) else answer.headers.get("location", "")
    await run_in_threadpool(records.answer, key, text, to) if to else await run_in_threadpool(records.drop, key)
    return answer
