"""A link of limited bandwidth to one server: all connections share it, each direction for itself."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.servers.listener import Listener

_PIECE = 32 * 1024


@dataclass
class _Direction:
    """A direction of the link: a piece leaves when those before it have left."""

    #: Bytes a second.
    rate: float
    #: Bytes that passed.
    passed: int = 0
    _free_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, size: int) -> None:
        """Waits until `size` bytes have passed."""
        with self._lock:
            self.passed += size
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self.rate
            left = self._free_at - now
        time.sleep(left)


class SlowLink:
    """Passes everything on to `host` and `port`, no faster than `bytes_per_second` in each direction."""

    host = "127.0.0.1"

    def __init__(self, host: str, port: int, bytes_per_second: float) -> None:
        self._server = (host, port)
        #: To the server and from it.
        self.up, self.down = _Direction(bytes_per_second), _Direction(bytes_per_second)

    def __enter__(self) -> Self:
        self._listener = Listener(self._serve)
        self.port = self._listener.port
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        server = self._listener.keep(socket.create_connection(self._server))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # a router holds little: what waits for the link waits at the sender
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 128 * 1024)
        back = threading.Thread(target=self._pass, args=(server, client, self.down), daemon=True)
        back.start()
        self._pass(client, server, self.up)
        back.join()
        self._listener.let_go(server)

    def _pass(self, one: socket.socket, other: socket.socket, way: _Direction) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(_PIECE):
                way.wait(len(data))
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
