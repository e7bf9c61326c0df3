"""Serves /metrics, /healthz and /readyz of a process."""

from __future__ import annotations

import errno
import json
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

#: A check of health: returns (whether the process is healthy, why, in words).
Health = Callable[[], tuple[bool, str]]


class _Server(ThreadingHTTPServer):
    # The base class would look up the name of the host at every start.
    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])


def _always() -> tuple[bool, str]:
    return True, "ok"


def start_http(
    registry: CollectorRegistry,
    port: int,
    host: str,
    *,
    health: Health = _always,
    ready: Health | None = None,
    ports: int = 1,
) -> ThreadingHTTPServer:
    """Serves /metrics, /healthz and /readyz from a thread.

    Port 0 takes a free one (`server_port` says which), any other the first free one of `ports` from there on. Raises
    OSError when all are taken.
    """
    answers: dict[str, Callable[[], tuple[int, str, bytes]]] = {
        "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
        "/healthz": lambda: _said(health),
        "/readyz": lambda: _said(ready or health),
    }

    class MetricsRequestHandler(BaseHTTPRequestHandler):
        server_version = "mailhaul"
        sys_version = ""
        timeout = 10

        def do_GET(self) -> None:
            found = answers.get(self.path.split("?", 1)[0])
            code, kind, body = found() if found else (404, "text/plain", b"/metrics, /healthz or /readyz\n")
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Logs nothing: a scrape is not worth a line."""

    for place in range(port, port + ports):
        try:
            server = _Server((host, place), MetricsRequestHandler)
            break
        except OSError as error:
            if error.errno != errno.EADDRINUSE or place == port + ports - 1:
                raise
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="mailhaul-http", daemon=True).start()
    return server


def _said(health: Health) -> tuple[int, str, bytes]:
    well, words = health()
    return (200 if well else 503), "application/json", json.dumps({"ok": well, "detail": words}).encode() + b"\n"
