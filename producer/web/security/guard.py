"""The first check of every request: its host name and its origin; and the headers that every answer carries.

A browser's request that another site caused (cross-site request forgery) is refused, by `Sec-Fetch-Site` and `Origin`.
A request for a host name that is not ours is refused too. Otherwise any web page could reach a server on loopback by
DNS rebinding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producer.web.problems import problem
from shared.wording.phrases import Phrase

THIS_SERVER_GOES_BY_ANOTHER_NAME: Final = Phrase(
    "this_server_goes_by_another_name", "this server goes by another name; its administrator sets MAILHAUL_WEB_NAMES"
)
SENT_BY_ANOTHER_SITE: Final = Phrase("sent_by_another_site", "sent by another site")

#: Headers of every answer.
HEADERS: Final = (
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Not "no-referrer": a form of ours would then be sent with the origin "null".
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_SAFE: Final = ("GET", "HEAD", "OPTIONS")


class Guard:
    """ASGI middleware that refuses foreign host names and cross-site requests."""

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses the request, or passes it on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in HEADERS if pair[0] not in given)]
            await send(message)

        if refusal := self._refusal(scope):
            status, detail = refusal
            return await problem(status, detail)(scope, receive, sealed)
        return await self._app(scope, receive, sealed)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if _name(f"//{host}") not in self._names:
            return 421, THIS_SERVER_GOES_BY_ANOTHER_NAME.says()
        if scope["method"] in _SAFE:
            return None
        origin = headers.get(b"origin")
        if origin is not None and not _same(origin, scope["scheme"], host):
            return 403, SENT_BY_ANOTHER_SITE.says()
        if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, SENT_BY_ANOTHER_SITE.says()
        return None


def _same(origin: str, scheme: str, host: str) -> bool:
    """Tells whether the origin is this server's (RFC 6454). Only a trusted proxy can say that the browser has TLS."""
    try:
        sent = urlsplit(origin)
    except ValueError:
        return False
    return sent.netloc.lower() == host.lower() and (sent.scheme == "https" or scheme != "https")


def _name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
