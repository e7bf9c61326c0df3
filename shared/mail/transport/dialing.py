"""Opens TCP connections to mail servers; no other module does.

A process that takes host names from strangers (the web page and the API) sets `allowed`, so that a name is resolved
once and only the addresses that were checked are connected to: a name that means another address a moment later (DNS
rebinding) changes nothing. Workers do so for the endpoints that came that way.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from shared.mail.answers.grammar import clean_text
from shared.wording.often_said import HAS_NO_ADDRESS
from shared.wording.phrases import text_of

#: A function from (host, port) to the addresses that may be connected to, in this order; raises OSError when there are
#: none. None: as the system resolves it.
Allowed = Callable[[str, int], list[str]]
_allowed: Allowed | None = None
_allowed_here: ContextVar[Allowed | None] = ContextVar("allowed_here", default=None)


def restrict(allowed: Allowed | None) -> None:
    """Sets the allowed addresses for the whole process, from now on."""
    global _allowed
    _allowed = allowed


@contextlib.contextmanager
def restricted(allowed: Allowed | None) -> Iterator[None]:
    """Sets the allowed addresses for what this thread does inside the block; None changes nothing."""
    before = _allowed_here.set(allowed or _allowed_here.get())
    try:
        yield
    finally:
        _allowed_here.reset(before)


def connect(host: str, port: int, *, timeout: float) -> socket.socket:
    """Opens a connection. Raises OSError."""
    allowed = _allowed_here.get() or _allowed
    if allowed is None:
        return socket.create_connection((host, port), timeout=timeout)
    failure: OSError | None = None
    for address in allowed(host, port):
        try:
            return socket.create_connection((address, port), timeout=timeout)
        except OSError as error:
            failure = error
    raise failure or OSError(HAS_NO_ADDRESS.says(host=host))


def cause_of(error: OSError | UnicodeError) -> str:
    """Returns why a connection was not opened: a sentence of mailhaul, or the words of the system."""
    return clean_text(error.strerror if isinstance(error, OSError) and error.strerror else text_of(error))
