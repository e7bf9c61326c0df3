"""The check of a request's head before a large body is read, so that only known senders can cost memory and time.

The routes that take a list of mailboxes accept up to `MAILHAUL_WEB_UPLOAD_BYTES` from a principal that is signed in.
Every other body is small.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from producer.web.pages import filled_store
from producer.web.pages.sign_in_page import there
from producer.web.problems import Refused, answer
from producer.web.security.access import asker
from producer.web.web_context import WebContext
from shared.wording.phrases import Phrase

BODY_TOO_LARGE: Final = Phrase("body_too_large", "more than {num} bytes, which is the most that this address takes")
SIGN_IN_FIRST: Final = Phrase("sign_in_first", "sign in first")

#: Maximum number of octets of a body that is no list of mailboxes. Every form and every other JSON document is far
#: smaller.
SMALL: Final = 65_536
#: Routes of API and page that take lists of mailboxes.
LISTS: Final = re.compile(
    r"/api/v1/(?:imports|manifests|imports/[^/]+(?:/(?:mailboxes|credentials))?)|/new(?:/[^/]+){0,2}"
    r"|/imports/[^/]+/(?:credentials|add(?:/[^/]+){0,2})"
)
#: Routes that keep what is typed into forms.
KEPT: Final = re.compile(r"/filled(?:/[^/]+/keep)?")
_BODILESS: Final = ("GET", "HEAD", "OPTIONS")


class Gate:
    """ASGI middleware that checks senders of large bodies. It stands behind `Guard`."""

    def __init__(self, app: ASGIApp, known: WebContext) -> None:
        self._app, self._known = app, known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses the request, or passes it on."""
        if scope["type"] == "http" and scope["method"] not in _BODILESS:
            request = Request(scope)
            try:
                if _octets(request) > SMALL:
                    await run_in_threadpool(self._admit, request)
            except Refused as refused:
                headers = {"WWW-Authenticate": "Bearer"} if refused.status == 401 else {}
                reply = answer(request, refused.status, refused.detail, {**headers, **refused.headers})
                return await reply(scope, receive, send)
        return await self._app(scope, receive, send)

    def _admit(self, request: Request) -> None:
        """Raises `Refused` if the body is too large for its route, or if its sender is not signed in."""
        path = request.url.path
        most = SMALL
        if LISTS.fullmatch(path):
            most = self._known.settings.web_upload_bytes
        elif KEPT.fullmatch(path):
            most = filled_store.MOST_OCTETS
        if most < _octets(request) < _UNKNOWN:
            raise Refused(413, BODY_TOO_LARGE.says(num=f"{most:,}"))
        if path.startswith("/api/"):
            asker(request, self._known)
        elif there(self._known, request, touch=False) is None:
            raise Refused(401, SIGN_IN_FIRST.says())


#: The length of a body that names none (RFC 9112 §7.1): treated as large.
_UNKNOWN: Final = 1 << 62


def _octets(request: Request) -> int:
    """Returns the length of the body in octets, as its head announces it."""
    if "transfer-encoding" in request.headers:
        return _UNKNOWN
    length = request.headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() else _UNKNOWN
