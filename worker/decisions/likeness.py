"""Decides which messages may be copies of each other, and which of them are. Pure.

Headers are only ever a reason to read the bytes of both. Two messages are one when their bytes are equal, or differ by
no more than servers are known to change: line ends, the end of the message, NUL (`shared.content.fingerprint.Canonical`), 8-bit
bytes of the header that the destination replaced one for one, CRs without LF that it took away, and lines that either
server added because it keeps mail in mbox files. They are paired as a multiset, the closest first, so that of five
identical messages three are found where three stand.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from shared.content.dates import clamp, stand_ins
from shared.content.fingerprint import FORMS, NO_FINGERPRINT, match, unmarked_of
from shared.model.messages import Sighting

#: Bytes by which a server may make a message longer beside its line ends: fields of mbox, blank lines at the end.
ADDED_BYTES = 256

#: Bytes of the text that are compared first, with the whole header, where all else is equal (`likely`).
TEXT_BYTES = 4096


def sent_date(seen: Sighting) -> int | None:
    """Returns the internal date to compare by: the same for a message and for a copy with a substitute date."""
    return None if seen.internaldate is None else clamp(seen.internaldate)


class Reasons:
    """The reasons to read a message's bytes: it shares a property with one of these messages."""

    def __init__(self, these: Iterable[Sighting]) -> None:
        self._exact: set[Hashable] = set()
        self._sizes: dict[Hashable, list[int]] = defaultdict(list)
        for seen in these:
            self._exact.update(_marks(seen))
            for group in _groups(seen):
                self._sizes[group].append(seen.size_bytes)
        for sizes in self._sizes.values():
            sizes.sort()

    def meet(self, seen: Sighting) -> bool:
        """Tells whether `seen` has the Message-ID or header of one of these messages, whatever the size.

        A size that servers may have made of the other's is also a reason, together with the same date or no header on
        both sides.
        """
        return any(mark in self._exact for mark in _marks(seen)) or any(
            self._plausible(self._sizes.get(group, ()), seen.size_bytes) for group in _groups(seen)
        )

    @staticmethod
    def _plausible(sizes: Sequence[int], size_bytes: int) -> bool:
        """Tells whether a size is within what servers can cause: a text of nothing but bare LFs doubles."""
        at = bisect_left(sizes, (size_bytes - ADDED_BYTES) // 2)
        return at < len(sizes) and sizes[at] <= 2 * size_bytes + ADDED_BYTES


def _marks(seen: Sighting) -> Iterator[Hashable]:
    if seen.message_id:
        yield "id", seen.message_id
    if seen.fingerprint != NO_FINGERPRINT:
        yield "header", seen.fingerprint
    if seen.in_ascii:
        yield "ascii", seen.in_ascii


def _groups(seen: Sighting) -> Iterator[Hashable]:
    if seen.internaldate is not None:
        yield from stand_ins(seen.internaldate)
    if seen.fingerprint == NO_FINGERPRINT:
        yield NO_FINGERPRINT


def likely(theirs: Sequence[Sighting], ours: Sequence[Sighting]) -> dict[int, int]:
    """Returns pairs that are decided by header and beginning alone, where that is certain.

    It is certain (`Sighting.certain`) when the Message-ID stands once on each side, and the four header fields, the
    size and the internal date are the same.
    """
    once = [Counter(s.message_id for s in side if s.message_id) for side in (theirs, ours)]

    def key(seen: Sighting) -> Hashable:
        return seen.message_id, seen.fingerprint, seen.size_bytes, sent_date(seen)

    def eligible(side: Sequence[Sighting]) -> dict[int, Hashable]:
        return {s.uid: key(s) for s in side if s.internaldate is not None and all(n[s.message_id] == 1 for n in once)}

    return match(eligible(theirs), eligible(ours))


def as_sent(seen: Sighting) -> Hashable:
    """Returns what two copies share that are the same in bytes, size and date."""
    return seen.digest, seen.size_bytes, sent_date(seen)


def _exactly(seen: Sighting) -> Hashable:
    return seen.digest, seen.size_bytes


def _canonically(seen: Sighting) -> Hashable:
    return seen.digest


def _form(number: int) -> Callable[[Sighting], Hashable]:
    return lambda seen: (seen.alike[number] or None) if seen.alike else None


def _unmarked(seen: Sighting) -> Hashable:
    return unmarked_of(seen.alike) or None


#: The keys that must be equal, for the source's message and for the destination's, from the closest match on.
_LADDER = [
    (as_sent, as_sent),
    (_exactly, _exactly),
    (_canonically, _canonically),
    *((_form(number), _form(0)) for number in range(len(FORMS))),
    (_unmarked, _unmarked),
]


def matched(theirs: Iterable[Sighting], ours: Iterable[Sighting]) -> dict[int, int]:
    """Returns source UID → destination UID of messages that are the same, by the digests of a full look at both."""
    left, right = {s.uid: s for s in theirs}, {s.uid: s for s in ours}
    pairs: dict[int, int] = {}
    for of_source, of_copy in _LADDER:
        keys = {uid: key for uid, seen in left.items() if (key := of_source(seen)) is not None}
        found = match(keys, {uid: of_copy(seen) for uid, seen in right.items()})
        pairs |= found
        left = {uid: seen for uid, seen in left.items() if uid not in found}
        for uid in found.values():
            del right[uid]  # type: ignore[arg-type]
    return pairs
