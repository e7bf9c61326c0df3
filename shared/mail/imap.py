"""What both sides of an IMAP session share: listing, looking, flags (RFC 3501, RFC 9051). `ImapSource` and
`ImapDestination` stand beside it.

Everything is asked for in as few flights as the protocol allows, and read as a stream: no answer is held whole but one line
or one small literal.
"""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from shared.errors import FolderRefused, MailError, Throttled
from shared.fingerprint import FIELDS, HEADER_BYTES, Canonical, header_fingerprint, header_of, message_id_of
from shared.mail import FolderListing, FolderStatus, ListedFolder, Sighting
from shared.mail.conversation import ANSWER_LIMIT, Conversation
from shared.mail.grammar import clean_flags, clean_text, quoted_folder
from shared.mail.internaldate import parse_internaldate
from shared.mail.responses import (
    UNFINISHED,
    FetchAnswer,
    Selected,
    Value,
    flags_of,
    listed_folder,
    personal_namespace,
    searched_uids,
    split_flags,
    status_answer,
    uid_of,
)
from shared.mail.session import Session
from shared.mail.wire import LINE_LIMIT, LONG_LINE_LIMIT
from shared.uids import Uid, UidSet

#: FETCH commands in flight.
DEPTH: Final = 3
#: UIDs asked for by one FETCH of sizes or flags, as one range.
WINDOW: Final = 10_000
#: Messages of one FETCH that brings bytes.
PIECE: Final = 500
_HEADER_LIMIT = 16 * 1024 * 1024
#: Bytes of a literal that are read in one piece; larger ones are streamed.
WHOLE_BYTES: Final = 512 * 1024

#: The beginning of any FETCH answer.
FETCH: Final = re.compile(rb"\* \d{1,10} FETCH \(", re.IGNORECASE)
_SIZE = re.compile(
    rb"\* \d+ FETCH \((?:UID (\d{1,10}) RFC822\.SIZE (\d{1,20})|RFC822\.SIZE (\d{1,20}) UID (\d{1,10}))\)\r\n"
)
_FLAGS = re.compile(rb'\* \d+ FETCH \(UID (\d{1,10}) FLAGS \(([^()"{}]*)\)(?: MODSEQ \(\d{1,20}\))?\)\r\n')
_HEADER = b"BODY.PEEK[HEADER.FIELDS (%b)]" % " ".join(FIELDS).encode("ascii")


