"""The side that is written to: folders, copies, moves, flags. `imap_appending` stores messages (RFC 3501, RFC 6851, RFC 7889)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from shared.folders.tree import selectable
from shared.mail import FlagChange, KeptFlags, KnownStatus, Quota
from shared.mail.answers.folder_answers import status_answer
from shared.mail.answers.grammar import flag_list
from shared.mail.answers.limits import APPENDLIMIT, append_limit
from shared.mail.answers.message_limit import cut_short
from shared.mail.answers.responses import copied_uids
from shared.mail.imap.flights import PIECE
from shared.mail.imap.imap_appending import AppendSession
from shared.mail.imap.imap_mailbox import shown
from shared.mail.imap.quota import storage_of
from shared.mail.imap.session import Session
from shared.mail.transport.conversation import Tagged
from shared.model.errors import ConnectionLost, FolderChanged, FolderRefused, MailError
from shared.model.uids import UidSet
from shared.wording.often_said import FOLDER_RECREATED, STATUS_MAKES_NO_SENSE
from shared.wording.phrases import Phrase

WOULD_NOT_CHANGE_FLAGS: Final = Phrase("would_not_change_flags", "would not change flags")
WOULD_NOT_REMOVE_MESSAGES: Final = Phrase("would_not_remove_messages", "would not remove messages")
WOULD_NOT_RENAME: Final = Phrase("would_not_rename", "would not rename {folder}")
WOULD_NOT_CREATE: Final = Phrase("would_not_create", "would not create {folder}")
WOULD_NOT_MOVE_MESSAGES: Final = Phrase("would_not_move_messages", "would not move messages")
WOULD_NOT_COPY_MESSAGES: Final = Phrase("would_not_copy_messages", "would not copy messages")


#: The command before its UIDs, the UIDs, and the text after them.
_Change = tuple[bytes, UidSet, bytes]


class ImapDestination(AppendSession):
    """The side that is written to. See `shared.mail.MailDestination`."""

    _follows_changes = False

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._limits: dict[bytes, int | None] = {}
        #: The folder that is open, and its UIDVALIDITY; 0 for none.
        self._opened, self._uidvalidity = b"", 0

    @property
    def kept_flags(self) -> KeptFlags:
        """Implements `MailDestination.kept_flags`."""
        return self._talk.broken.kept_flags

    def open(self, name: bytes, *, announced: bool = False) -> KnownStatus:
        """Opens the folder with SELECT. Keywords have to be proved again where it takes no new ones: it may know others.

        Only with `announced` a SELECT that was sent ahead is taken.
        """
        self._into = b""
        if not announced:
            self._ahead.settle()
        if APPENDLIMIT in self.capabilities:
            self._limit = self._limit_of(name)
        selected = self.offer.ask((), lambda: self._open(b"SELECT", name))
        self._talk.broken.done_without([APPENDLIMIT])
        self._into, self._opened = self._folder(name), name
        self._taken_back = False
        told = selected.permanent
        self._proved = selected.keywords() | (self._known if told and b"\\*" in told else set())
        self._permanent = None if told is None else frozenset(flag.decode("latin-1").lower() for flag in told)
        self._flag_cache.clear()
        status = self._status_of(name, selected)
        self._uidvalidity = status.uidvalidity or 0
        self._was_empty = not status.messages
        return replace(status, append_limit_bytes=self._limit)

    def _open_ahead(self, name: bytes) -> None:
        if commands := self._selecting(name):
            self._ahead.ask(commands)
            self._into = b""  # APPEND to a folder whose SELECT is over would bring copies that nobody looks at

    def _selecting(self, name: bytes) -> list[bytes]:
        """Returns the command that opens the folder, where it can be sent before its turn."""
        # What states a folder's limit comes before it is opened.
        limited = APPENDLIMIT in self.capabilities and name not in self._limits
        if self._talk.serial or self._talk.compress_due or limited:
            return []
        with contextlib.suppress(FolderRefused):  # `open` will say so
            select = b"SELECT " + self._folder(name)
            return [] if b"\r\n" in select else [select]
        return []

    def _open_anew(self, first: bytes, then: bytes | None) -> None:
        coming: list[bytes] = []
        if select := self._selecting(self._opened):
            coming = [] if then is None else self._selecting(then)
            self._ahead.ask([*select, first, *coming])
        self._reopen(announced=True)
        if any(command in self._ahead for command in coming):
            self._into = b""

    def _reopen(self, *, announced: bool = False) -> None:
        uidvalidity = self._uidvalidity
        if not self.open(self._opened, announced=announced).same_uids(uidvalidity):
            raise FolderChanged(self.side, FOLDER_RECREATED.says(folder=shown(self._opened)))

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
        self._ahead.settle()
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
        self._ahead.settle()
        ends = self._talk.run(commands)
        for place, ended in zip(places, ends, strict=True):
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
        self._stay()

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
        if todo:
            self._stay()
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
