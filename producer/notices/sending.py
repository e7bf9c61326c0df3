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
from shared.wording.often_said import HAS_NO_ADDRESS
from shared.wording.phrases import Phrase, Sentence, changed, text_of

OF_HOST: Final = Phrase("notice_of_host", "{host}: {cause}")
ANSWERS: Final = Phrase("notice_answered", "{host} answers {status} {said}")
ANSWERS_ALONE: Final = Phrase("notice_answered_alone", "{host} answers {status}")
DID_NOT_END: Final = Phrase("notice_did_not_end", "the conversation did not end within {seconds} seconds")

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
        return NotSent(
            changed(self.why, lambda text: masked(text, secrets)),
            forever=self.forever,
            after_seconds=self.after_seconds,
        )


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
        raise failure or OSError(HAS_NO_ADDRESS.says(host=host))

    def said(self, error: Exception) -> str:
        """Returns what went wrong, as `spoken`; the deadline where that was it."""
        return DID_NOT_END.says(seconds=f"{self._seconds:g}") if self._over else spoken(error)

    def _end(self) -> None:
        self._over = True
        if self._line:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                self._line.shutdown(socket.SHUT_RDWR)


def reach_of_notices(settings: Settings) -> Reach:
    """Returns what guards a target that came by page or API. Raises `UsageError`."""
    return reach_of(settings.web_allow or "", settings.notify_ports, "MAILHAUL_NOTIFY_PORTS")


def answered(host: str, status: int, said: str) -> Sentence:
    """Says what a receiver answered."""
    if said:
        return ANSWERS.says(host=host, status=str(status), said=said)
    return ANSWERS_ALONE.says(host=host, status=str(status))


def spoken(error: Exception) -> str:
    """Returns what went wrong: a sentence of mailhaul, else one line of at most 300 characters."""
    if isinstance(said := text_of(error), Sentence):
        return said
    text = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    return text[:300]
