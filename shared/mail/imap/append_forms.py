"""Tracks which forms of APPEND a server takes.

The forms are literals that do not wait (RFC 7888), and several messages at once (RFC 3502).

Servers announce both forms. Both are believed only once they were seen to work: a refused literal would be read as
commands. An empty literal goes first (`HARMLESS`), and the second message of an APPEND waits for `+`. A form that is
refused or loses the connection all the same is left out for the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.mail.transport.conversation import Conversation, Tagged
from shared.mail.transport.forms import Offer
from shared.model.errors import ConnectionLost, MailError

MULTIAPPEND: Final = "MULTIAPPEND"
#: A command that asks for nothing, with an empty literal that does not wait: a server that does not know that form
#: reads an empty line.
HARMLESS: Final = b'LIST "" {0+}\r\n'
#: LITERAL- lets a literal go without waiting up to this size (RFC 7888 §5).
SHORT_LITERAL: Final = 4096
#: A literal larger than this always waits: a refusal for its size or the quota then costs one round trip, not
#: the upload.
WAITING_LITERAL: Final = 4 * 1024 * 1024
_LITERALS: Final = (("LITERAL+", WAITING_LITERAL), ("LITERAL-", SHORT_LITERAL))


class AppendForms:
    """The forms of APPEND on one connection.

    What it learns of the server is shared with all sessions (`shared.mail.answers.extensions.Broken`).
    """

    def __init__(self, talk: Conversation, offer: Offer) -> None:
        self._talk, self._offer = talk, offer
        #: The extension by which a literal need not wait, as announced; "" without one.
        self._announced = self._literal_name
        #: Whether a literal that did not wait was taken on this connection.
        self.literals_proved = False
        #: Commands that are unanswered and hold such a literal.
        self._hurried: set[bytes] = set()
        #: Commands that hold several messages, until one of them is seen to be taken.
        self._grouped: list[bytes] = []
        #: Messages of a refused group that are still to be taken in another form before the form is known to be the cause.
        self._to_see = set[int]()
        if name := self._literal_name:
            talk.precede(name, HARMLESS, self._prove, first=True)

    @property
    def _literal_name(self) -> str:
        """The extension by which a literal need not wait; "" without one."""
        return next((name for name, _ in _LITERALS if self._offer.has(name)), "")

    def _prove(self, ended: Tagged) -> None:
        self.literals_proved = ended.status == "OK"
        if not self.literals_proved:
            self._talk.broken.leave_out(self._literal_name, self._talk.refusal(ended).detail)

    @property
    def no_wait_bytes(self) -> int:
        """The size of the largest literal that may go without waiting, bytes."""
        if not self.literals_proved:
            return 0
        capabilities = self._offer.capabilities
        return next((most for name, most in _LITERALS if name in capabilities), 0)

    @property
    def several(self) -> bool:
        """Tells whether several messages may go in one APPEND."""
        return self._offer.has(MULTIAPPEND)

    @property
    def several_proved(self) -> bool:
        """Tells whether this server was seen to take several messages in one APPEND.

        The answers to earlier commands count as soon as they were read, so that only the groups before the first answer
        wait.
        """
        if self._grouped and any(map(self._talk.accepted, self._grouped)):
            self._talk.broken.keeps(MULTIAPPEND)
            self._grouped.clear()
        return self._talk.broken.kept(MULTIAPPEND)

    def groups(self, tag: bytes) -> None:
        """Notes that this command holds several messages."""
        if not self._talk.broken.kept(MULTIAPPEND):
            self._grouped.append(tag)

    def hurries(self, tag: bytes) -> None:
        """Notes that this command holds a literal that does not wait."""
        self._hurried.add(tag)

    def blame(self, error: MailError, *, several: bool) -> None:
        """Notes that the connection ended while APPENDs were on their way, with `several` messages in one of them."""
        name, broken = self._doubtful(several=several, hurried=bool(self._hurried)), self._talk.broken
        if not name or self._talk.abandoned or error.side != self._talk.side:
            return
        words = error.detail or error.what
        if isinstance(error, ConnectionLost):
            broken.lost([name], words, several=False)
        else:
            broken.leave_out(name, words)

    def _doubtful(self, *, several: bool, hurried: bool) -> str:
        """Returns the form that such a command used and that the server was not yet seen to take; "" for none."""
        broken = self._talk.broken
        if several and not broken.kept(MULTIAPPEND):
            return MULTIAPPEND
        name = self._literal_name if hurried else ""
        return name if name and not broken.kept(name) else ""

    def see(self, tag: bytes, uids: Sequence[int], ended: Tagged) -> bool:
        """Notes how an APPEND of these messages, UIDs at the source, ended.

        Returns whether what was refused may be taken in another form.

        A form is known to work from the first OK. Where a group is refused and its messages are taken in another form,
        the form was the cause; where one of them is refused in that form too, the message was the cause.
        """
        hurried, broken = tag in self._hurried, self._talk.broken
        self._hurried.discard(tag)
        if ended.status == "OK":
            if len(uids) > 1:
                broken.keeps(MULTIAPPEND)
            if hurried:
                broken.keeps(self._announced)
            self._to_see.difference_update(uids)
            if not self._to_see:
                broken.done_without([MULTIAPPEND, *(name for name, _ in _LITERALS)])
            return False
        error = self._talk.refusal(ended, asked="append")
        name = self._doubtful(several=len(uids) > 1, hurried=hurried)
        if name and error.form:
            broken.suspect(name, error.detail)
            self._to_see = set(uids)
            return True
        if hurried and broken.lacks(self._announced):
            return True  # the command was on its way when another one was refused
        if len(uids) == 1:
            for each in (MULTIAPPEND, *(name for name, _ in _LITERALS)):
                broken.clear(each)
        return False