class ImapSession:
    """One signed-in connection with at most one folder open. See `shared.mail.MailSession` for what each method promises."""

    def __init__(self, session: Session) -> None:
        self.side = session.side
        self.capabilities = session.capabilities
        self._session = session
        self._talk: Conversation = session.talk
        self._wire = session.wire
        self._literal_plus = bool(self.capabilities & {"LITERAL+", "LITERAL-", "IMAP4REV2"})

    def _has(self, *names: str) -> bool:
        return not self.capabilities.isdisjoint(names)

    def _folder(self, name: bytes) -> bytes:
        try:
            return quoted_folder(name, literal_plus=self._literal_plus)
        except ValueError as error:
            raise FolderRefused(
                self.side, f"a folder name that cannot be written: {clean_text(name)} ({error})"
            ) from None

    # -- folders

    def listing(self) -> FolderListing:
        """LIST, subscriptions and NAMESPACE in one flight."""
        special = self._has("SPECIAL-USE", "IMAP4REV2")
        one_answer = self._has("LIST-EXTENDED", "IMAP4REV2")
        commands = []
        if one_answer:
            commands.append(b'LIST "" "*" RETURN (SUBSCRIBED CHILDREN%b)' % (b" SPECIAL-USE" if special else b""))
        else:
            commands += [b'LIST "" "*"', b'LSUB "" "*"']
        if self._has("NAMESPACE", "IMAP4REV2"):
            commands.append(b"NAMESPACE")
        commands.append(b'LIST "" ""')
        listed: dict[bytes, ListedFolder] = {}
        subscribed: set[bytes] = set()
        namespace: list[tuple[bytes, str | None]] = []
        root: list[str | None] = []

        def take(place: int, pieces: list[bytes]) -> None:
            if (found := personal_namespace(pieces)) is not None:
                namespace.append(found)
            elif (folder := listed_folder(pieces)) is not None:
                if place == len(commands) - 1 or not folder.name:
                    root.append(folder.separator)
                elif pieces[0][2:6].upper() == b"LSUB":
                    subscribed.add(folder.name)
                else:
                    listed.setdefault(folder.name, folder)

        ends = self._talk.run(commands, take)
        if ends[0].status != "OK":
            raise self._talk.refusal(ends[0], asked="folder", what="would not list its folders")
        folders = tuple(
            folder if folder.subscribed or folder.name not in subscribed else _subscribed(folder)
            for folder in listed.values()
        )
        separators = [*root, *(folder.separator for folder in folders)]
        prefix, separator = namespace[0] if namespace else (b"", None)
        return FolderListing(
            prefix=prefix,
            separator=separator or next((found for found in separators if found), None),
            folders=folders,
        )

    def statuses(self, names: Sequence[bytes]) -> list[FolderStatus | Exception]:
        """All STATUS commands in one flight (in windows of `conversation.FLIGHT`)."""
        items = [b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY"]
        if self._has("CONDSTORE", "QRESYNC"):
            items.append(b"HIGHESTMODSEQ")
        if self._has("STATUS=SIZE", "IMAP4REV2"):
            items.append(b"SIZE")
        asked = b" (" + b" ".join(items) + b")"
        results: list[FolderStatus | Exception | None] = [None] * len(names)
        places: list[int] = []
        commands: list[bytes] = []
        for place, name in enumerate(names):
            try:
                commands.append(b"STATUS " + self._folder(name) + asked)
                places.append(place)
            except FolderRefused as error:
                results[place] = error
        by_name: dict[bytes, FolderStatus] = {}
        by_turn: dict[int, FolderStatus] = {}

        def take(turn: int, pieces: list[bytes]) -> None:
            if (found := status_answer(pieces)) is not None:
                by_name[found[0]] = by_turn[turn] = found[1]

        for turn, ended in enumerate(self._talk.run(commands, take)):
            place = places[turn]
            if ended.status != "OK":
                results[place] = self._talk.refusal(ended, asked="folder", what=f"refused {shown(names[place])}")
            else:
                # some servers answer under another spelling of the name: then what came in its turn is meant
                results[place] = by_name.get(names[place]) or by_turn.get(turn)
        return [
            FolderRefused(self.side, f"said nothing of {shown(names[place])}") if result is None else result
            for place, result in enumerate(results)
        ]

    def _open(self, command: bytes, name: bytes, parameters: bytes = b"") -> Selected:
        selected = Selected()
        tag = self._talk.send(command + b" " + self._folder(name) + parameters)
        text = self._talk.expect(tag, selected.take, asked="folder", what=f"cannot open {shown(name)}")
        selected.take([text])
        return selected

    def _status_of(self, selected: Selected) -> FolderStatus:
        """Fills in a UIDNEXT that was not told (RFC 3501 leaves it optional)."""
        uidnext = selected.uidnext
        if uidnext is None:
            highest = 0
            if selected.messages:
                for items in self._fetch_small([b"*"], b"(UID)"):
                    highest = max(highest, uid_of(items))
            uidnext = highest + 1
        return selected.status(uidnext)

    # -- looking

    def sizes(self, status: FolderStatus) -> Iterator[tuple[Uid, int]]:
        """(UID, RFC822.SIZE), ascending: by windows of UIDs where they are dense, by a UID list where they are not."""
        last = status.uidnext - 1
        if not status.messages or last < 1:
            return
        if last <= 4 * status.messages + WINDOW:
            everything = UidSet.span(1, last)
            sets = [UidSet.span(low, min(last, low + WINDOW - 1)) for low in range(1, last + 1, WINDOW)]
        else:
            everything = self._existing() & UidSet.span(1, last)
            sets = list(everything.pieces(WINDOW))
        found: dict[int, int] = {}
        missing: set[int] = set()
        refused: list[MailError] = []
        for tag, window in self._flights(sets, b"(UID RFC822.SIZE)", missing, refused):
            for line in self._lines_until(tag):
                if usual := _SIZE.fullmatch(line):
                    uid, size = int(usual[1] or usual[4]), int(usual[2] or usual[3])
                else:
                    items = self._small_items(line)
                    if items is None or b"RFC822.SIZE" not in items:
                        continue
                    value = items[b"RFC822.SIZE"]
                    uid, size = uid_of(items), int(value) if isinstance(value, bytes) and value.isdigit() else 0
                if uid in missing:
                    missing.discard(uid)
                    found[uid] = size
            # the next window's answers may be among them already
            for uid in sorted(uid for uid in found if uid <= window.high):
                yield Uid(uid), found.pop(uid)
        raise_first(refused)

    def flags(self, uids: UidSet, *, changed_since: int | None = None) -> Iterator[tuple[Uid, tuple[str, ...]]]:
        """(UID, flags); `changed_since` narrows it where the server has CONDSTORE (RFC 7162)."""
        asked = b"(UID FLAGS)"
        if changed_since is not None and self._has("CONDSTORE", "QRESYNC"):
            asked += b" (CHANGEDSINCE %d)" % changed_since
        cache: dict[bytes, tuple[str, ...]] = {}
        missing: set[int] = set()
        refused: list[MailError] = []
        for tag, _ in self._flights(uids.pieces(WINDOW), asked, missing, refused):
            for line in self._lines_until(tag):
                if usual := _FLAGS.fullmatch(line):
                    uid, raw = int(usual[1]), usual[2]
                else:
                    items = self._small_items(line)
                    flags = flags_of(items) if items else None
                    if items is None or flags is None:
                        continue
                    uid, raw = uid_of(items), b" ".join(split_flags(flags)[0])
                if uid in missing:
                    missing.discard(uid)
                    if raw not in cache:
                        cache[raw] = clean_flags(raw.split())[0]
                    yield Uid(uid), cache[raw]
        raise_first(refused)

    def sightings(self, uids: UidSet, *, full: bool = False) -> Iterator[Sighting]:
        """Size, date and fingerprint, from the identifying header fields or (`full`) from the whole message."""
        body = b"BODY.PEEK[]" if full else _HEADER
        missing: set[int] = set()
        refused: list[MailError] = []
        for tag, _ in self._flights(uids.pieces(PIECE), b"(UID RFC822.SIZE INTERNALDATE %b)" % body, missing, refused):
            for line in self._lines_until(tag):
                seen = self._sight(line, full=full)
                if seen is not None and seen.uid in missing:
                    missing.discard(seen.uid)
                    yield seen
        raise_first(refused)

    def _sight(self, line: bytes, *, full: bool) -> Sighting | None:
        if not FETCH.match(line):
            self._talk.take_line(line)
            return None
        canonical = Canonical() if full else None
        start = b""
        length = 0
        answer = FetchAnswer()
        size = self._feed(answer, line)
        while size is not None:
            if answer.key.startswith(b"BODY["):
                if not full and size > _HEADER_LIMIT:
                    raise self._talk.violation(f"announced {size} bytes of header fields")
                length = size
                kept = []
                room = HEADER_BYTES
                for chunk in self._wire.read_chunks(size):
                    if canonical:
                        canonical.update(chunk)
                    if room > 0:
                        kept.append(chunk[:room])
                        room -= len(chunk)
                start = b"".join(kept)
                answer.literal(start)
            else:
                answer.literal(self._wire.read(size, LINE_LIMIT))
            size = self._feed(answer, self._wire.readline())
        self._wire.progress()
        items = answer.items()
        value = next((value for key, value in items.items() if key.startswith(b"BODY[")), None)
        if not isinstance(value, bytes):
            return None  # expunged meanwhile: BODY[] NIL
        if not length:  # a quoted string
            start, length = value, len(value)
            if canonical:
                canonical.update(value)
        told = items.get(b"RFC822.SIZE")
        date = items.get(b"INTERNALDATE")
        header = header_of(start)
        return Sighting(
            uid=Uid(uid_of(items)),
            size_bytes=int(told) if isinstance(told, bytes) and told.isdigit() else length if full else 0,
            internaldate=parse_internaldate(date if isinstance(date, bytes) else None)[0],
            fingerprint=header_fingerprint(header),
            message_id=clean_text(message_id_of(header)),
            digest=canonical.digest() if canonical else None,
        )

    def _existing(self) -> UidSet:
        """Every UID of the open folder."""
        extended = self._has("ESEARCH", "IMAP4REV2")
        found = UidSet()

        def take(pieces: list[bytes]) -> None:
            nonlocal found
            if (uids := searched_uids(pieces)) is not None:
                found |= uids

        tag = self._talk.send(b"UID SEARCH RETURN (ALL) ALL" if extended else b"UID SEARCH ALL")
        try:
            self._talk.expect(tag, take, asked="fetch", line_limit=LONG_LINE_LIMIT)
        except ValueError:
            raise self._talk.violation("answered a search with something that is no UID set") from None
        return found

    def _flights(
        self, sets: Iterable[UidSet], items: bytes, missing: set[int], refused: list[MailError]
    ) -> Iterator[tuple[bytes, UidSet]]:
        """UID FETCH of each set, `DEPTH` of them in flight; gives each tag, in order, for the caller to read up to.

        `missing` holds the UIDs that are in flight and have not been seen yet: the caller takes out what it gets, whichever
        command is being read, since servers run pipelined FETCHes side by side (Dovecot does: RFC 9051 §5.5). A NO is added
        to `refused` with its unseen UIDs as `uids`; after a Throttled nothing more is asked for. Left before its end,
        it shuts the connection: what is still to come would be taken for answers to something else."""
        ahead = iter(sets)
        flying: deque[tuple[bytes, UidSet]] = deque()
        try:
            while True:
                if len(flying) < DEPTH:
                    batch = list(islice(ahead, DEPTH - len(flying)))
                    for piece in batch:
                        missing.update(piece)
                    commands = [b"UID FETCH %b %b" % (str(piece).encode("ascii"), items) for piece in batch]
                    flying.extend(zip(self._talk.send_all(commands), batch, strict=True))
                if not flying:
                    return
                tag, piece = flying[0]
                yield tag, piece
                ended = self._talk.finish(tag)
                flying.popleft()
                unseen = UidSet.of(missing.intersection(piece))
                missing.difference_update(unseen)
                if ended.status != "OK":
                    error = self._talk.refusal(ended, asked="fetch", what="could not give all messages")
                    if isinstance(error, Throttled):  # asking on would only make it worse
                        unseen = UidSet.of(uid for rest in (unseen, *ahead) for uid in rest)
                    error.uids = unseen  # type: ignore[attr-defined]
                    refused.append(error)
        finally:
            if flying:
                self._wire.abort()

    def _lines_until(self, tag: bytes) -> Iterator[bytes]:
        """Lines as they come, until `tag` is answered, which is then to be finished."""
        wire, talk = self._wire, self._talk
        ending = tag + b" "
        readline = wire.readline
        wire.begin()
        left = ANSWER_LIMIT
        while not talk.answered(tag):
            line = readline()
            if line.startswith(ending):
                talk.take_line(line)
            else:
                yield line
                left -= 1
                if not left:
                    raise talk.violation("sent answers without end")

    def _small_items(self, line: bytes) -> dict[bytes, Value] | None:
        """One FETCH answer whose literals are all small; None for any other line, which is dealt with."""
        if not FETCH.match(line):
            self._talk.take_line(line)
            return None
        answer = FetchAnswer()
        size = self._feed(answer, line)
        while size is not None:
            answer.literal(self._wire.read(size, LINE_LIMIT))
            size = self._feed(answer, self._wire.readline())
        self._wire.progress()
        return answer.items()

    def _feed(self, answer: FetchAnswer, text: bytes) -> int | None:
        head = FETCH.match(text) if text.startswith(b"* ") else None
        try:
            found = answer.feed(text[head.end() - 1 :] if head else text)
            while found == UNFINISHED:
                found = answer.feed(self._wire.readline())
        except ValueError as error:
            raise self._talk.violation(str(error), text) from None
        return found

    def _fetch_small(self, sets: Sequence[bytes], items: bytes) -> Iterator[dict[bytes, Value]]:
        for text in sets:
            tag = self._talk.send(b"UID FETCH %b %b" % (text, items))
            for line in self._lines_until(tag):
                if (found := self._small_items(line)) is not None:
                    yield found
            self._talk.expect(tag, asked="fetch")

    # -- the end

    def noop(self) -> None:
        """A round trip."""
        self._talk.expect(self._talk.send(b"NOOP"))

    def close(self) -> None:
        """LOGOUT, unanswered: what the server says to it is of no use. Never raises."""
        with contextlib.suppress(Exception):
            self._wire.timeout_seconds = min(1.0, self._wire.timeout_seconds)
            self._wire.begin()
            self._talk.send(b"LOGOUT")
        self._wire.close()

    def abort(self) -> None:
        """Shuts the socket at once, from any thread. Never raises."""
        self._wire.abort()


def raise_first(refused: list[MailError]) -> None:
    """The first of them, with the unseen UIDs of all."""
    if refused:
        unseen = UidSet()
        for error in refused:
            unseen |= error.uids  # type: ignore[attr-defined]
        refused[0].uids = unseen  # type: ignore[attr-defined]
        raise refused[0]


def shown(name: bytes) -> str:
    return clean_text(name, limit=120)


def _subscribed(folder: ListedFolder) -> ListedFolder:
    return ListedFolder(name=folder.name, separator=folder.separator, attributes=folder.attributes, subscribed=True)
