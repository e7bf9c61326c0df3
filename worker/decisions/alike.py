"""Decides whether messages refused in a row with the same words are at fault, or the destination is. Pure.

A full disk or a broken part of the server is reported in many words, and often without a code. It shows in this: a
server that took messages before takes none any more. A message that is refused for itself stands alone or among others
that are taken, or its code says so.

A disk that is nearly full takes small messages and no large ones, and large ones too when another lane has just given room back.
So where the code blames the server, no message that is taken shows anything: only that several looks bring nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from shared.model.errors import MailError, NothingTaken
from shared.wording.phrases import Phrase
from worker.decisions.sent import Sent

TAKES_NO_MESSAGE_ANY_MORE: Final = Phrase("takes_no_message_any_more", "takes no message any more")

FAULT_OF_ITS_OWN: Final = Phrase(
    "fault_of_its_own",
    "has a fault of its own with messages (by now {num}, the smallest of {smallest} bytes), and takes others",
)

#: A time of day, with its date and brackets.
_TIME: Final = re.compile(r"\[?(?:\d{4}-\d\d-\d\d[ T])?\d\d:\d\d:\d\d\]?")
#: Number of messages refused in a row with the same words that shows that nothing is taken, where the code blames the
#: server.
IN_A_ROW = 5
#: The same number for refusals without a code, while other messages of the batch are still to be tried.
UNCODED_IN_A_ROW = 50
#: Number of attempts in a row that brought nothing else, after which a refusal is believed to be about the messages. Where the
#: code blames the server for every message, it never is.
LOOKS = 3


class Alike:
    """The messages that were refused alone since the destination last took a message."""

    def __init__(self, believed: Callable[[NothingTaken, bool], bool]) -> None:
        """Takes `believed`, which tells whether a refusal is about the message, though nothing here shows it.

        It is asked with the error that is raised otherwise, for refusals whose code blames the server (True), and for those
        without a code, even when every message gets such a refusal.
        """
        self._believed = believed
        self._held: list[tuple[Sent, MailError]] = []
        #: The messages that were refused by the server's fault before others were taken: perhaps for want of room.
        self._faults: list[tuple[Sent, MailError]] = []
        #: The words in which messages were refused while later messages were taken.
        self._about_messages: set[str] = set()

    def note(self, sent: Sent, error: MailError) -> None:
        """Notes that one message was refused. Raises `NothingTaken` where the destination is to blame."""
        self._held.append((sent, error))
        self._judge(IN_A_ROW if _of_the_server(error) else UNCODED_IN_A_ROW)

    def passed_over(self, errors: Iterable[Exception]) -> None:
        """Notes that the destination took messages that came after the ones it refused with `errors`."""
        self._about_messages |= {
            _words(one) for one in errors if isinstance(one, MailError) and not _of_the_server(one)
        }

    def taken(self) -> list[tuple[Sent, MailError]]:
        """Notes that the destination took a message, and returns those refused until then that are refused for themselves."""
        self.passed_over(error for _, error in self._held)
        self._faults += [one for one in self._held if _of_the_server(one[1])]
        held, self._held = self._held, []
        return [one for one in held if not _of_the_server(one[1])]

    def ended(self) -> list[tuple[Sent, MailError]]:
        """Notes that all messages were tried, and returns those that are refused for themselves.

        Raises `NothingTaken`.
        """
        self._judge(IN_A_ROW)
        refused = [*self._faults, *self._held]
        self._faults, self._held = [], []
        faults = [one for one in refused if _of_the_server(one[1])]
        if faults:
            smallest, last = min(sent.size_bytes for sent, _ in faults), faults[-1][1]
            what = FAULT_OF_ITS_OWN.says(num=f"{len(faults):,}", smallest=f"{smallest:,}")
            nothing = NothingTaken(last.side, what, last.detail)
            if not self._believed(nothing, True):
                raise nothing
        return refused

    def _judge(self, most: int) -> None:
        row = [error for _, error in self._held[-most:]]
        if len(row) < most or any(getattr(error, "of_itself", False) for error in row):
            return
        last = row[-1]
        if len({_words(error) for error in row}) > 1 or _words(last) in self._about_messages:
            return
        nothing = NothingTaken(last.side, TAKES_NO_MESSAGE_ANY_MORE.says(), last.detail)
        if _of_the_server(last) or not self._believed(nothing, False):
            raise nothing


def _words(error: MailError) -> str:
    """Returns the server's words without the time at which it said them (Dovecot: `[2026-11-30 15:32:44]`)."""
    return _TIME.sub("", error.detail or error.what)


def _of_the_server(error: MailError) -> bool:
    return bool(getattr(error, "of_the_server", False))
