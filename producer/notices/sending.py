"""The parts that all ways of sending share: connections that are guarded, and how it fails."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from shared.runtime.config import Settings
from shared.sign_in.reach import Reach, reach_of, resolve
from shared.wording.masking import masked

#: Deadline of each step of a sending, and of the whole, seconds.
STEP_SECONDS: Final = 20.0
WHOLE_SECONDS = 60.0


class NotSent(Exception):
    """The notice was not sent, or it is unknown whether it was.

    With `forever` another attempt would bring the same; `after_seconds` is how long the receiver asks to wait.
    """

    def __init__(self, why: str, *, forever: bool = False, after_seconds: float = 0.0) -> None:
        self.why, self.forever, self.after_seconds = why, forever, after_seconds
        super().__init__(why)

    def without(self, secrets: Iterable[str]) -> NotSent:
        """Returns the same without these secrets: a receiver may repeat what it was sent, and its words are shown."""
        return NotSent(masked(self.why, secrets), forever=self.forever, after_seconds=self.after_seconds)


class ConversationLimit:
    """The deadline of a whole conversation: who drips bytes satisfies the deadline of each step, for ever.

    A context manager; what was connected in it is shut down at the deadline.
    """

    def __init__(self) -> None:
        self._seconds, self._ends = WHOLE_SECONDS, time.monotonic() + WHOLE_SECONDS
        self._line: socket.socket | None = None
        self._clock = threading.Timer(self._seconds, self._end)
        self._clock.daemon = True
        self._over = False

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clock.cancel()
        self._clock.join()
        if self._line:
            self._line.close()

    def connected(self, host: str, port: int, reach: Reach | None) -> socket.socket:
        """Opens a connection, with a guard only to an address that it allows. Raises OSError."""
        failure: OSError | None = None
        for address in reach.addresses(host, port) if reach else resolve(host, port):
            left = self._ends - time.monotonic()
            if left <= 0:
                break
            try:
                line = socket.create_connection((address, port), timeout=min(STEP_SECONDS, left))
            except OSError as error:
                failure = error
                continue
            line.settimeout(STEP_SECONDS)
            self._line = line.dup()  # TLS takes the other one over
            if self._over:
                self._end()
            return line
        raise failure or OSError(f"{host} has no address")

    def said(self, error: Exception) -> str:
        """Returns what went wrong, as `spoken`; the deadline where that was it."""
        return f"the conversation did not end within {self._seconds:g} seconds" if self._over else spoken(error)

    def _end(self) -> None:
        self._over = True
        if self._line:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                self._line.shutdown(socket.SHUT_RDWR)


def reach_of_notices(settings: Settings) -> Reach:
    """Returns what guards a target that came by page or API. Raises `UsageError`."""
    return reach_of(settings.web_allow or "", settings.notify_ports, "MAILHAUL_NOTIFY_PORTS")


def spoken(error: Exception) -> str:
    """Returns what went wrong, in one line of at most 300 characters."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    return text[:300]
