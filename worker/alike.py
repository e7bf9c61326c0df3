"""Messages that are refused one after the other in the same words: is it the messages, or the destination? Pure.

A disk that is full, or a part of the server that is broken, is told in many words and often without a code. What shows it is that
nothing is taken any more by a server that took messages before. A message that is refused for itself stands alone, or among
others that are taken, or its code says so.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.errors import MailError, MessagesRefused, NothingTaken
from shared.model import Failure
from worker.decide import Sent

#: Messages in a row, refused in the same words, that show that nothing is taken.
IN_A_ROW = 5
#: Looks in a row that brought nothing, after which a refusal without a code is believed to be about the messages.
LOOKS = 3


class Alike:
    """What was refused alone since the destination last took a message."""

    def __init__(self, took_before: Callable[[], bool], failure: Failure | None) -> None:
        """`took_before` says whether the destination took any message of this mailbox; `failure` is the mailbox's last one."""
        self._took_before = took_before
        self._looks = failure.times if failure is not None and failure.code == "destination_takes_nothing" else 0
        self._held: list[tuple[Sent, MailError]] = []

    def note(self, sent: Sent, error: MailError) -> None:
        """One message was refused. Raises `NothingTaken` where it is the destination."""
        self._held.append((sent, error))
        row = self._held[-IN_A_ROW:]
        about_them = any(getattr(one, "of_itself", False) for _, one in row)
        same = len({(one.what, one.detail) for _, one in row}) == 1
        if len(row) < IN_A_ROW or about_them or not same:
            return
        coded = isinstance(error, MessagesRefused) and error.of_the_server
        if coded or (self._looks < LOOKS and self._took_before()):
            raise NothingTaken(error.side, "takes no message any more", error.detail)

    def clear(self) -> list[tuple[Sent, MailError]]:
        """Those that are refused for themselves."""
        held, self._held = self._held, []
        return held
