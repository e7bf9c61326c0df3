"""The parts that all ways of sending share: connections that are guarded, and how it fails."""

from __future__ import annotations

import socket

from shared.reach import Reach

#: Deadline of each step of a sending, seconds.
SECONDS = 20.0


class NotSent(Exception):
    """The notice was not sent, or nobody knows whether it was.

    With `forever` another attempt would bring the same; `after_seconds` is how long the receiver asks to wait.
    """

    def __init__(self, why: str, *, forever: bool = False, after_seconds: float = 0.0) -> None:
        self.why, self.forever, self.after_seconds = why, forever, after_seconds
        super().__init__(why)


def connected(host: str, port: int, reach: Reach | None) -> socket.socket:
    """Opens a connection, with a guard only to an address that it allows. Raises OSError."""
    if reach is None:
        return socket.create_connection((host, port), timeout=SECONDS)
    failure: OSError | None = None
    for address in reach.addresses(host, port):
        try:
            return socket.create_connection((address, port), timeout=SECONDS)
        except OSError as error:
            failure = error
    raise failure or OSError(f"{host} has no address")


def spoken(error: Exception) -> str:
    """Returns what went wrong, in one line of at most 300 characters."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    return text[:300]
