"""Stores messages: MULTIAPPEND or pipelined APPEND with literals that do not wait (RFC 3502, RFC 4315, RFC 7888).

THE RULE. When a server refuses a command whose literal was sent without waiting, it may read the message *as commands*.
So a literal waits for `+` unless everything before it has been proved on this connection. The first literal of a
connection always waits (that proves the folder and the form of dates). So does one whose flags hold a keyword that the
folder does not list and that no literal has been let through with: into this folder, or into another where PERMANENTFLAGS says
that this one takes new keywords. So does one with a system flag that PERMANENTFLAGS leaves out: a BAD to these is a refusal
like another. A literal whose date is outside of the usual
(`shared.content.dates`) waits until the server was seen to keep such a date; a BAD to it is a refusal like another. After any
other BAD the socket is reset at once. That the server takes such literals at all, and several messages at once, is
proved too (`shared.mail.imap.append_forms`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.mail import Appended, KeptDates, Message
from shared.mail.answers.grammar import flag_list, system_flag
from shared.mail.answers.internaldate import render_internaldate
from shared.mail.answers.limits import append_limit, too_large
from shared.mail.answers.responses import appended_uids
from shared.mail.imap.ahead import UNSELECT
from shared.mail.imap.append_forms import AppendForms
from shared.mail.imap.imap_looking import LookingSession
from shared.mail.imap.session import Session
from shared.model.errors import DateNotKept, FolderRefused, MailError, MessagesRefused, ProtocolViolation
from shared.model.sides import Side
from shared.model.uids import Uid
from shared.wording.often_said import INTERNAL_ERROR
from shared.wording.phrases import Phrase

OTHER_LITERAL: Final = Phrase("other_literal", "{num} bytes for a literal of {size}")
NO_FOLDER_IS_OPEN_TO_APPEND: Final = Phrase("no_folder_is_open_to_append", "no folder is open to append to")
GAVE_BODY_OF_ANOTHER_LENGTH: Final = Phrase(
    "gave_body_of_another_length", "gave a body of another length than it announced"
)
DID_NOT_UNDERSTAND_FLAGS: Final = Phrase("did_not_understand_flags", "did not understand the flags")
DID_NOT_UNDERSTAND_INTERNAL_DATE: Final = Phrase(
    "did_not_understand_internal_date", "did not understand the internal date"
)


@dataclass(slots=True)
class _Group:
    """A group that was sent and is not answered yet."""

    #: The caller's name for it.
    token: object
    #: The UIDs of its messages at the source.
    uids: tuple[int, ...]
    #: Each command's tag with the positions it carries; MULTIAPPEND has one command.
    commands: list[tuple[bytes, tuple[int, ...]]] = field(default_factory=list)
    #: Positions refused before anything was sent.
    refused: dict[int, Exception] = field(default_factory=dict)
    #: Whether a literal of it waited, and would not have, had another been let through before.
    waited: bool = False


class AppendSession(LookingSession):
    """A session that stores messages in the folder that is open. See `shared.mail.MailDestination`."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._forms = AppendForms(session.talk, session.offer)
        #: Bytes of the largest message that the folder now open takes; None where the server names no limit.
        self._limit = append_limit(self.capabilities)
        self._folder_proved = False
        self._date_proved = False
        self._proved: set[str] = set()
        #: The keywords that a literal was let through with, in whichever folder.
        self._known: set[str] = set()
        #: The system flags that the open folder keeps, in small letters; None where it does not say.
        self._permanent: frozenset[str] | None = None
        #: Commands with flags of which it is unknown whether the folder takes them, and these flags.
        self._doubted: dict[bytes, frozenset[str]] = {}
        self._flag_cache: dict[tuple[str, ...], tuple[bytes, frozenset[str]]] = {}
        #: Whether the folder had no messages when it was opened.
        self._was_empty = False
        #: Whether the server refused several messages together since the folder was opened.
        self._taken_back = False
        #: The folder that is open, as a command names it; b"" for none.
        self._into = b""
        self._unanswered: deque[_Group] = deque()

    @property
    def dates(self) -> KeptDates:
        """Implements `MailDestination.dates`."""
        return self._talk.broken.dates

    @property
    def commands(self) -> int:
        """Implements `MailDestination.commands`."""
        return self._talk.commands

    @property
    def _may_send_literals(self) -> bool:
        return self._forms.literals_proved

    def send(self, group: Sequence[Message], flags: Sequence[tuple[str, ...]], token: object) -> None:
        """Implements `MailDestination.send`.

        Raises FolderRefused when no folder is open, and ValueError for a text that is no flag.
        """
        if not self._into:
            raise FolderRefused(self.side, NO_FOLDER_IS_OPEN_TO_APPEND.says())
        self._step_out()
        state = _Group(token=token, uids=tuple(message.uid for message in group))
        self._unanswered.append(state)
        self._wire.begin()
        positions = []
        for position, message in enumerate(group):
            if self._limit is not None and message.size_bytes > self._limit:
                state.refused[position] = MessagesRefused(self.side, too_large(self._limit))
            else:
                positions.append(position)
        if not positions:
            return
        try:
            if self._forms.several:
                most = self._most or len(positions)
                for at in range(0, len(positions), most):
                    self._send_command(group, flags, tuple(positions[at : at + most]), state)
            else:
                self._send_singly(group, flags, positions, state)
        except MailError as error:
            self._blame(error)
            raise

    def _step_out(self) -> None:
        """Leaves the folder before it is appended to, where a server may lose what goes into it while it is open.

        GNU Mailutils, which has no UIDPLUS, writes the mbox file as the connection knew it. Dovecot fills an mbox file that was
        empty with NULs once it took messages of a group back, which may yet come. The folder is opened again before anything is
        said about it.
        """
        uncertain = self._taken_back or (self._was_empty and bool(self._unanswered))
        doubtful = uncertain or "UIDPLUS" not in self.capabilities
        left = self._ahead.strayed or UNSELECT in self._ahead
        if doubtful and not left and self._has("UNSELECT"):
            self._ahead.settle()
            self._ahead.ask([UNSELECT])
            if self._talk.serial:
                self._ahead.settle()

    def _blame(self, error: MailError) -> None:
        """Notes that a form of APPEND may have been the cause, where the connection ended."""
        if self._wire.shut:
            several = any(len(positions) > 1 for state in self._unanswered for _, positions in state.commands)
            self._forms.blame(error, several=several)

    def _send_singly(
        self, group: Sequence[Message], flags: Sequence[tuple[str, ...]], positions: Sequence[int], state: _Group
    ) -> None:
        parts: list[bytes] = []
        for position in positions:
            message = group[position]
            if parts and self._talk.serial:
                self._wire.send(parts)
                parts = []
            tag = self._talk.new_tag()
            state.commands.append((tag, (position,)))
            parts.append(tag + b" APPEND " + self._into)
            if self._literal(tag, message, flags[position], parts):
                parts.append(b"\r\n")
        if parts:
            self._wire.send(parts)

    def _send_command(
        self, group: Sequence[Message], flags: Sequence[tuple[str, ...]], positions: tuple[int, ...], state: _Group
    ) -> None:
        tag = self._talk.new_tag()
        state.commands.append((tag, positions))
        parts = [tag + b" APPEND " + self._into]
        for number, position in enumerate(positions):
            if not self._literal(tag, group[position], flags[position], parts, second=number == 1):
                return  # refused where `+` was due: the server reads commands again
        parts.append(b"\r\n")
        self._wire.send(parts)

    def _literal(
        self, tag: bytes, message: Message, flags: tuple[str, ...], parts: list[bytes], *, second: bool = False
    ) -> bool:
        """Adds flags, date and body to `parts`, sending what must go first.

        Returns False when the server refused to take it. `second`: whether it follows the first message of an APPEND,
        which proves MULTIAPPEND.
        """
        text, keywords = self._flag_cache.get(flags) or self._flags_text(flags)
        size = message.size_bytes
        date = message.internaldate
        when = b"" if date is None else b" " + render_internaldate(date, message.zone_minutes)
        proved = self._folder_proved and (self._date_proved or not when) and keywords <= self._proved
        if date is not None and not self.dates.kept(date):
            proved = False
            self._talk.forgive([tag])  # nothing but a line was sent, or a literal that the server asked for
        if not keywords <= self._proved:
            self._talk.forgive([tag])
            self._doubted[tag] = self._doubted.get(tag, frozenset()) | keywords
        if second:
            proved = self._forms.several_proved and proved
            self._forms.groups(tag)
        if proved and size <= self._forms.no_wait_bytes:
            self._forms.hurries(tag)
            parts.append(b" %b%b {%d+}\r\n" % (text, when, size))
        else:
            parts.append(b" %b%b {%d}\r\n" % (text, when, size))
            self._unanswered[-1].waited |= size <= self._forms.no_wait_bytes
            self._wire.send(parts)
            parts.clear()
            if not self._talk.proceed(tag):
                return False
            self._folder_proved = True
            self._date_proved = self._date_proved or bool(when)
            self._prove(keywords)
        if message.body is not None:
            if len(message.body) != size:
                raise self._talk.violation(
                    INTERNAL_ERROR.says(what=OTHER_LITERAL.says(num=str(len(message.body)), size=str(size)))
                )
            parts.append(message.body)
        else:
            self._pour(message, parts)
        return True

    def _prove(self, flags: frozenset[str]) -> None:
        named = {flag for flag in flags if system_flag(flag) is None}
        self._proved |= named
        self._known |= named

    def _pour(self, message: Message, parts: list[bytes]) -> None:
        """Sends a body straight from the source. Whatever goes wrong in the middle, this connection cannot go on."""
        left = message.size_bytes
        try:
            if parts:
                self._wire.send(parts)
                parts.clear()
            for chunk in message.stream or ():
                left -= len(chunk)
                if left < 0:
                    break
                self._wire.send([chunk])
        except BaseException:
            self._wire.abort(reset=True)
            raise
        if left:
            self._wire.abort(reset=True)
            raise ProtocolViolation(Side.SOURCE, GAVE_BODY_OF_ANOTHER_LENGTH.says())

    def _flags_text(self, flags: tuple[str, ...]) -> tuple[bytes, frozenset[str]]:
        kept = self._permanent
        found = (
            flag_list(flags),
            frozenset(
                flag.lower()
                for flag in flags
                if system_flag(flag) is None or (kept is not None and flag.lower() not in kept)
            ),
        )
        if len(self._flag_cache) >= 4096:
            self._flag_cache.clear()
        self._flag_cache[flags] = found
        return found

    def answers(self, *, outstanding: int = 0) -> Iterator[Appended]:
        """Implements `MailDestination.answers`."""
        while len(self._unanswered) > outstanding:
            state = self._unanswered[0]
            answer = self._answer(state)
            self._unanswered.popleft()
            yield answer

    def _answer(self, state: _Group) -> Appended:
        refused = dict(state.refused)
        stored: list[int] = []
        uids: dict[int, Uid] = {}
        uidvalidity = None
        for tag, positions in state.commands:
            try:
                ended = self._talk.finish(tag)
            except MailError as lost:
                self._blame(lost)
                raise
            again = self._forms.see(tag, [state.uids[position] for position in positions], ended)
            doubted = self._doubted.pop(tag, frozenset())
            if ended.status == "OK":
                self._proved |= doubted
            else:
                self._taken_back = self._taken_back or len(positions) > 1
                error = self._talk.refusal(ended, asked="append")
                if (
                    ended.status == "BAD"
                ):  # only one to an unusual date, or to flags in doubt, does not shut the connection
                    error = (
                        MessagesRefused(self.side, DID_NOT_UNDERSTAND_FLAGS.says(), error.detail)
                        if doubted
                        else DateNotKept(self.side, DID_NOT_UNDERSTAND_INTERNAL_DATE.says(), error.detail)
                    )
                error.again = again
                refused.update(dict.fromkeys(positions, error))
                continue
            stored += positions
            told = appended_uids(ended.text)
            if told is not None and len(told[1]) == len(positions):
                uidvalidity = told[0]
                uids.update(zip(positions, told[1], strict=True))
        stored.sort()
        known = bool(stored) and len(uids) == len(stored)
        return Appended(
            token=state.token,
            uids=tuple(uids[position] for position in stored) if known else None,
            uidvalidity=uidvalidity if known else None,
            refused=refused,
            stored=tuple(stored),
            waited=state.waited,
        )
