"""A limit on requests in progress: in all, and from one address, so that no client takes all threads of the page."""

from __future__ import annotations

from collections import Counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from producer.web.problems import problem
from producer.web.security.places import place
from shared.wording.phrases import Phrase

TOO_MANY_REQUESTS: Final = Phrase("too_many_requests", "too many requests are at work; try again in a moment")

#: Maximum number of requests in progress in one process; 40 threads answer them.
MOST: Final = 100
#: Maximum number of requests in progress from one address.
MOST_FROM_ONE: Final = 50
#: The path that is never refused, since the event loop itself answers it.
_ALWAYS: Final = "/healthz"


class Turns:
    """ASGI middleware, behind `Proxied`.

    A stream of events counts here until it begins; from then on `producer.web.security.streams` counts it.
    """

    def __init__(self, app: ASGIApp, most: int = MOST, most_from_one: int = MOST_FROM_ONE) -> None:
        self._app, self._most, self._most_from_one = app, most, most_from_one
        self._working: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers 503."""
        if scope["type"] != "http" or scope["path"] == _ALWAYS:
            return await self._app(scope, receive, send)
        where = place(scope["client"][0] if scope["client"] else "")
        if self._working.total() >= self._most or self._working[where] >= self._most_from_one:
            refusal = problem(503, TOO_MANY_REQUESTS.says(), {"Retry-After": "1"})
            return await refusal(scope, receive, send)
        self._working[where] += 1
        counted = True

        def done() -> None:
            nonlocal counted
            if counted:
                counted = False
                self._working[where] -= 1
                self._working += Counter()  # drops addresses whose count is 0

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_stream(message):
                done()
            await send(message)

        try:
            await self._app(scope, receive, told)
        finally:
            done()


def _is_stream(message: Message) -> bool:
    return any(name == b"content-type" and value.startswith(b"text/event-stream") for name, value in message["headers"])
