"""Runs scim2-server in this process, with a bridge that tells a mail server of each new user."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from io import BytesIO
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, make_server

from scim2_models import ScimProvider
from scim2_server.memory import InMemoryStorage
from scim2_server.testserver.application import BearerTokenApplication
from scim2_server.testserver.cli import ThreadingWSGIServer
from scim2_server.utils import load_default_provider

SECRET = "t0ken-canary"


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Logs nothing."""


class ScimServer:
    """A context manager for the server.

    `created(login, password)` is called for each user made by POST; `refuse(login)` may return a reason to refuse one.
    """

    def __init__(
        self, created: Callable[[str, str], None] | None = None, refuse: Callable[[str], str] | None = None
    ) -> None:
        #: Password of each account as requested, by login.
        self.accounts: dict[str, str] = {}
        #: The (method, path) of every request.
        self.asked: list[tuple[str, str]] = []
        #: Answers (status, headers) that come first; such a request has no effect.
        self.instead: list[tuple[str, list[tuple[str, str]]]] = []
        #: Called after a user was made, before the answer is sent.
        self.before_answer: Callable[[], None] = lambda: None
        self._created, self._refuse = created, refuse
        provider: ScimProvider = load_default_provider()
        self._app = BearerTokenApplication(InMemoryStorage(), provider, bearer_tokens=[SECRET])
        self._server = make_server("127.0.0.1", 0, self._serve, server_class=ThreadingWSGIServer, handler_class=_Quiet)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def _serve(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        self.asked.append((method, environ["PATH_INFO"]))
        if self.instead:
            status, headers = self.instead.pop(0)
            start(status, headers)
            return [b""]
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        wanted = json.loads(body) if method == "POST" and body else {}
        login = wanted.get("userName", "")
        if login and self._refuse and (reason := self._refuse(login)):
            start("400 Bad Request", [("Content-Type", "application/scim+json")])
            schema = "urn:ietf:params:scim:api:messages:2.0:Error"
            return [
                json.dumps(
                    {"schemas": [schema], "status": "400", "scimType": "invalidValue", "detail": reason}
                ).encode()
            ]
        kept: list[Any] = []

        def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            kept.append(status)
            return start(status, headers)

        answer = list(self._app(environ, started))
        if login and kept[0].startswith("201"):
            self.accounts[login] = wanted["password"]
            if self._created:
                self._created(login, wanted["password"])
            self.before_answer()
        return answer

    def add(self, login: str, password: str) -> None:
        """Adds an account that exists before any request; the mail server is not told."""
        import httpx2

        user = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": login, "password": password}
        told, self._created = self._created, None
        headers = {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/scim+json"}
        httpx2.post(f"{self.url}/v2/Users", json=user, headers=headers, timeout=180).raise_for_status()
        self._created = told

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
