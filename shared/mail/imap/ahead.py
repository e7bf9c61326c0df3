"""Sends commands before their turn, so that a folder is opened and read in one round trip (RFC 9051 §5.5).

A caller that knows what comes next says so, and the command is sent at once; the caller that later wants to send it
takes the tag instead. Only commands of one line that change no message are sent ahead: STATUS, FETCH of what is not marked as
read by it, and what opens or leaves a folder. A BAD to one, as to FETCH after an EXAMINE that was refused, can do no harm.

What opens a folder closes the one that is open. Where the caller never comes for it, the folder that is meant is opened again
before anything else is said about it (`strayed`). An answer is as old as the command: whoever needs one of now settles first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from shared.mail.answers.extensions import PIPELINING
from shared.mail.transport.conversation import Conversation, Tagged

#: The command that leaves the folder that is open (RFC 3691).
UNSELECT: Final = b"UNSELECT"
#: The beginnings of the commands that open a folder, or close the one that is open.
_OPENING: Final = (b"EXAMINE ", b"SELECT ", UNSELECT)


class Ahead:
    """The commands that were sent ahead and not yet taken, in the order sent."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._sent: deque[tuple[bytes, bytes]] = deque()
        #: Whether a folder was opened by a command that nobody took, so that another one than its session says may be open.
        self.strayed = False

    def __bool__(self) -> bool:
        return bool(self._sent)

    def __contains__(self, command: bytes) -> bool:
        return any(sent == command for sent, _ in self._sent)

    def ask(self, commands: Sequence[bytes]) -> None:
        """Sends the commands in one flight."""
        self.note(commands, self._talk.send_all(commands))

    def note(self, commands: Sequence[bytes], tags: Sequence[bytes]) -> None:
        """Notes commands that were sent ahead."""
        self._talk.forgive(tags)
        self._sent.extend(zip(commands, tags, strict=True))

    def leads_to(self, command: bytes) -> bool:
        """Tells whether `command` was sent ahead next. The same words further back are meant for another folder."""
        return bool(self._sent) and self._sent[0][0] == command

    def take(self, command: bytes) -> bytes | None:
        """Returns the tag of `command` if it was sent ahead next, else None."""
        if not self.leads_to(command):
            return None
        _, tag = self._sent.popleft()
        if self._talk.refused(tag) and not self._talk.broken.kept(PIPELINING):
            # The command may have come too early for this server: it is sent once more, in its turn.
            self._talk.broken.leave_out(PIPELINING, self._talk.refusal(self._talk.finish(tag)).detail)
            self.settle()
            return None
        self._talk.insist(tag)
        self._talk.flew = True
        return tag

    def ends(self, commands: Sequence[bytes], take: Callable[[int, list[bytes]], object]) -> list[Tagged] | None:
        """Returns the ends of these commands as `Conversation.run` does, if all of them were sent ahead, in whatever order.

        Else None, and nothing is on its way any more.
        """
        left = {command: place for place, command in enumerate(commands)}
        ended: dict[int, Tagged] = {}
        if len(left) == len(commands) and all(command in self for command in left):
            while left and self._sent:
                command = self._sent[0][0]
                if (place := left.pop(command, None)) is None:
                    self._drop()
                elif tag := self.take(command):
                    ended[place] = self._talk.finish(tag, partial(take, place))
        if len(ended) < len(commands):
            self.settle()
            return None
        return [ended[place] for place in range(len(commands))]

    def stepped_out(self) -> bool:
        """Tells whether another folder than the session's may be open, or none. Reads the answer where UNSELECT was sent."""
        if UNSELECT in self:
            self.settle()
        return self.strayed

    def settle(self, until: bytes = b"") -> None:
        """Reads the answers to all commands that were sent before `until`, and forgets them."""
        while self._sent and self._sent[0][0] != until:
            self._drop()

    def _drop(self) -> None:
        command, tag = self._sent.popleft()
        self.strayed = self.strayed or command.startswith(_OPENING)
        self._talk.finish(tag)
