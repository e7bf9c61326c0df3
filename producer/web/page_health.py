"""The health of the web process, for /healthz and /readyz, and its metrics.

They have a port of their own: Kubernetes and Prometheus ask by any host name, while the page answers only to its own
names.
"""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.metrics import WebMetrics
from shared.model.errors import StoreError
from shared.probe import probe
from shared.runtime.config import Settings, here
from shared.store import Store


class Counted:
    """ASGI middleware that counts answers and measures their time."""

    def __init__(self, app: ASGIApp, metrics: WebMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, and notes the answer's status and time."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.observe_request(message["status"], time.monotonic() - began)
            await send(message)

        return await self._app(scope, receive, counted)


class PageHealth:
    """The health check of the page. It asks over HTTP from another thread, so that a hanging page is noticed.

    Until `begin` there is no page to ask.
    """

    def __init__(self, settings: Settings) -> None:
        self._port, self._host = settings.web_port, here(settings.web_host)
        self._complaint = "starting"
        self._store: Store | None = None

    def complain(self, complaint: str) -> None:
        """Notes what the process is waiting for before it can begin."""
        self._complaint = complaint

    def begin(self, store: Store) -> None:
        """Notes that the page runs from now on, with this store."""
        self._store = store

    def health(self) -> tuple[bool, str]:
        """Tells whether the page answers. An outage of Redis is no reason to restart it."""
        return probe(self._port, "/healthz", self._host) if self._store else (True, self._complaint)

    def ready(self) -> tuple[bool, str]:
        """Tells whether the page and the store answer."""
        if self._store is None:
            return False, self._complaint
        well, words = self.health()
        if well:
            try:
                self._store.limits()
            except StoreError as error:
                return False, str(error)
        return well, words
