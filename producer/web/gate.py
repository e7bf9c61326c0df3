"""What a request must show before its body is read: a large body costs memory and time, so nobody sends one unknown.

The routes that take a list of mailboxes take as much as `MAILHAUL_WEB_UPLOAD_BYTES`, from somebody who is signed in; every
other body is small.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from producer.web.access import asker
from producer.web.counter import Counter
from producer.web.pages.entering import there
from producer.web.problems import Refused, answer

#: Octets of a body that is no list of mailboxes: every form and every other JSON document is far below.
SMALL: Final = 65_536
#: Where lists of mailboxes go: API and page.
LISTS: Final = re.compile(
    r"/api/v1/(?:imports|manifests|imports/[^/]+/(?:mailboxes|credentials))|/new(?:/[^/]+)?|/imports/[^/]+/(?:credentials|add)"
)
_BODILESS: Final = ("GET", "HEAD", "OPTIONS")


class Gate:
    """ASGI middleware, behind `Guard`."""

    def __init__(self, app: ASGIApp, known: Counter) -> None:
        self._app, self._known = app, known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses, or passes on."""
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
        """Raises `Refused` where this body is too large for its route, or nobody is known who sends it."""
        path = request.url.path
        most = self._known.settings.web_upload_bytes if LISTS.fullmatch(path) else SMALL
        if most < _octets(request) < _UNKNOWN:
            raise Refused(413, f"more than {most:,} bytes, which is the most that this address takes")
        if path.startswith("/api/"):
            asker(request, self._known)
        elif there(self._known, request, touch=False) is None:
            raise Refused(401, "sign in first")


#: A body whose length nobody says (RFC 9112 §7.1): as good as a large one.
_UNKNOWN: Final = 1 << 62


def _octets(request: Request) -> int:
    """The length of the body in octets, as far as its head says."""
    if "transfer-encoding" in request.headers:
        return _UNKNOWN
    length = request.headers.get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() else _UNKNOWN
