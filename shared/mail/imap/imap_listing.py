"""Lists the messages of the open folder (RFC 9051 §6.4.4, §6.4.5, RFC 4731).

The module reads their sizes, does SEARCH, and finds the messages that the server counts and does not list.

A million messages are asked for in windows of UIDs and read as a stream. A server may answer for so many messages only.
It says so (RFC 9738), gives them page by page (RFC 9394), or says nothing. The listing is compared with the number of
messages that the server counts.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from typing import Final

from shared.mail import FlagsTold, KnownStatus
from shared.mail.answers.bounds import MOST_MESSAGES, MOST_RANGES
from shared.mail.answers.fetch_answer import flags_of, split_flags, uid_of
from shared.mail.answers.fetch_parts import FetchTold
from shared.mail.answers.grammar import flags_in
from shared.mail.answers.message_limit import cut_short
from shared.mail.answers.responses import search_tag, searched_uids
from shared.mail.answers.tokens import Unreadable, Value
from shared.mail.imap.flights import PIECE, Asked, fetch, raise_first, written
from shared.mail.imap.imap_mailbox import ImapSession
from shared.mail.transport.conversation import Tagged
from shared.mail.transport.wire import LONG_LINE_LIMIT
from shared.model.errors import MailError, ServerRefused, Throttled
from shared.model.uids import MAX_UID, Uid, UidSet
from shared.wording.often_said import NOT_ALL_MESSAGES_GIVEN, WOULD_NOT_SEARCH
from shared.wording.phrases import Phrase

SEARCH_MAKES_NO_SENSE: Final = Phrase("search_makes_no_sense", "answered a search with something that makes no sense")
TOO_MANY_UIDS_FOUND: Final = Phrase(
    "too_many_uids_found", "answered a search with more than {most} UIDs, or {ranges} ranges of them"
)

#: Number of UIDs asked for by one FETCH of sizes or flags, as one range.
WINDOW: Final = 10_000

_SIZES: Final = b"(UID RFC822.SIZE)"
_SIZES_AND_FLAGS: Final = b"(UID FLAGS RFC822.SIZE)"
_SIZE = re.compile(
    rb"\* \d+ FETCH \((?:UID (\d{1,10}) RFC822\.SIZE (\d{1,20})|RFC822\.SIZE (\d{1,20}) UID (\d{1,10}))\)\r\n"
)
_SIZE_AND_FLAGS = re.compile(rb'\* \d+ FETCH \(UID (\d{1,10}) FLAGS \(([^()"{}\r\n]*)\) RFC822\.SIZE (\d{1,20})\)\r\n')
_ALL: Final = UidSet.span(1, MAX_UID)
#: Number of looks into a folder before the server is believed to count messages that it does not show.
LOOKS: Final = 3


class ListingSession(ImapSession):
    """The part of both sides that knows which messages there are. See `shared.mail.MailSession`."""

    @property
    def _window(self) -> int:
        """The number of UIDs in one window: no more messages than the server takes."""
        return min(WINDOW, self._most or WINDOW)

    @property
    def _first_sizes(self) -> bytes:
        """The first command of a list of sizes and flags: known before the folder is open."""
        return fetch(b"1:%d" % self._window, self._sizes_and_flags)

    @property
    def _sizes_and_flags(self) -> bytes:
        """The items of a list of sizes and flags."""
        return _SIZES_AND_FLAGS

    def sizes(
        self, status: KnownStatus, among: UidSet | None = None, *, told: FlagsTold | None = None
    ) -> Iterator[tuple[Uid, int]]:
        """Yields (UID, RFC822.SIZE), ascending.

        It asks by windows of UIDs where they are dense, and by a UID list where they are not.
        """
        last = status.uidnext - 1
        if not status.messages or last < 1:
            return
        refused: list[MailError] = []
        items = self._sizes_and_flags if told else _SIZES
        if among is not None:
            self._stay()
            yield from self._sizes(written(among.pieces(PIECE)), refused, items, told)
        elif last <= 4 * status.messages + WINDOW:
            step = self._window
            windows = (
                (b"%d:%d" % (low, low + step - 1), UidSet.span(low, min(last, low + step - 1)))
                for low in range(1, last + 1, step)
            )
            self._stay(fetch(b"1:%d" % step, items))
            yield from self._sizes(islice(windows, 1), refused, items, told)
            if last > step:
                self._stay()
                yield from self._sizes(windows, refused, items, told)
        else:
            everything = self.existing() & UidSet.span(1, last)
            yield from self._sizes(written(everything.pieces(WINDOW)), refused, items, told)
        raise_first(refused)

    def _sizes(
        self,
        windows: Iterable[Asked],
        refused: list[MailError],
        items: bytes = _SIZES,
        told: FlagsTold | None = None,
    ) -> Iterator[tuple[Uid, int]]:
        found: dict[int, int] = {}
        unsized: set[int] = set()
        missing: set[int] = set()
        parts, wanted = FetchTold(), (b"UID", b"RFC822.SIZE", *((b"FLAGS",) if told else ()))

        def whole(below: int) -> Iterator[tuple[Uid, int]]:
            """Yields the messages below everything that is still to come."""
            for uid in sorted(uid for uid in found if uid < below):
                yield Uid(uid), found.pop(uid)

        def take(uid: int, size: int | None, raw: bytes | None) -> None:
            if told and raw is not None and uid in missing:
                told(Uid(uid), flags_in(raw)[0])
            if size is None:
                unsized.add(uid)
            elif uid in missing:
                missing.discard(uid)
                found[uid] = size

        for tag, window in self._flights(windows, items, missing, refused):
            yield from whole(window.low)
            lines = self._lines_until(tag)
            while True:
                while usual := self._wire.arrived(_SIZE_AND_FLAGS):
                    uid = int(usual[1])
                    if uid in missing:
                        missing.discard(uid)
                        found[uid] = int(usual[3])
                        if told:
                            told(Uid(uid), flags_in(usual[2])[0])
                if (line := next(lines, None)) is None:
                    break
                if (one := self._size_in(line, refused, parts, wanted)) is not None:
                    take(*one)
            for rest in parts.rest(missing.intersection(window)):
                take(*_size_of(rest))
            for uid in [uid for uid in unsized if uid in missing and uid in window]:
                missing.discard(uid)  # the message is shown, and nothing is said of its size
                found[uid] = 0
        yield from whole(MAX_UID + 1)

    def _size_in(
        self, line: bytes, refused: list[MailError], told: FetchTold | None = None, wanted: Collection[bytes] = ()
    ) -> tuple[int, int | None, bytes | None] | None:
        """Returns (UID, size, flags) of one answer, or None for any other line, which is dealt with.

        A size or flags that are not told are None. `told` and `wanted` as for `_small_items`.
        """
        if usual := _SIZE_AND_FLAGS.fullmatch(line):
            return int(usual[1]), int(usual[3]), usual[2]
        if usual := _SIZE.fullmatch(line):
            return int(usual[1] or usual[4]), int(usual[2] or usual[3]), None
        items = self._small_items(line, refused, told, wanted)
        return None if items is None else _size_of(items)

    # -- SEARCH

    def existing(self, among: UidSet | None = None) -> UidSet:
        """Returns every UID of the open folder, or of those `among` these.

        Asks on where the server stopped, or told fewer than it counts, until nothing new comes.
        """
        if among is None and self._most and "PARTIAL" in self.offer.announced:
            return self.offer.ask(("PARTIAL", "ESEARCH"), self._paged)
        return self.offer.ask(("ESEARCH",), lambda: self._existing(among))

    def _existing(self, among: UidSet | None = None) -> UidSet:
        found = UidSet()
        todo = [_ALL] if among is None else list(among.pieces(PIECE))[::-1]
        while todo:
            part = todo.pop()
            came, ended = self._sought(part)
            limit = cut_short(ended.text)
            if ended.status != "OK":
                if limit is None or len(part) < 2:
                    raise self._talk.refusal(ended, asked="fetch", what=WOULD_NOT_SEARCH.says())
                todo += part.take(len(part) // 2)[::-1]
                continue
            new = (came & part) - found
            found |= new
            rest = part - UidSet.span(new.low, new.high) if new else UidSet()
            if rest and (limit is not None or among is not None or len(found) < self._talk.exists):
                todo.append(rest)
        return found

    def _sought(self, uids: UidSet) -> tuple[UidSet, Tagged]:
        """Returns what one SEARCH tells of these UIDs, and how it ended."""
        key = b"UID " + _text(uids)
        extended = self._has("ESEARCH")
        return self._told(
            (b"UID SEARCH RETURN (ALL) " if extended else b"UID SEARCH ") + (b"ALL" if uids == _ALL else key)
        )

    def _paged(self) -> UidSet:
        """Returns every UID, asked for page by page (RFC 9394)."""
        if not self._has("PARTIAL"):
            return self._existing()
        found, most = UidSet(), self._most or WINDOW
        for first in range(1, MAX_UID, most):
            came, ended = self._told(b"UID SEARCH RETURN (PARTIAL %d:%d) ALL" % (first, first + most - 1))
            if cut_short(ended.text) is not None:  # some messages of this page are missing, and it is not known which
                return found | came | self._existing()
            if ended.status != "OK":
                raise self._talk.refusal(ended, asked="fetch", what=WOULD_NOT_SEARCH.says())
            if not came - found:
                break
            found |= came
            if len(found) >= self._talk.exists:
                break
        return found

    def _told(self, command: bytes) -> tuple[UidSet, Tagged]:
        ranges: list[tuple[int, int]] = []
        others: list[tuple[int, int]] = []
        self._stay()
        tag = self._talk.send(command)

        def take(of: bytes | None, uids: UidSet) -> None:
            (ranges if of in (None, tag) else others).extend(uids.ranges)

        ended = self._talk.finish(tag, self._searches(take), line_limit=LONG_LINE_LIMIT)
        # One that names another command is its answer (RFC 4466), unless that is all that came: then the server names it wrongly.
        return UidSet.joined(ranges or others), ended

    def _searches(self, take: Callable[[bytes | None, UidSet], object]) -> Callable[[list[bytes]], None]:
        """Returns a function that gives `take` each answer to a search: the tag that it names, and its UIDs.

        An answer that makes no sense, or more than fits into memory, breaks the connection off.
        """
        left, messages = MOST_RANGES, MOST_MESSAGES

        def taken(pieces: list[bytes]) -> None:
            nonlocal left, messages
            try:
                uids = searched_uids(pieces)
                tag = None if uids is None else search_tag(pieces)
            except Unreadable:
                what = SEARCH_MAKES_NO_SENSE.says()
                raise self._talk.violation(what, pieces[0][:1000]) from None
            if uids is not None:
                left -= len(uids.ranges)
                messages -= len(uids)
                if left < 0 or messages < 0:
                    raise self._talk.violation(TOO_MANY_UIDS_FOUND.says(most=MOST_MESSAGES, ranges=MOST_RANGES))
                take(tag, uids)

        return taken

    # -- what is counted and was not listed

    def look_again(self, listed: UidSet) -> tuple[list[tuple[Uid, int]], int]:
        """Implements `MailSession.look_again`.

        Asks by SEARCH, between two NOOPs, so that a message removed meanwhile is noticed. Where that does not close the
        count, asks by FETCH for everything that was not seen; and where that does not either, repeats all of it on a
        folder opened anew.
        """
        found: dict[int, int] = {}
        known, short = listed, 0
        for looks_left in reversed(range(LOOKS)):
            here, count = self._searched_and_counted()
            sizes: dict[int, int] = {int(uid): 0 for uid in here - known} | self._sizes_of(here - known)
            if len(known | here) < count:
                sizes |= self._swept(known | here)
            found |= sizes
            known |= UidSet.of(sizes)
            missing = count - len(known)
            short = missing if looks_left == LOOKS - 1 else min(short, missing)
            if short <= 0:
                break
            if looks_left:
                self._reopen()
        return sorted((Uid(uid), size) for uid, size in found.items()), max(0, short)

    def _searched_and_counted(self) -> tuple[UidSet, int]:
        """Returns what SEARCH tells, and how many messages the server counted before.

        Those that it called expunged afterwards are not counted.
        """
        self._stay()
        self.noop()
        before, expunged = self._talk.exists, self._talk.expunged
        here = UidSet()
        with contextlib.suppress(ServerRefused):
            here = self.existing()
        self.noop()
        return here, before - (self._talk.expunged - expunged)

    def _sizes_of(self, uids: UidSet) -> dict[int, int]:
        """Returns the sizes of those messages that FETCH shows."""
        return {int(uid): size for uid, size in self._sizes(written(uids.pieces(PIECE)), [])} if uids else {}

    def _swept(self, known: UidSet) -> dict[int, int]:
        """Returns the messages that FETCH shows beside `known`.

        Each command asks for as many ranges as a line holds, however wide, until one brings nothing new: then there is
        nothing. A NO without anything new is narrowed down to single UIDs.
        """
        found: dict[int, int] = {}
        unreadable: list[MailError] = []
        todo = list((_ALL - known).pieces(MAX_UID))[::-1]
        while todo:
            part = todo.pop()
            new: dict[int, int] = {}
            tag = self._talk.send(fetch(_text(part), _SIZES))
            for line in self._lines_until(tag):
                if (one := self._size_in(line, unreadable)) is not None and one[0] in part:
                    new[one[0]] = one[1] or 0
            ended = self._talk.finish(tag)
            found |= new
            if new:
                todo += list((part - UidSet.of(new)).pieces(MAX_UID))[::-1]
            elif ended.status != "OK":
                error = self._talk.refusal(ended, asked="fetch", what=NOT_ALL_MESSAGES_GIVEN.says())
                if isinstance(error, Throttled):
                    raise error
                todo += [half for half in part.take(len(part) // 2)[::-1] if half and len(part) > 1]
        return found


def _size_of(items: dict[bytes, Value]) -> tuple[int, int | None, bytes | None]:
    """Returns (UID, size, flags); None for what is not told."""
    value = items.get(b"RFC822.SIZE")
    size = int(value) if isinstance(value, bytes) and value.isdigit() and len(value) <= 20 else None
    flags = flags_of(items)
    return uid_of(items), size, None if flags is None else b" ".join(split_flags(flags)[0])


def _text(uids: UidSet) -> bytes:
    """Returns a set as it is sent; the highest possible UID is written as `*`, the last one that exists."""
    return str(uids).replace(str(MAX_UID), "*").encode("ascii")
