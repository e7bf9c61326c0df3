"""Stores messages: MULTIAPPEND or pipelined APPEND with literals that do not wait (RFC 3502, RFC 4315, RFC 7888).

THE RULE. When a server refuses a command whose literal was sent without waiting, it may read the message *as commands*.
So a literal waits for `+` unless everything before it has been proved on this connection. The first literal of a
connection always waits (that proves the folder and the form of dates). So does one whose flags hold a keyword that the
folder does not list and that no literal has been let through with. A literal whose date is outside of the usual
(`shared.content.dates`) waits until the server was seen to keep such a date; a BAD to it is a refusal like another. After any
other BAD the socket is reset at once. That the server takes such literals at all, and several messages at once, is
proved too (`shared.mail.imap.append_forms`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from shared.folders.tree import selectable
from shared.mail import Appended, FlagChange, KeptDates, KeptFlags, KnownStatus, Message, Quota
from shared.mail.answers.grammar import flag_list, system_flag
from shared.mail.answers.internaldate import render_internaldate
from shared.mail.answers.limits import APPENDLIMIT, append_limit, too_large
from shared.mail.answers.message_limit import cut_short
from shared.mail.answers.responses import appended_uids, copied_uids, status_answer
from shared.mail.imap.append_forms import AppendForms
from shared.mail.imap.flights import PIECE
from shared.mail.imap.imap_looking import LookingSession
from shared.mail.imap.imap_mailbox import shown
from shared.mail.imap.quota import storage_of
from shared.mail.imap.session import Session
from shared.mail.transport.conversation import Tagged
from shared.model.errors import (
    ConnectionLost,
    DateNotKept,
    FolderRefused,
    MailError,
    MessagesRefused,
    ProtocolViolation,
)
from shared.model.sides import Side
from shared.model.uids import Uid, UidSet
from shared.wording.often_said import INTERNAL_ERROR, STATUS_MAKES_NO_SENSE
from shared.wording.phrases import Phrase

OTHER_LITERAL: Final = Phrase("other_literal", "{num} bytes for a literal of {size}")

WOULD_NOT_CHANGE_FLAGS: Final = Phrase("would_not_change_flags", "would not change flags")
WOULD_NOT_REMOVE_MESSAGES: Final = Phrase("would_not_remove_messages", "would not remove messages")
WOULD_NOT_RENAME: Final = Phrase("would_not_rename", "would not rename {folder}")
NO_FOLDER_IS_OPEN_TO_APPEND: Final = Phrase("no_folder_is_open_to_append", "no folder is open to append to")
GAVE_BODY_OF_ANOTHER_LENGTH: Final = Phrase(
    "gave_body_of_another_length", "gave a body of another length than it announced"
)
WOULD_NOT_CREATE: Final = Phrase("would_not_create", "would not create {folder}")
DID_NOT_UNDERSTAND_INTERNAL_DATE: Final = Phrase(
    "did_not_understand_internal_date", "did not understand the internal date"
)
WOULD_NOT_MOVE_MESSAGES: Final = Phrase("would_not_move_messages", "would not move messages")
WOULD_NOT_COPY_MESSAGES: Final = Phrase("would_not_copy_messages", "would not copy messages")


@dataclass(slots=True)
class _Group:
    """A group that was sent and is not answered yet."""

    #: The caller's name for it.
    token: object
    #: Number of messages in it.
    count: int
    #: Each command's tag with the positions it carries; MULTIAPPEND has one command.
    commands: list[tuple[bytes, tuple[int, ...]]] = field(default_factory=list)
    #: Positions refused before anything was sent.
    refused: dict[int, Exception] = field(default_factory=dict)


#: The command before its UIDs, the UIDs, and the text after them.
_Change = tuple[bytes, UidSet, bytes]


class ImapDestination(LookingSession):
    """The side that is written to. See `shared.mail.MailDestination`."""

    _follows_changes = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._forms = AppendForms(session.talk, session.offer)
        #: Bytes of the largest message that the folder now open takes; None where the server names no limit.
        self._limit = append_limit(self.capabilities)
        self._limits: dict[bytes, int | None] = {}
        self._folder_proved = False
        self._date_proved = False
        self._proved: set[str] = set()
        self._flag_cache: dict[tuple[str, ...], tuple[bytes, frozenset[str]]] = {}
        self._into = self._opened = b""
        self._unanswered: deque[_Group] = deque()

    @property
    def dates(self) -> KeptDates:
        """Implements `MailDestination.dates`."""
        return self._talk.broken.dates

    @property
    def kept_flags(self) -> KeptFlags:
        """Implements `MailDestination.kept_flags`."""
        return self._talk.broken.kept_flags

    @property
    def commands(self) -> int:
        """Implements `MailDestination.commands`."""
        return self._talk.commands

    @property
    def _may_send_literals(self) -> bool:
        return self._forms.literals_proved

    def open(self, name: bytes) -> KnownStatus:
        """Opens the folder with SELECT. Keywords have to be proved again: another folder may know others."""
        self._into = b""
        if APPENDLIMIT in self.capabilities:
            self._limit = self._limit_of(name)
        selected = self.offer.ask((), lambda: self._open(b"SELECT", name))
        self._talk.broken.done_without([APPENDLIMIT])
        self._into, self._opened = self._folder(name), name
        self._proved = selected.keywords()
        return replace(self._status_of(name, selected), append_limit_bytes=self._limit)

    def _reopen(self) -> None:
        self.open(self._opened)

    def _limit_of(self, name: bytes) -> int | None:
        """Returns the limit that STATUS states for this folder (RFC 7889 §3.2), asked once on a connection.

        A refusal of the folder is left to `open`.
        """
        if name not in self._limits:
            try:
                self._limits[name] = self.offer.ask((APPENDLIMIT,), lambda: self._told_limit(name))
            except MailError:
                if self._wire.shut:
                    raise
                self._limits[name] = append_limit(self.capabilities)
        return self._limits[name]

    def _told_limit(self, name: bytes) -> int | None:
        found: list[int | None] = []

        def take(_: int, pieces: list[bytes]) -> None:
            if (told := status_answer(pieces)) is not None:
                found.append(told[1].append_limit_bytes)

        taken = partial(self._understood(take, STATUS_MAKES_NO_SENSE.says(name=shown(name))), 0)
        # Where the item is refused, another one tells whether the item or the folder was the cause.
        item = APPENDLIMIT.encode() if self._has(APPENDLIMIT) else b"UIDNEXT"
        self._talk.expect(self._talk.send(b"STATUS " + self._folder(name) + b" (%b)" % item), taken, asked="folder")
        own = found[-1] if found else None
        return append_limit(self.capabilities) if own is None else own

    def create(self, names: Sequence[bytes]) -> list[Exception | None]:
        """Sends all CREATE in one flight.

        Where one is refused, LIST tells whether the folder exists all the same, under this very name and for messages:
        a server to which Work and work are one says [ALREADYEXISTS] of the second.
        """
        results: list[Exception | None] = [None] * len(names)
        places = []
        commands = []
        for place, name in enumerate(names):
            try:
                commands.append(b"CREATE " + self._folder(name))
                places.append(place)
            except FolderRefused as unwritable:
                results[place] = unwritable
        doubtful: list[tuple[int, MailError]] = []
        for place, ended in zip(places, self._talk.run(commands), strict=True):
            if ended.status != "OK":
                error = self._talk.refusal(
                    ended, asked="folder", what=WOULD_NOT_CREATE.says(folder=shown(names[place]))
                )
                doubtful.append((place, error))
        if doubtful:
            # LIST with a name would take * and % in it for wildcards: the whole list is asked for
            there = {folder.name for folder in self.listing().folders if selectable(folder)}
            for place, error in doubtful:
                if names[place] not in there and names[place].upper() != b"INBOX":
                    results[place] = error
        return results

    def subscribe(self, names: Sequence[bytes]) -> None:
        """Sends all SUBSCRIBE in the flight of what follows; refusals are ignored."""
        self._for_each(b"SUBSCRIBE ", names)

    def unsubscribe(self, names: Sequence[bytes]) -> None:
        """Sends all UNSUBSCRIBE in the flight of what follows; refusals are ignored."""
        self._for_each(b"UNSUBSCRIBE ", names)

    def _for_each(self, command: bytes, names: Sequence[bytes]) -> None:
        commands = []
        for name in names:
            try:
                commands.append(command + self._folder(name))
            except FolderRefused:
                continue
        self._talk.send_along(commands)

    def rename(self, name: bytes, new: bytes) -> Exception | None:
        """Sends RENAME, while INBOX is open: servers differ in what becomes of an open folder that is renamed."""
        try:
            command = b"RENAME " + self._folder(name) + b" " + self._folder(new)
            if self._opened:
                self.open(b"INBOX")
        except FolderRefused as refused:
            return refused
        (ended,) = self._talk.run([command])
        if ended.status == "OK":
            return None
        return self._talk.refusal(ended, asked="folder", what=WOULD_NOT_RENAME.says(folder=shown(name)))

    # -- appending

    def send(self, group: Sequence[Message], flags: Sequence[tuple[str, ...]], token: object) -> None:
        """Implements `MailDestination.send`.

        Raises FolderRefused when no folder is open, and ValueError for a text that is no flag.
        """
        if not self._into:
            raise FolderRefused(self.side, NO_FOLDER_IS_OPEN_TO_APPEND.says())
        state = _Group(token=token, count=len(group))
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
        if second:
            proved = self._forms.several_proved and proved
            self._forms.groups(tag)
        if proved and size <= self._forms.no_wait_bytes:
            self._forms.hurries(tag)
            parts.append(b" %b%b {%d+}\r\n" % (text, when, size))
        else:
            parts.append(b" %b%b {%d}\r\n" % (text, when, size))
            self._wire.send(parts)
            parts.clear()
            if not self._talk.proceed(tag):
                return False
            self._folder_proved = True
            self._date_proved = self._date_proved or bool(when)
            self._proved |= keywords
        if message.body is not None:
            if len(message.body) != size:
                raise self._talk.violation(
                    INTERNAL_ERROR.says(what=OTHER_LITERAL.says(num=str(len(message.body)), size=str(size)))
                )
            parts.append(message.body)
        else:
            self._pour(message, parts)
        return True

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
        found = flag_list(flags), frozenset(flag.lower() for flag in flags if system_flag(flag) is None)
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
            again = self._forms.see(tag, len(positions), ended)
            if ended.status != "OK":
                error = self._talk.refusal(ended, asked="append")
                if ended.status == "BAD":  # only a BAD to a date outside of the usual does not shut the connection
                    error = DateNotKept(self.side, DID_NOT_UNDERSTAND_INTERNAL_DATE.says(), error.detail)
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
        )

    # -- changing what is there

    def copy(self, uids: UidSet, into: bytes) -> tuple[int, dict[int, int]]:
        """Implements `MailDestination.copy`."""
        uidvalidity, copies = 0, dict[int, int]()
        # A message that an OK says was left out is not copied, and COPYUID does not name it.
        for ended in self._in_pieces([(b"UID COPY ", uids, b" " + self._folder(into))], repeatable=False):
            if ended.status != "OK":
                if not copies:
                    raise self._talk.refusal(ended, asked="append", what=WOULD_NOT_COPY_MESSAGES.says())
                break
            if (told := copied_uids(ended.text)) is not None:
                uidvalidity = told[0]
                copies |= told[1]
        return uidvalidity, copies

    @property
    def moves(self) -> bool:
        """Tells whether the server has MOVE and UIDPLUS."""
        return self._has("UIDPLUS") and self._has("MOVE")

    def move(self, uids: UidSet, into: bytes) -> dict[int, int]:
        """Implements `MailDestination.move`. COPYUID comes in an untagged OK (RFC 6851 §4.3), or in the tagged one."""
        moved: dict[int, int] = {}

        def take(text: bytes) -> None:
            if (told := copied_uids(text)) is not None:
                moved.update(told[1])

        for piece in uids.pieces(min(PIECE, self._most or PIECE)):
            tag = self._talk.send(b"UID MOVE %b %b" % (str(piece).encode("ascii"), self._folder(into)))
            self._talk.forgive([tag])  # nothing but a line was sent
            try:
                ended = self._talk.finish(tag, lambda pieces: take(pieces[0]))
            except ConnectionLost as lost:
                if not self._talk.abandoned:
                    self._talk.broken.lost(["MOVE"], lost.detail or lost.what, several=False)
                raise
            if ended.status != "OK":
                error = self._talk.refusal(ended, what=WOULD_NOT_MOVE_MESSAGES.says())
                if ended.status == "BAD":
                    self._talk.broken.leave_out("MOVE", error.detail)
                raise error
            self._talk.broken.keeps("MOVE")
            take(ended.text)
        return moved

    def store_flags(self, changes: Iterable[FlagChange]) -> None:
        """Sends UID STORE +FLAGS.SILENT and -FLAGS.SILENT, pipelined.

        Raises the first refusal when all have been answered.
        """
        commands: list[_Change] = []
        for change in changes:
            for item, flags in ((b" +FLAGS.SILENT ", change.add), (b" -FLAGS.SILENT ", change.remove)):
                if flags:
                    commands.append((b"UID STORE ", change.uids, item + flag_list(flags)))
        self._insist(commands, WOULD_NOT_CHANGE_FLAGS.says())

    def _insist(self, changes: Iterable[_Change], what: str) -> None:
        refused = [ended for ended in self._in_pieces(changes) if ended.status != "OK"]
        if refused:
            raise self._talk.refusal(refused[0], what=what)

    def _in_pieces(self, changes: Iterable[_Change], *, repeatable: bool = True) -> list[Tagged]:
        """Returns the ends of all commands, each for no more messages than the server takes.

        Where the server says that one was too much, smaller ones follow; after an OK only if the change may be made
        twice.
        """
        todo, ends = list(changes), list[Tagged]()
        while todo:
            pieces = [(a, piece, b) for a, uids, b in todo for piece in uids.pieces(min(PIECE, self._most or PIECE))]
            todo = []
            answers = self._talk.run([a + str(piece).encode("ascii") + b for a, piece, b in pieces])
            for change, ended in zip(pieces, answers, strict=True):
                size = len(change[1])
                limit = cut_short(ended.text) if repeatable or ended.status != "OK" else None
                if limit is None or size < 2:
                    ends.append(ended)
                else:
                    self._take_at_most(limit if 0 < limit < size else size // 2)
                    todo.append(change)
        return ends

    def quota(self) -> Quota | None:
        """Asks with GETQUOTAROOT INBOX."""
        return storage_of(self.session)

    def remove(self, uids: UidSet) -> bool:
        """Removes exactly these messages by \\Deleted and UID EXPUNGE (RFC 4315 §2.1).

        Without UIDPLUS nothing is touched.
        """
        if not self._has("UIDPLUS"):
            return False
        self._insist([(b"UID STORE ", uids, b" +FLAGS.SILENT (\\Deleted)")], WOULD_NOT_REMOVE_MESSAGES.says())
        self._insist([(b"UID EXPUNGE ", uids, b"")], WOULD_NOT_REMOVE_MESSAGES.says())
        return True
