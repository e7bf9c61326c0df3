"""Looks at the messages of the folder that is open: flags, sightings (RFC 9051 §6.4.5, RFC 7162).

A million messages are asked for in windows of UIDs and read as a stream: one window, one line and one header are held.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, TypeVar

from shared.content.fingerprint import (
    FIELDS,
    HEADER_BYTES,
    MODULUS,
    Canonical,
    delivered,
    fingerprint_of,
    header_fingerprint,
    header_of,
    identifying,
    in_ascii,
    mark,
    message_id_of,
)
from shared.folders.gmail import EXTENSION, keywords
from shared.mail import FlagsTold, Sighting
from shared.mail.answers.bounds import most_body
from shared.mail.answers.fetch_answer import FETCH, FetchAnswer, flags_of, size_of, split_flags, uid_of
from shared.mail.answers.fetch_parts import FetchTold
from shared.mail.answers.grammar import clean_text, flags_in
from shared.mail.answers.internaldate import parse_internaldate
from shared.mail.answers.tokens import LITERAL, Value
from shared.mail.imap.flights import PIECE, fetch, raise_first, written
from shared.mail.imap.imap_listing import WINDOW, ListingSession
from shared.mail.transport.wire import LINE_LIMIT
from shared.model.errors import AnswerUnreadable, MailError
from shared.model.uids import Uid, UidSet
from shared.wording.often_said import ANNOUNCED_TOO_MANY_BYTES_OF_MESSAGE

_T = TypeVar("_T")

_HEADER_LIMIT: Final = 16 * 1024 * 1024
_FLAGS = re.compile(rb'\* \d+ FETCH \(UID (\d{1,10}) FLAGS \(([^()"{}\r\n]*)\)(?: MODSEQ \(\d{1,20}\))?\)\r\n')
#: The form in which nearly every server answers `sightings` without bodies, and `marks`.
_SIGHTING = re.compile(
    rb'\* \d+ FETCH \(UID (\d{1,10}) (?:FLAGS \(([^()"{}\r\n]*)\) )?RFC822\.SIZE (\d{1,20}) INTERNALDATE "([^"\\\r\n]*)" '
    rb"BODY\[HEADER\.FIELDS \([^()\r\n]*\)\] \{(\d{1,5})\}\r\n"
)
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
        items = _SIGHTING_ITEMS
        if full:
            text = b"BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.%d>" % text_bytes
            items = _SIGHTING_WITH % (text if text_bytes else b"BODY.PEEK[]")
        missing: set[int] = set()
        refused: list[MailError] = []
        told = None if full else FetchTold()
        self._stay()
        for tag, piece in self._flights(written(uids.pieces(PIECE)), items, missing, refused, all_exist=True):
            for line in self._lines_until(tag):
                seen = self._sight(line, refused, full=full, part=bool(text_bytes), told=told)
                if seen is not None and seen.uid in missing:
                    missing.discard(seen.uid)
                    yield seen
            for rest in told.rest(missing.intersection(piece)) if told else ():
                if (seen := _header_sighting(rest)) is not None:
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

        def behind() -> None:
            if then is not None:
                self._open_ahead(then)

        for tag, _ in self._flights(pieces, _MARK_ITEMS, missing, refused, all_exist=True, behind=behind):
            lines = self._lines_until(tag)
            while True:
                while usual := arrived_with(_SIGHTING, HEADER_BYTES):
                    found, start = usual
                    number_of, flags, size, date, _ = found.groups()
                    uid, fingerprint = Uid(int(number_of)), header_fingerprint(header_of(start))
                    if uid in missing:
                        missing.discard(uid)
                        number += 1
                        total += mark(uid, int(size), parse_internaldate(date)[0], fingerprint)
                        if told and flags is not None:
                            told(uid, flags_in(flags)[0])
                        progress()
                line = next(lines, None)
                if line is None:
                    break
                shown: dict[int, tuple[str, ...]] = {}
                seen = self._sight(line, refused, full=False, flagged=shown.__setitem__)
                if seen is not None and seen.uid in missing:
                    missing.discard(seen.uid)
                    if told and seen.uid in shown:
                        told(seen.uid, shown[seen.uid])
                    number += 1
                    total += mark(seen.uid, seen.size_bytes, seen.internaldate, seen.fingerprint)
        raise_first(refused)
        return number, total % MODULUS

    def _open_anew(self, first: bytes, then: bytes | None) -> None:
        """Opens the folder once more; where that can be, the command `first` and what opens `then` are sent in the same flight."""

    def _open_ahead(self, name: bytes) -> None:
        """Sends the command that opens the folder, where it can be sent before its turn."""

    def _sight(
        self,
        line: bytes,
        refused: list[MailError],
        *,
        full: bool,
        part: bool = False,
        told: FetchTold | None = None,
        flagged: FlagsTold | None = None,
    ) -> Sighting | None:
        if not FETCH.match(line):
            self._talk.take_line(line)
            return None
        usual = None if full else _SIGHTING.fullmatch(line)
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
            return _sighting(int(usual[1]), int(usual[3]), usual[4], start)
        canonical = Canonical() if full else None
        start, length, read = b"", 0, set[bytes]()
        answer = FetchAnswer()
        try:
            for size in self._literals(answer, line):
                if (key := answer.key).startswith(b"BODY["):
                    most = most_body(max(0, size_of(answer.items()))) if full else _HEADER_LIMIT
                    if size > most:
                        raise self._talk.violation(ANNOUNCED_TOO_MANY_BYTES_OF_MESSAGE.says(size=size, most=most))
                    read.add(key)
                    length += size
                    kept = []
                    room = HEADER_BYTES
                    for chunk in self._wire.read_chunks(size):
                        if canonical:
                            canonical.update(chunk)
                        if room > 0:
                            kept.append(chunk[:room])
                            room -= len(chunk)
                    answer.literal(b"".join(kept))
                    start = start or b"".join(kept)
                else:
                    answer.literal(self._wire.read(size, LINE_LIMIT))
        except AnswerUnreadable as error:
            self._hold(error, refused)
            return None
        self._wire.progress()
        items = answer.items()
        if told is not None:
            joined = told.joined(line, items, self._talk.expunged, _is_sighting)
            return None if joined is None else _header_sighting(joined)
        values = {key: v for key, v in items.items() if key.startswith(b"BODY[") and isinstance(v, bytes)}
        if not values:
            return None  # expunged meanwhile: BODY[] NIL
        if flagged and (flags := flags_of(items)) is not None:
            flagged(Uid(uid_of(items)), flags_in(b" ".join(split_flags(flags)[0]))[0])
        for value in (value for key, value in values.items() if key not in read):  # quoted strings
            start, length = start or value, length + len(value)
            if canonical:
                canonical.update(value)
        date = items.get(b"INTERNALDATE")
        size = length if full and not part else max(0, size_of(items))
        certain = full and (length == size or delivered(header_of(start)))
        return _sighting(
            uid_of(items),
            size,
            date if isinstance(date, bytes) else None,
            start,
            canonical,
            certain,
        )


def _is_sighting(told: Collection[bytes]) -> bool:
    return {b"UID", b"RFC822.SIZE", b"INTERNALDATE"}.issubset(told) and any(key.startswith(b"BODY[") for key in told)


def _header_sighting(items: dict[bytes, Value]) -> Sighting | None:
    """Returns what these items of a message tell; None without a header: it was expunged meanwhile."""
    start = next((v for key, v in items.items() if key.startswith(b"BODY[") and isinstance(v, bytes)), None)
    date = items.get(b"INTERNALDATE")
    if start is None:
        return None
    return _sighting(uid_of(items), max(0, size_of(items)), date if isinstance(date, bytes) else None, start)


def _sighting(
    uid: int, size: int, date: bytes | None, start: bytes, canonical: Canonical | None = None, certain: bool = False
) -> Sighting:
    fields = identifying(header_of(start))
    return Sighting(
        uid=Uid(uid),
        size_bytes=size,
        internaldate=parse_internaldate(date)[0],
        fingerprint=fingerprint_of(fields),
        message_id=clean_text(message_id_of(fields)),
        digest=canonical.digest() if canonical else None,
        alike=canonical.alike() if canonical else (),
        in_ascii=in_ascii(fields),
        certain=certain,
        nuls=canonical.nuls if canonical else 0,
        checksum=canonical.checksum if canonical else 0,
    )
