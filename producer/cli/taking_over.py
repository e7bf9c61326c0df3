"""Connections of a command to the embedded Redis of another command: where that one ends, the server is taken over.

A command looks whether the server is there before it does something, and the other may end in the middle of that.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from redis import UnixDomainSocketConnection


def taking_over(revive: Callable[[], str]) -> type[UnixDomainSocketConnection]:
    """Returns connections that call `revive` where the server is gone: it returns the path of the socket, or "" to leave it so."""

    class EmbeddedConnection(UnixDomainSocketConnection):
        """A connection that is opened again at the server that `revive` started."""

        def _connect(self) -> socket.socket:
            try:
                return self._opened()
            except OSError:
                path = revive()
                if not path:
                    raise
                self.path = path
            return self._opened()

        def _opened(self) -> socket.socket:
            found: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
            return found

    return EmbeddedConnection
