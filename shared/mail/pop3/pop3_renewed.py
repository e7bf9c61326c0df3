"""A POP3 session that outlasts the messages at which its server ends the connection.

Some servers fall over one message: at TOP or RETR of it, or at LIST or UIDL when they come to it. The connection is opened anew
then, and the message is asked for alone. Where that ends the connection once more, the message is refused, and the others are asked
for as before. A maildrop that is another one by then is left to the next attempt, and so is one with many such messages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Final

from shared.mail.pop3.pop3_conversation import DEPTH, Pop3Session
from shared.model.errors import ConnectionLost, MailError, MessageEndsConnection
from shared.wording.often_said import ENDS_CONNECTION_AT_MESSAGE

#: Most times that a session is opened anew, so that no account is signed in to without end.
MOST_REOPENED: Final = 8

#: The answers to LIST and UIDL: (message number, bytes), and number → unique-id.
Listed = tuple[list[tuple[int, int]], dict[int, bytes]]


class RenewedSession:
    """A signed-in session, used by one thread; `abort` may be called from others."""

    def __init__(self, session: Pop3Session, reopen: Callable[[], Pop3Session] | None = None) -> None:
        """Takes `reopen`, which signs in once more; None where that is not to be done."""
        self.side, self.capabilities = session.side, session.capabilities
        self._session, self._reopen = session, reopen
        self._left = MOST_REOPENED
        self._aborted = threading.Event()
        #: The commands that ended the connection, without their number of lines, and the messages that they were about.
        self._ending: set[tuple[bytes, int]] = set()
        self._listed: Listed | None = None

    def counted(self) -> int | None:
        """Returns what `Pop3Session.counted` does."""
        return self._session.counted()

    def listing(self, counted: int) -> Listed:
        """Returns what `Pop3Session.listing` does; where the server ends the connection, message by message.

        `counted` is the number of messages. What ends the connection again is left out.
        """
        try:
            self._listed = self._session.listing()
        except ConnectionLost as lost:
            numbers = range(1, counted + 1)
            self._again(lost)
            try:
                sizes = self._session.sizes()
            except ConnectionLost as again:
                self._again(again)
                told = self._each(b"LIST", numbers)
                sizes = [(number, int(size)) for number, size in told.items() if size.isdigit()]
                try:
                    self._listed = sizes, self._session.ids()
                    return self._listed
                except ConnectionLost as broken:
                    self._again(broken)
            self._listed = sizes, self._each(b"UIDL", [number for number, _ in sizes])
        return self._listed

    def _each(self, word: bytes, numbers: Iterable[int]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for number in numbers:
            try:
                told = self._session.told_of(word, number)
            except ConnectionLost as lost:  # it ended the connection among others before, and now by itself
                self._again(lost)
            else:
                found |= {number: told} if told else {}
        return found

    def messages(
        self, commands: Sequence[bytes], refused: dict[int, MailError], listed: Sequence[int], *, lasting: bool = True
    ) -> Iterator[tuple[int, bytes | IO[bytes]]]:
        """Yields and refuses what `Pop3Session.messages` does, and refuses the messages that end the connection.

        Not `lasting`: whatever ends the connection is raised. Where it ended among several messages, they are asked for one by one
        up to the one that ends it again: the answers to those before it may have been lost with it.
        """
        at = singly = 0
        while at < len(commands):
            word, number = _about(commands[at])
            if (word, number) in self._ending:
                refused[at] = MessageEndsConnection(self.side, ENDS_CONNECTION_AT_MESSAGE.says())
                at += 1
                continue
            doubtful = any(number == one for _, one in self._ending)
            known = (place for place in range(at, len(commands)) if _about(commands[place]) in self._ending)
            end = at + 1 if singly or doubtful else next(known, len(commands))
            no: dict[int, MailError] = {}
            last = -1
            lost: ConnectionLost | None = None
            try:
                for place, body in self._session.messages(commands[at:end], no, listed[at:end]):
                    last = place
                    yield at + place, body
            except ConnectionLost as error:
                if not lasting:
                    raise
                lost = error
            refused.update((at + place, error) for place, error in no.items())
            at += max([last, *no]) + 1
            if lost is None:
                singly = max(0, singly - 1)
                continue
            self._again(lost)
            if singly or doubtful:
                self._ending.add(_about(commands[at]))
            singly = 0 if singly else DEPTH

    def _again(self, lost: ConnectionLost) -> None:
        """Opens the session anew. Raises `lost` where that cannot be done, or the maildrop is not what it was."""
        if self._reopen is None or not self._left or self._aborted.is_set():
            raise lost
        self._left -= 1
        try:
            self._session.wire.close()
            self._session = self._reopen()
            if self._aborted.is_set():
                self._session.wire.abort()
                raise lost
            if self._listed is not None and not _goes_on(self._listed, self._session.listing()):
                raise lost
        except MailError:
            raise lost from None

    def noop(self) -> None:
        """Makes a round trip."""
        self._session.noop()

    def close(self) -> None:
        """Sends QUIT. Never raises."""
        self._session.close()

    def abort(self) -> None:
        """Shuts the socket at once, from any thread. Never raises."""
        self._aborted.set()
        self._session.wire.abort()


def _about(command: bytes) -> tuple[bytes, int]:
    """Returns the word of a command, and the number of its message."""
    word, number, *_ = command.split()
    return word, int(number)


def _goes_on(before: Listed, now: Listed) -> bool:
    """Tells whether the maildrop holds under the same numbers what it held, and nothing or more behind that."""
    (sizes, ids), (sizes_now, ids_now) = before, now
    return sizes_now[: len(sizes)] == sizes and all(ids_now.get(number) == one for number, one in ids.items())
