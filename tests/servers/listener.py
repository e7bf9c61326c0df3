"""Listens on loopback and serves each connection in a thread. Sockets and threads end with the listener.

A server of the tests that leaves them behind takes descriptors from all tests after it in the same process.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.servers.connection import shut


class Listener:
    """A listening socket on a free port of loopback, and what it accepted; a context manager.

    It accepts from the start. `serve` gets each connection in a thread of its own, and its OSErrors end it quietly.
    """

    host = "127.0.0.1"

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._socket = socket.create_server((self.host, 0), backlog=200)
        self.port = int(self._socket.getsockname()[1])
        self._lock = threading.Lock()
        self._closed = False
        self._socks: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all connections, and waits for their threads."""
        with self._lock:
            self._closed = True
            socks = [self._socket, *self._socks]
        for sock in socks:
            shut(sock, rst=False)
        for thread in self._threads:
            thread.join(5)

    def keep(self, sock: socket.socket) -> socket.socket:
        """Ends this socket with the listener, too: the other end of a relay, or TLS over a connection. Returns it."""
        with self._lock:
            if not self._closed:
                self._socks.add(sock)
                return sock
        shut(sock, rst=False)
        raise ConnectionAbortedError("the listener has ended")

    def let_go(self, sock: socket.socket) -> None:
        """Ends this socket now."""
        with self._lock:
            self._socks.discard(sock)
        shut(sock, rst=False)

    def _start(self, target: Callable[..., None], *given: socket.socket) -> None:
        thread = threading.Thread(target=target, args=given, daemon=True, name="listener")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._socket.accept()
                self._start(self._served, self.keep(sock))

    def _served(self, sock: socket.socket) -> None:
        try:
            with contextlib.suppress(OSError):
                self._serve(sock)
        finally:
            self.let_go(sock)
