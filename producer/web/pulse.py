"""How the web process is, for /healthz and /readyz, and what it counts.

These stand on a port of their own: whoever asks there (Kubernetes, Prometheus) uses any name, and the page answers to its own
names only.
"""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.config import Settings, here
from shared.errors import StoreError
from shared.metrics import WebMetrics
from shared.probe import probe
from shared.store import Store


class Counted:
    """ASGI middleware: counts answers."""

    def __init__(self, app: ASGIApp, metrics: WebMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.observe_request(message["status"], time.monotonic() - began)
            await send(message)

        return await self._app(scope, receive, counted)


class Pulse:
    """Asks the page from another thread, so that one that hangs is found out. Until `begin` there is none."""

    def __init__(self, settings: Settings) -> None:
        self._port, self._host = settings.web_port, here(settings.web_host)
        self._complaint = "starting"
        self._store: Store | None = None

    def complain(self, complaint: str) -> None:
        """What it is waiting for."""
        self._complaint = complaint

    def begin(self, store: Store) -> None:
        """From now on there is a page, over this store."""
        self._store = store

    def health(self) -> tuple[bool, str]:
        """Whether the page answers; a Redis that is away is no reason to restart it."""
        return probe(self._port, "/healthz", self._host) if self._store else (True, self._complaint)

    def ready(self) -> tuple[bool, str]:
        """Whether the page answers and the store does."""
        if self._store is None:
            return False, self._complaint
        well, words = self.health()
        if well:
            try:
                self._store.limits()
            except StoreError as error:
                return False, str(error)
        return well, words
