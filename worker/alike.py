"""Messages that are refused one after the other in the same words: is it the messages, or the destination? Pure.

A disk that is full, or a part of the server that is broken, is told in many words and often without a code. What shows it is that
nothing is taken any more by a server that took messages before. A message that is refused for itself stands alone, or among
others that are taken, or its code says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.errors import MailError, NothingTaken
from worker.decide import Sent

#: Messages in a row, refused in the same words, that show that nothing is taken: where the code says that it is the server.
IN_A_ROW = 5
#: The same without a code, while others of the batch are still to be tried.
UNCODED_IN_A_ROW = 50
#: Looks in a row that brought nothing, after which a refusal without a code is believed to be about the messages.
LOOKS = 3


class Alike:
    """What was refused alone since the destination last took a message."""

    def __init__(self, believed: Callable[[], bool]) -> None:
        """`believed` says whether a refusal without a code is about the message even when every message gets it."""
        self._believed = believed
        self._held: list[tuple[Sent, MailError]] = []
        #: Words in which messages were refused while others were taken afterwards.
        self._about_messages: set[str] = set()

    def note(self, sent: Sent, error: MailError) -> None:
        """One message was refused. Raises `NothingTaken` where it is the destination."""
        self._held.append((sent, error))
        self._judge(IN_A_ROW if _of_the_server(error) else UNCODED_IN_A_ROW)

    def passed_over(self, errors: Iterable[Exception]) -> None:
        """The destination took messages that came after those that it refused so."""
        self._about_messages |= {
            _words(one) for one in errors if isinstance(one, MailError) and not _of_the_server(one)
        }

    def taken(self) -> list[tuple[Sent, MailError]]:
        """The destination took a message: those that were refused until then are refused for themselves."""
        self.passed_over(error for _, error in self._held)
        return self._clear()

    def ended(self) -> list[tuple[Sent, MailError]]:
        """All were tried: those that are refused for themselves. Raises `NothingTaken`."""
        self._judge(IN_A_ROW)
        return self._clear()

    def _judge(self, most: int) -> None:
        row = [error for _, error in self._held[-most:]]
        if len(row) < most or any(getattr(error, "of_itself", False) for error in row):
            return
        last = row[-1]
        if len({_words(error) for error in row}) > 1 or _words(last) in self._about_messages:
            return
        if _of_the_server(last) or not self._believed():
            raise NothingTaken(last.side, "takes no message any more", last.detail)

    def _clear(self) -> list[tuple[Sent, MailError]]:
        held, self._held = self._held, []
        return held


def _words(error: MailError) -> str:
    return error.detail or error.what


def _of_the_server(error: MailError) -> bool:
    return bool(getattr(error, "of_the_server", False))
