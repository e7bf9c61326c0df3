"""A limit on requests in progress: in all, and from one address, so that no client takes all threads of the page."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from time import monotonic
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
#: The longest rest of who computes for long. There are some thousand rests in a forecast of many mailboxes.
REST_SECONDS: Final = 0.01
#: The longest that the rests of one computation take together: others that compute for long count as requests at work.
MOST_REST_SECONDS: Final = 5.0


class RequestsAtWork:
    """The number of requests at work. Who computes for long lets those go first who wait for a page. Thread-safe."""

    def __init__(self) -> None:
        self._at_work = 0
        self._changed = threading.Condition()

    def told(self, at_work: int) -> None:
        """Notes how many requests are at work."""
        with self._changed:
            self._at_work = at_work
            self._changed.notify_all()

    def rest(self, own: int = 0) -> None:
        """Waits while more requests are at work than the caller's own, `REST_SECONDS` at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._at_work <= own, REST_SECONDS)

    def rests(self, own: int = 0) -> Callable[[], None]:
        """Returns the `rest` of one computation: it waits no more after `MOST_REST_SECONDS` in all."""
        left = MOST_REST_SECONDS

        def rest() -> None:
            nonlocal left
            if left > 0:
                began = monotonic()
                self.rest(own)
                left -= monotonic() - began

        return rest


class Turns:
    """ASGI middleware, behind `Proxied`.

    A stream of events counts here until it begins; from then on `producer.web.security.streams` counts it.
    """

    def __init__(
        self,
        app: ASGIApp,
        most: int = MOST,
        most_from_one: int = MOST_FROM_ONE,
        told: Callable[[int], None] | None = None,
    ) -> None:
        """Takes `told`, which hears how many requests are at work whenever that changes."""
        self._app, self._most, self._most_from_one = app, most, most_from_one
        self._told = told or RequestsAtWork().told
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
        self._told(self._working.total())
        counted = True

        def done() -> None:
            nonlocal counted
            if counted:
                counted = False
                self._working[where] -= 1
                self._working += Counter()  # drops addresses whose count is 0
                self._told(self._working.total())

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
