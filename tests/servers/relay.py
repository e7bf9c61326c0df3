"""Passes everything on to a server, and notes when it was asked: a flight is what a client sends before the next answer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field

from tests.servers.listener import Listener


@dataclass
class Relay:
    """A relay to one server."""

    host = "127.0.0.1"

    #: The server's port.
    server_port: int
    #: Seconds that an answer is on the wire: what a client writes meanwhile belongs to the same flight. Without them a
    #: flight that is written in two pieces counts as two where the server answers the first at once.
    wire_seconds: float = 0.0
    #: When each flight of a client passed: bytes sent after the server had answered.
    asked: list[float] = field(default_factory=list)
    #: When bytes of the server passed.
    answered: list[float] = field(default_factory=list)
    #: Connections.
    connections: int = 0

    def __post_init__(self) -> None:
        self._ended, self._changed = 0, threading.Condition()
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def clear(self) -> None:
        """Forgets what passed."""
        self.asked, self.answered, self.connections, self._ended = [], [], 0, 0

    def await_end(self, seconds: float = 60.0) -> None:
        """Returns when all connections so far have ended, LOGOUT with them, whose answer no client waits for."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended == self.connections, seconds), "a connection goes on"

    def close(self) -> None:
        """Ends the relay and its connections."""
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        self.connections += 1
        server = self._listener.keep(socket.create_connection(("127.0.0.1", self.server_port)))
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        turn = {"asks": False}
        back = threading.Thread(target=self._pass, args=(server, client, turn, False), daemon=True)
        back.start()
        self._pass(client, server, turn, True)
        back.join()
        self._listener.let_go(server)
        with self._changed:
            self._ended += 1
            self._changed.notify_all()

    def _pass(self, one: socket.socket, other: socket.socket, turn: dict[str, bool], asks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 18):
                if not asks:
                    time.sleep(self.wire_seconds)
                    self.answered.append(time.monotonic())
                elif not turn["asks"]:
                    self.asked.append(time.monotonic())
                turn["asks"] = asks
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
