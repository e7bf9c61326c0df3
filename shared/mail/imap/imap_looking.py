"""Looks at the messages of the folder that is open: flags, sightings (RFC 9051 §6.4.5, RFC 7162).

A million messages are asked for in windows of UIDs and read as a stream: one window, one line and one header are held.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from shared.content.fingerprint import FIELDS, HEADER_BYTES, MODULUS, header_fingerprint, header_of, mark
from shared.folders.gmail import EXTENSION, keywords
from shared.mail import FlagsTold, Sighting
from shared.mail.answers.fetch_answer import FETCH, FetchAnswer, flags_of, split_flags, uid_of
from shared.mail.answers.fetch_parts import FetchTold
from shared.mail.answers.grammar import flags_in
from shared.mail.answers.internaldate import parse_internaldate
from shared.mail.answers.tokens import LITERAL, Value
from shared.mail.imap.flights import PIECE, fetch, raise_first, written
from shared.mail.imap.imap_listing import WINDOW, ListingSession
from shared.mail.imap.imap_sightings import Look, sighting_of
from shared.mail.transport.wire import LINE_LIMIT
from shared.model.errors import AnswerUnreadable, MailError
from shared.model.uids import Uid, UidSet
from shared.wording.often_said import ANNOUNCED_TOO_MANY_BYTES_OF_MESSAGE

_T = TypeVar("_T")

_FLAGS = re.compile(rb'\* \d+ FETCH \(UID (\d{1,10}) FLAGS \(([^()"{}\r\n]*)\)(?: MODSEQ \(\d{1,20}\))?\)\r\n')
#: The form in which nearly every server answers `sightings` without bodies (where flags may have changed just now), and `marks`.
_FORM: Final = (
    rb'\* \d+ FETCH \(UID (\d{1,10}) (?:FLAGS \(([^()"{}\r\n]*)\) )%bRFC822\.SIZE (\d{1,20}) INTERNALDATE "([^"\\\r\n]*)" '
    rb"BODY\[HEADER\.FIELDS \([^()\r\n]*\)\] \{(\d{1,5})\}\r\n"
)
_SIGHTING, _MARK = re.compile(_FORM % b"?"), re.compile(_FORM % b"")
_SIGHTING_WITH: Final = b"(UID RFC822.SIZE INTERNALDATE %b)"
_FIELDS_ITEM: Final = b"BODY.PEEK[HEADER.FIELDS (%b)]" % " ".join(FIELDS).encode("ascii")
_SIGHTING_ITEMS: Final = _SIGHTING_WITH % _FIELDS_ITEM
_MARK_ITEMS: Final = b"(UID FLAGS RFC822.SIZE INTERNALDATE %b)" % _FIELDS_ITEM


class LookingSession(ListingSession):
    """The part of both sides that looks at what a folder holds. See `shared.mail.MailSession`."""

    #: Whether labels come as keywords (`shared.mail.MailSource.labels_as_keywords`).
    _labels_wanted = False

    @property
    def _labelled(self) -> bytes:
        """The item that is asked for beside the flags."""
        return b" X-GM-LABELS" if self._labels_in_use else b""

    @property
    def _sizes_and_flags(self) -> bytes:
        """The sizes alone where labels count as keywords: a list of flags without them would be of no use."""
        return b"(UID RFC822.SIZE)" if self._labels_in_use else super()._sizes_and_flags

    @property
    def _labels_in_use(self) -> tuple[str, ...]:
        return (EXTENSION,) if self._labels_wanted and self._has(EXTENSION) else ()

    def _streamed_in_forms(
        self, uses: Sequence[str], attempt: Callable[[UidSet], Iterator[_T]], uids: UidSet
    ) -> Iterator[_T]:
        """Runs `Offer.stream` where the attempt uses any extension, else the attempt itself."""
        return self.offer.stream(uses, attempt, uids) if uses else attempt(uids)

    @staticmethod
    def _keywords(items: dict[bytes, Value]) -> list[bytes]:
        """Returns Gmail's labels as keywords, where they were asked for."""
        found = items.get(b"X-GM-LABELS")
        labels = [label for label in found if isinstance(label, bytes)] if isinstance(found, list) else []
        return [keyword.encode("ascii") for keyword in keywords(labels)]

    def flags(self, uids: UidSet, *, changed_since: int | None = None) -> Iterator[tuple[Uid, tuple[str, ...]]]:
        """Yields (UID, flags); `changed_since` narrows it where the server has CONDSTORE (RFC 7162).

        Where UIDs are sparse, asks first which of them exist.
        """
        if len(uids) > 4 * self._talk.exists + WINDOW:
            uids &= self.existing()
        since = ("CHANGEDSINCE",) if changed_since is not None and self._has("CHANGEDSINCE") else ()
        uses = (*since, *self._labels_in_use)
        return self._streamed_in_forms(uses, lambda left: self._flags(left, changed_since), uids)

    def _flags(self, uids: UidSet, changed_since: int | None) -> Iterator[tuple[Uid, tuple[str, ...]]]:
        asked = b"(UID FLAGS%b)" % self._labelled
        if changed_since is not None and self._has("CHANGEDSINCE"):
            asked += b" (CHANGEDSINCE %d)" % changed_since
        missing: set[int] = set()
        refused: list[MailError] = []
        told, wanted = FetchTold(), (b"UID", *asked[5 : asked.index(b")")].split())
        self._stay()
        for tag, _ in self._flights(written(uids.pieces(WINDOW)), asked, missing, refused):
            for line in self._lines_until(tag):
                if usual := _FLAGS.fullmatch(line):
                    uid, raw = int(usual[1]), usual[2]
                else:
                    items = self._small_items(line, refused, told, wanted)
                    flags = flags_of(items) if items else None
                    if items is None or flags is None:
                        continue
                    uid, raw = uid_of(items), b" ".join([*split_flags(flags)[0], *self._keywords(items)])
                if uid in missing:
                    missing.discard(uid)
                    yield Uid(uid), flags_in(raw)[0]
        raise_first(refused)

    def sightings(self, uids: UidSet, *, full: bool = False, text_bytes: int = 0) -> Iterator[Sighting]:
        """Yields size, date and fingerprint of each message.

        The fingerprint comes from the identifying header fields, or with `full` from the whole message or its
        beginning.
        """
        items, look = _SIGHTING_ITEMS, Look(full=full, text_bytes=text_bytes if full else 0)
        if full:
            text = b"BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.%d>" % text_bytes
            items = _SIGHTING_WITH % (text if text_bytes else b"BODY.PEEK[]")
        missing: set[int] = set()
        refused: list[MailError] = []
        told = FetchTold()
        self._stay()
        for tag, piece in self._flights(written(uids.pieces(PIECE)), items, missing, refused, all_exist=True):
            for line in self._lines_until(tag):
                seen = self._sight(line, refused, look, told)
                if seen is not None and seen.uid in missing:
                    missing.discard(seen.uid)
                    yield seen
            for rest in told.rest(missing.intersection(piece)):
                if (seen := look.sighting(rest)) is not None:
                    missing.discard(seen.uid)
                    yield seen
        raise_first(refused)

    def marks(
        self, uids: UidSet, *, then: bytes | None = None, anew: bool = False, told: FlagsTold | None = None
    ) -> tuple[int, int]:
        """Returns how many of these messages the folder shows, and the sum of their marks, below `MODULUS`.

        It is what `sightings` would give, in half the time. `then` is opened behind the last command that asks for them.
        """
        number = total = 0
        missing: set[int] = set()
        refused: list[MailError] = []
        arrived_with, progress = self._wire.arrived_with, self._wire.progress
        pieces = list(self._fitting(written(uids.pieces(PIECE))))
        first = fetch(pieces[0][0], _MARK_ITEMS) if pieces and (self._ahead.stepped_out() or anew) else b""
        if first:
            self._open_anew(first, then if len(pieces) == 1 else None)
            then = None if len(pieces) == 1 else then
        self._stay(first)
        look, parts, shown = Look(flags=True), FetchTold(), dict[int, tuple[str, ...]]()

        def counted(seen: Sighting | None) -> None:
            nonlocal number, total
            if seen is not None and seen.uid in missing:
                missing.discard(seen.uid)
                if told and seen.uid in shown:
                    told(seen.uid, shown[seen.uid])
                number += 1
                total += mark(seen.uid, seen.size_bytes, seen.internaldate, seen.fingerprint)
            shown.clear()

        def behind() -> None:
            if then is not None:
                self._open_ahead(then)

        for tag, piece in self._flights(pieces, _MARK_ITEMS, missing, refused, all_exist=True, behind=behind):
            lines = self._lines_until(tag)
            while True:
                while usual := arrived_with(_MARK, HEADER_BYTES):
                    found, start = usual
                    number_of, flags, size, date, _ = found.groups()
                    uid, fingerprint = Uid(int(number_of)), header_fingerprint(header_of(start))
                    if uid in missing:
                        missing.discard(uid)
                        number += 1
                        total += mark(uid, int(size), parse_internaldate(date)[0], fingerprint)
                        if told:
                            told(uid, flags_in(flags)[0])
                        progress()
                line = next(lines, None)
                if line is None:
                    break
                counted(self._sight(line, refused, look, parts, shown.__setitem__))
            for rest in parts.rest(missing.intersection(piece)):
                counted(_flagged(rest, look, shown.__setitem__))
        raise_first(refused)
        return number, total % MODULUS

    def _open_anew(self, first: bytes, then: bytes | None) -> None:
        """Opens the folder once more; where that can be, the command `first` and what opens `then` are sent in the same flight."""

    def _open_ahead(self, name: bytes) -> None:
        """Sends the command that opens the folder, where it can be sent before its turn."""

    def _sight(
        self, line: bytes, refused: list[MailError], look: Look, told: FetchTold, flagged: FlagsTold | None = None
    ) -> Sighting | None:
        """Returns the message that is told whole by this answer, or by it and earlier ones."""
        if not FETCH.match(line):
            self._talk.take_line(line)
            return None
        usual = None if look.full else (_MARK if look.flags else _SIGHTING).fullmatch(line)
        if usual and int(usual[5]) <= HEADER_BYTES:
            start = self._wire.read(int(usual[5]), HEADER_BYTES)
            # Whatever else the answer says of the message is of no interest here.
            rest = self._wire.readline()
            while found := LITERAL.search(rest):
                self._wire.read(int(found[1]), LINE_LIMIT)
                rest = self._wire.readline()
            self._wire.progress()
            if flagged and usual[2] is not None:
                flagged(Uid(int(usual[1])), flags_in(usual[2])[0])
            return sighting_of(int(usual[1]), int(usual[3]), usual[4], start)
        answer = FetchAnswer()
        try:
            for size in self._literals(answer, line):
                if (key := answer.key).startswith(b"BODY["):
                    most = look.most(told.known(line, answer.items(), self._talk.expunged))
                    if size > most:
                        raise self._talk.violation(ANNOUNCED_TOO_MANY_BYTES_OF_MESSAGE.says(size=size, most=most))
                    answer.literal(look.seen(key, self._wire.read_chunks(size)))
                else:
                    answer.literal(self._wire.read(size, LINE_LIMIT))
        except AnswerUnreadable as error:
            self._hold(error, refused)
            return None
        self._wire.progress()
        items = told.joined(line, answer.items(), self._talk.expunged, look.whole)
        return None if items is None else _flagged(items, look, flagged)


def _flagged(items: dict[bytes, Value], look: Look, flagged: FlagsTold | None) -> Sighting | None:
    """Returns what these items tell of a message, and hands its flags on."""
    seen = look.sighting(items)
    if seen is not None and flagged and (flags := flags_of(items)) is not None:
        flagged(seen.uid, flags_in(b" ".join(split_flags(flags)[0]))[0])
    return seen
