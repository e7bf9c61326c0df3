"""An HTTP server on loopback that serves the pages it is given."""

from __future__ import annotations

import ssl
from pathlib import Path

from tests.servers.http_api import Asked, HttpApi, Said


class HttpPages(HttpApi):
    """A context manager for the server."""

    def __init__(self, certificate: Path | None = None) -> None:
        """Sets up the server; it uses TLS when `certificate` names a file with certificate and key."""
        super().__init__()
        #: The (status, headers, body) of each path. May be changed while it runs.
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self._scheme = "http"
        if certificate:
            self._scheme = "https"
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def answer(self, asked: Asked) -> Said:
        status, headers, body = self.pages.get(asked.path, (404, {}, b""))
        return Said(status=status, headers=headers, body=body)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        """The requested paths, in order."""
        return [one.path for one in self.asked]
