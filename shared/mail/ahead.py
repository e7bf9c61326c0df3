"""Commands that are sent before their turn, so that a folder is opened and read in one round trip (RFC 9051 §5.5).

Whoever knows what comes next says so; the command is on its way at once, and who later wants to send it takes the tag
instead. Only reading is asked ahead: a BAD to it, as after an EXAMINE that was refused, can do no harm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from shared.mail.conversation import Conversation
from shared.mail.extensions import PIPELINING


class Ahead:
    """What was asked and not yet taken, in the order sent."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._sent: deque[tuple[bytes, bytes]] = deque()

    def __bool__(self) -> bool:
        return bool(self._sent)

    def __contains__(self, command: bytes) -> bool:
        return any(sent == command for sent, _ in self._sent)

    def ask(self, commands: Sequence[bytes]) -> None:
        """Sends them in one flight."""
        tags = self._talk.send_all(commands)
        self._talk.forgive(tags)
        self._sent.extend(zip(commands, tags, strict=True))

    def leads_to(self, command: bytes) -> bool:
        """Whether just this was asked next. The same words further back are meant for another folder."""
        return bool(self._sent) and self._sent[0][0] == command

    def take(self, command: bytes) -> bytes | None:
        """The tag of `command`, when just this was asked next."""
        if not self.leads_to(command):
            return None
        _, tag = self._sent.popleft()
        if self._talk.refused(tag) and not self._talk.broken.kept(PIPELINING):
            # It may have come too early for this server: it is asked once more, in its turn.
            self._talk.broken.leave_out(PIPELINING, self._talk.refusal(self._talk.finish(tag)).detail)
            self.settle()
            return None
        self._talk.insist(tag)
        self._talk.flew = True
        return tag

    def settle(self, until: bytes = b"") -> None:
        """Reads the answers to all that was asked before `until`, and forgets them."""
        while self._sent and self._sent[0][0] != until:
            self._talk.finish(self._sent.popleft()[1])
