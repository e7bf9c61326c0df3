"""Reads messages: pipelined UID FETCH, small bodies whole, large ones as a stream (RFC 9051 §6.4.5, §7.5.2).

Only answers that carry a UID we asked for and have not had yet count: servers send FETCH unasked, twice, without a UID,
or for the last message when asked for `n:*`. What is told of a message in several answers is joined first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from shared.content.fingerprint import header_fingerprint, header_of
from shared.mail import FolderStatus, KnownStatus, Message
from shared.mail.answers.bounds import most_body
from shared.mail.answers.fetch_answer import FETCH, FetchAnswer, flags_of, size_of, split_flags, uid_of
from shared.mail.answers.fetch_parts import FetchTold
from shared.mail.answers.grammar import clean_flags, clean_text, flags_in, named_few
from shared.mail.answers.header_date import received_at
from shared.mail.answers.internaldate import odd_zone, parse_internaldate
from shared.mail.answers.responses import Selected
from shared.mail.answers.tokens import Text, Value
from shared.mail.imap.flights import DEPTH, PIECE, Asked, fetch, raise_first, written
from shared.mail.imap.imap_choosing import ChoosingSession
from shared.mail.imap.imap_mailbox import shown
from shared.mail.imap.session import Session
from shared.mail.transport.conversation import ANSWER_LIMIT
from shared.mail.transport.wire import LINE_LIMIT, LONG_LINE_LIMIT
from shared.model.errors import AnswerUnreadable, FolderChanged, FolderRefused, MailError
from shared.model.uids import Uid, UidSet
from shared.wording.often_said import (
    ANNOUNCED_TOO_MANY_BYTES_OF_MESSAGE,
    CANNOT_OPEN,
    FLAG_NOT_ATOM_DROPPED,
    FOLDER_RECREATED,
    SENT_ANSWERS_WITHOUT_END,
)
from shared.wording.phrases import Phrase

WOULD_NOT_CLOSE: Final = Phrase("would_not_close", "would not close a folder")
WOULD_NOT_TELL_DELETED: Final = Phrase("would_not_tell_deleted", "would not tell what was deleted")

SOURCE_GIVES_NO_USABLE: Final = Phrase(
    "source_gives_no_usable", "the source gives no usable INTERNALDATE; the date of the header was set"
)
INTERNALDATE_UNUSABLE: Final = Phrase("internaldate_unusable", "INTERNALDATE unusable: {said}")
ZONE_READ_AS_UTC: Final = Phrase(
    "zone_read_as_utc",
    "the zone {zone} of the source's INTERNALDATE means nothing; it was read as UTC",
)
NO_FOLDER_IS_OPEN: Final = Phrase("no_folder_is_open", "no folder is open")
SOURCE_TOLD_NO_FLAGS: Final = Phrase("source_told_no_flags", "the source told no flags")

#: Bytes of a body that are read in one piece; larger ones are streamed.
WHOLE_BYTES: Final = 512 * 1024

_ITEMS: Final = b"(UID FLAGS INTERNALDATE RFC822.SIZE%b BODY.PEEK[])"
#: Stands for a body that was passed over, since it is to be asked for again once flags and date are known.
_LATER: Final = b"BODY[] LATER"

# The form in which nearly every server answers: everything before the body, nothing after it.
_USUAL = re.compile(
    rb'\* \d+ FETCH \(UID (\d{1,10}) FLAGS \(([^()"{}\r\n]*)\) INTERNALDATE "([^"\\\r\n]*)"'
    rb"(?: RFC822\.SIZE (\d{1,20}))? BODY\[\] \{(\d{1,10})\}\r\n"
)


@dataclass(slots=True)
class _About:
    """The facts about a message besides its body."""

    #: Flags that can be passed on.
    flags: tuple[str, ...] = ()
    #: Seconds since the epoch; None where unusable.
    internaldate: int | None = None
    #: Minutes east of UTC.
    zone_minutes: int = 0
    #: The field of `Message`.
    announced_bytes: int = -1
    #: The field of `Message`.
    date_doubt: str = ""
    #: Oddities of the answer.
    oddities: tuple[str, ...] = ()


class ImapSource(ChoosingSession):
    """The side that is only read: EXAMINE and BODY.PEEK. See `shared.mail.MailSource`."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        #: Name and UIDVALIDITY of the open folder.
        self._opened: tuple[bytes, int | None] | None = None
        #: The FETCH that was sent ahead in the folder that is open.
        self._begun: Asked | None = None
        #: The messages of the open folder of which only a part was told.
        self._parts = FetchTold()

    @property
    def _condstore(self) -> bytes:
        return b" (CONDSTORE)" if self._has("CONDSTORE") else b""

    @property
    def _items(self) -> bytes:
        return _ITEMS % self._labelled

    @property
    def _wanted(self) -> set[bytes]:
        """The items that must be known of a message before its body is streamed."""
        return {b"FLAGS", b"INTERNALDATE", *self._labelled.split()}

    def survey(self, names: Sequence[bytes], opening: Sequence[bytes]) -> list[FolderStatus | Exception]:
        """Sends STATUS, and behind it what opens and lists the folders."""
        return self.statuses(names, behind=[command for name in opening for command in self._opening(name)])

    def foresee(self, name: bytes, uids: UidSet | None = None) -> None:
        """Sends EXAMINE and the first FETCH commands, so that they are on their way while something else is done."""
        if commands := self._opening(name, uids):
            self._ahead.ask(commands)

    def _opening(self, name: bytes, uids: UidSet | None = None) -> list[bytes]:
        """Returns the commands of `foresee`; none where they are on their way, or cannot be sent before their turn."""
        if self._talk.serial or self._talk.compress_due:
            return []
        try:
            examine = b"EXAMINE " + self._folder(name) + self._condstore
        except FolderRefused:
            return []  # `open` will say so
        if b"\r\n" in examine or examine in self._ahead:
            return []  # a literal in a command may be read as one, so a BAD would not be harmless
        if uids is None:
            return [examine, self._first_sizes]
        asked = islice(self._fitting(written(uids.pieces(PIECE))), DEPTH)
        return [examine, *(fetch(text, self._items) for text, _ in asked)]

    def ask_ahead(self, uids: UidSet) -> None:
        """Sends one FETCH, which `fetch` takes over where its messages begin with these."""
        if self._ahead or self._talk.serial or self._talk.compress_due:
            return
        self._begun = next(self._fitting(written(uids.pieces(PIECE))), None)
        if self._begun is not None:
            self._ahead.ask([fetch(self._begun[0], self._items)])

    def caution(self) -> str:
        """Returns "": EXAMINE and BODY.PEEK leave no trace."""
        return ""

    def open(self, name: bytes) -> KnownStatus:
        """Opens the folder with EXAMINE, with the mod-sequence where the server has one."""
        self._opened = None
        self._parts = FetchTold()
        opened = self.offer.ask(("CONDSTORE",), lambda: self._open(b"EXAMINE", name, self._condstore))
        status = self._status_of(name, opened)
        self._opened = (name, status.uidvalidity)
        return status

    def vanished(self, name: bytes, uidvalidity: int, since: int) -> tuple[KnownStatus, UidSet] | None:
        """Implements `MailSource.vanished` by EXAMINE with QRESYNC (RFC 7162 §3.2.5).

        ENABLE comes first, once, with no folder open (RFC 5161 §3.1).
        """
        if not since or not uidvalidity or not self._has("QRESYNC"):
            return None
        return self.offer.ask(("QRESYNC",), lambda: self._vanished(name, uidvalidity, since), needed=False)

    def _vanished(self, name: bytes, uidvalidity: int, since: int) -> tuple[KnownStatus, UidSet] | None:
        if not self._has("QRESYNC"):
            return None
        self._ahead.settle()
        if "QRESYNC" not in self._talk.enabled:
            if self._opened is not None:
                if not self._has("UNSELECT"):
                    return None
                self._opened = None
                self._talk.expect(self._talk.send(b"UNSELECT"), what=WOULD_NOT_CLOSE.says())
            self._talk.expect(self._talk.send(b"ENABLE QRESYNC"), what=WOULD_NOT_TELL_DELETED.says())
        self._opened = None
        selected = Selected()
        asked = b"EXAMINE " + self._folder(name) + b" (QRESYNC (%d %d))" % (uidvalidity, since)
        tag = self._talk.send(asked)
        self._ahead.strayed = False
        text = self._talk.expect(
            tag, selected.take, asked="folder", what=CANNOT_OPEN.says(folder=shown(name)), line_limit=LONG_LINE_LIMIT
        )
        selected.take([text])
        status = self._status_of(name, selected)
        self._opened = (name, status.uidvalidity)
        return (status, UidSet.joined(selected.gone)) if status.same_uids(uidvalidity) else None

    def _reopen(self) -> None:
        if self._opened is None:
            raise FolderRefused(self.side, NO_FOLDER_IS_OPEN.says())
        name, uidvalidity = self._opened
        if self.open(name).uidvalidity != uidvalidity:
            raise FolderChanged(self.side, FOLDER_RECREATED.says(folder=shown(name)))

    def fetch(self, uids: UidSet, *, size_bytes: int = 0) -> Iterator[Message]:
        """Implements `MailSource.fetch`. What is left unread of a streamed body is read and thrown away.

        A NO is raised after everything that came before it has been yielded, with the UIDs of its command that brought
        nothing as `uids` of the error, and after all other commands in flight have been answered: the session lives on.
        """
        self._most_body = most_body(size_bytes)
        return self._streamed_in_forms(self._labels_in_use, self._fetched, uids)

    def _fetched(self, uids: UidSet) -> Iterator[Message]:
        missing: set[int] = set()
        late: dict[Uid, _About] = {}
        refused: list[MailError] = []
        whole = False
        pieces = self._commands(uids)
        if pieces:
            self._stay(fetch(pieces[0][0], self._items))
        try:
            for tag, piece in self._flights(pieces, self._items, missing, refused, all_exist=True):
                yield from self._messages(tag, missing, late, refused)
                for items in self._parts.rest(missing.intersection(piece)):
                    yield from self._whole(items, missing, late)
            for uid, about in late.items():
                yield from self._again(uid, about, refused)
            whole = True
        finally:
            if not whole:  # left early: what is still to come would be taken for answers to something else
                self._wire.abort()
        raise_first(refused)

    def _commands(self, uids: UidSet) -> list[Asked]:
        """Returns what to ask for, command by command; what was asked for ahead comes first."""
        begun = self._begun
        if begun is None or begun[1] - uids or not self._ahead.leads_to(fetch(begun[0], self._items)):
            return list(self._fitting(written(uids.pieces(PIECE))))
        return [begun, *self._fitting(written((uids - begun[1]).pieces(PIECE)))]

    def _messages(
        self, tag: bytes, missing: set[int], late: dict[Uid, _About], refused: list[MailError]
    ) -> Iterator[Message]:
        wire, talk = self._wire, self._talk
        readline, read = wire.readline, wire.read
        usual = _USUAL.fullmatch
        ending = tag + b" "
        most = wire.lines + ANSWER_LIMIT
        wire.begin()
        while not talk.answered(tag):
            if wire.lines > most:
                raise talk.violation(SENT_ANSWERS_WITHOUT_END.says())
            if whole := wire.arrived_with(_USUAL, WHOLE_BYTES):
                if (message := self._usual(*whole, missing)) is not None:
                    yield message
                continue
            line = readline()
            found = usual(line)
            if found is None:
                if line.startswith(ending):
                    talk.take_line(line)
                elif FETCH.match(line):
                    yield from self._read_odd(line, missing, late, refused)
                else:
                    talk.take_line(line)
                continue
            size = int(found[5])
            if size > WHOLE_BYTES or not size:
                yield from self._read_odd(line, missing, late, refused)
                continue
            body = read(size, WHOLE_BYTES)
            tail = readline()
            if tail != b")\r\n":
                yield from self._tail_message(line, body, tail, missing, late, refused)
            elif (message := self._usual(found, body, missing)) is not None:
                yield message

    def _usual(self, found: re.Match[bytes], body: bytes, missing: set[int]) -> Message | None:
        """Returns the message of an answer in the usual form; None for one that was not asked for, or came before."""
        uid = Uid(int(found[1]))
        if uid not in missing:
            return None
        missing.discard(uid)
        self._wire.progress()
        flags, oddities = flags_in(found[2])
        date, zone = parse_internaldate(found[3])
        message = Message(
            uid=uid,
            flags=flags,
            internaldate=date,
            zone_minutes=zone,
            size_bytes=len(body),
            fingerprint=header_fingerprint(header_of(body)),
            body=body,
            announced_bytes=int(found[4] or -1),
            date_doubt="" if zone or date is None else _zone_doubt(found[3]),
            oddities=oddities if date is not None else (*oddities, _no_date(found[3])),
        )
        return message if date is not None else _dated(message, body)

    def _tail_message(
        self,
        line: bytes,
        body: bytes,
        tail: bytes,
        missing: set[int],
        late: dict[Uid, _About],
        refused: list[MailError],
    ) -> Iterator[Message]:
        """Yields the message of an answer with the usual beginning and something after the body."""
        answer = FetchAnswer()
        try:
            self._feed(answer, line, goes_on=False)
            answer.literal(body)
            self._rest(answer, tail)
        except AnswerUnreadable as error:
            self._hold(error, refused)
        else:
            yield from self._joined(line, answer.items(), missing, late)

    def _rest(self, answer: FetchAnswer, line: bytes) -> None:
        for size in self._literals(answer, line, goes_on=True):
            answer.literal(self._wire.read(size, LINE_LIMIT))

    def _read_odd(
        self, line: bytes, missing: set[int], late: dict[Uid, _About], refused: list[MailError]
    ) -> Iterator[Message]:
        """Yields the message of any FETCH answer.

        An answer that makes no sense costs its own message only, and is added to `refused`.
        """
        try:
            yield from self._odd_message(line, missing, late)
        except AnswerUnreadable as error:
            if not error.uids or missing.intersection(error.uids):
                self._hold(error, refused)

    def _odd_message(self, line: bytes, missing: set[int], late: dict[Uid, _About]) -> Iterator[Message]:
        """Yields the message of any FETCH answer: items in any order, strings as literals, a body too large to hold."""
        answer = FetchAnswer()
        for size in self._literals(answer, line):
            if answer.key != b"BODY[]" or size <= WHOLE_BYTES:
                answer.literal(self._wire.read(size, WHOLE_BYTES if answer.key == b"BODY[]" else LINE_LIMIT))
            else:
                items = self._parts.known(line, answer.items(), self._talk.expunged)
                uid = uid_of(items)
                if uid in missing and self._wanted <= items.keys():
                    missing.discard(Uid(uid))
                    self._parts.drop(line)
                    yield from self._streamed(Uid(uid), size, self._about(items))
                elif uid == 0 or uid in missing:
                    # flags or date come after the body: it is skipped, and asked for again when they are known
                    self._pass_over(size)
                    answer.literal(None)
                    self._rest(answer, self._wire.readline())
                    yield from self._joined(line, {**answer.items(), _LATER: b""}, missing, late)
                    return
                else:
                    self._pass_over(size)
                answer.literal(None)
        yield from self._joined(line, answer.items(), missing, late)

    def _joined(
        self, line: bytes, items: dict[bytes, Value], missing: set[int], late: dict[Uid, _About]
    ) -> Iterator[Message]:
        """Yields the message of an answer once all of it is told, by this answer or by several."""
        items = self._parts.known(line, items, self._talk.expunged)
        told = self._wanted <= items.keys() and (isinstance(items.get(b"BODY[]"), Text) or _LATER in items)
        if uid_of(items) and uid_of(items) not in missing:  # not asked for, or had already
            self._parts.drop(line)
        elif (told and uid_of(items)) or not self._parts.keep(
            line, items, {b"UID", b"RFC822.SIZE", b"BODY[]", _LATER, *self._wanted}
        ):
            self._parts.drop(line)
            yield from self._whole(items, missing, late)

    def _whole(
        self,
        items: dict[bytes, Value],
        missing: set[int],
        late: dict[Uid, _About],
        about: _About | None = None,
    ) -> Iterator[Message]:
        uid, body = Uid(uid_of(items)), items.get(b"BODY[]")
        if uid in missing and _LATER in items:
            missing.discard(uid)
            late[uid] = self._about(items)
            return
        if uid not in missing or not isinstance(body, Text):
            return  # not asked for, had already, only flags, or expunged (BODY[] NIL)
        missing.discard(uid)
        self._wire.progress()
        about = about or self._about(items)
        message = Message(
            uid=uid,
            flags=about.flags,
            internaldate=about.internaldate,
            zone_minutes=about.zone_minutes,
            size_bytes=len(body),
            fingerprint=header_fingerprint(header_of(body)),
            body=bytes(body),
            announced_bytes=about.announced_bytes,
            date_doubt=about.date_doubt,
            oddities=about.oddities,
        )
        yield _dated(message, body)

    def _about(self, items: dict[bytes, Value]) -> _About:
        told = flags_of(items)
        atoms, strings = split_flags(told or ())
        flags, oddities = clean_flags([*atoms, *self._keywords(items)])
        if told is None:
            oddities += (SOURCE_TOLD_NO_FLAGS.says(),)
        if strings:
            oddities += named_few([(FLAG_NOT_ATOM_DROPPED, flag) for flag in strings])
        raw = items.get(b"INTERNALDATE")
        text = raw if isinstance(raw, bytes) else None
        date, zone = parse_internaldate(text)
        if date is None:
            oddities = (*oddities, _no_date(text))
        doubt = "" if date is None else _zone_doubt(text)
        return _About(
            flags=flags,
            internaldate=date,
            zone_minutes=zone,
            announced_bytes=size_of(items),
            date_doubt=doubt,
            oddities=oddities,
        )

    def _streamed(self, uid: Uid, size: int, about: _About) -> Iterator[Message]:
        if size > self._most_body:
            error = self._talk.violation(ANNOUNCED_TOO_MANY_BYTES_OF_MESSAGE.says(size=size, most=self._most_body))
            error.uids = UidSet.of([uid])
            raise error
        chunks = self._wire.read_chunks(size)
        # enough of the beginning to know the header by, whatever pieces the network made of it
        held: list[bytes] = []
        have = 0
        while have < min(size, 65_536):
            chunk = next(chunks)
            held.append(chunk)
            have += len(chunk)
        start = b"".join(held)
        del held

        def stream() -> Iterator[bytes]:
            yield start
            yield from chunks

        message = Message(
            uid=uid,
            flags=about.flags,
            internaldate=about.internaldate,
            zone_minutes=about.zone_minutes,
            size_bytes=size,
            fingerprint=header_fingerprint(header_of(start)),
            body=None,
            stream=stream(),
            announced_bytes=about.announced_bytes,
            date_doubt=about.date_doubt,
            oddities=about.oddities,
        )
        yield _dated(message, start)
        for _ in chunks:
            pass  # the caller did not want it: the next answer begins after it
        self._wire.progress()

    def _again(self, uid: Uid, about: _About, refused: list[MailError]) -> Iterator[Message]:
        """Streams the body of a large message whose flags came after its body, and are known now."""
        missing: set[int] = {uid}
        tag = self._talk.send(b"UID FETCH %d (UID BODY.PEEK[])" % uid)
        for line in self._lines_until(tag):
            if not FETCH.match(line):
                self._talk.take_line(line)
                continue
            answer = FetchAnswer()
            try:
                for size in self._literals(answer, line):
                    if answer.key == b"BODY[]" and size > WHOLE_BYTES and uid in missing:
                        missing.discard(uid)
                        yield from self._streamed(uid, size, about)
                        answer.literal(None)
                    elif answer.key == b"BODY[]" and size > WHOLE_BYTES:
                        self._pass_over(size)
                        answer.literal(None)
                    else:
                        answer.literal(self._wire.read(size, WHOLE_BYTES))
            except AnswerUnreadable as error:
                if uid in missing:
                    self._hold(error, refused)
            else:
                yield from self._whole(answer.items(), missing, {}, about)
        self._talk.expect(tag, asked="fetch")


def _dated(message: Message, start: bytes) -> Message:
    """Returns the message with the date of its header, as for POP3, where INTERNALDATE tells none.

    `start` is the beginning of its bytes.
    """
    if message.internaldate is not None:
        return message
    when, zone = received_at(header_of(start))
    if when is None:
        return message
    doubt = SOURCE_GIVES_NO_USABLE.says()
    return replace(message, internaldate=when, zone_minutes=zone, date_doubt=doubt)


def _zone_doubt(text: bytes | None) -> str:
    zone = odd_zone(text)
    return ZONE_READ_AS_UTC.says(zone=clean_text(zone)) if zone else ""


def _no_date(text: bytes | None) -> str:
    return INTERNALDATE_UNUSABLE.says(said=clean_text(text or b"NIL", limit=60))
