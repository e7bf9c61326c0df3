"""UIDs and sets of them (RFC 9051 §2.3.1.1, §4.1.1), as types.

A `UidSet` is what IMAP calls a sequence set of UIDs, always written out as sorted, disjoint, inclusive ranges:
``1:499,512``. It never holds ``*`` and never holds sequence numbers. A `Record` is one line of the ledger: source UIDs
and the destination UIDs that they became, as COPYUID writes it (RFC 4315 §3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NewType

#: A message's unique identifier within one folder under one UIDVALIDITY, 1 … 4294967295.
Uid = NewType("Uid", int)

MAX_UID = 4_294_967_295

_SET = re.compile(r"\d{1,10}(:\d{1,10})?(,\d{1,10}(:\d{1,10})?)*")


@dataclass(frozen=True, slots=True)
class UidSet:
    """A set of UIDs kept as ranges; costs memory by range, not by UID."""

    #: Sorted, disjoint, non-adjacent inclusive ranges (low, high).
    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, uids: Iterable[int]) -> UidSet:
        """Returns the set of these UIDs, in any order, repeated or not."""
        ranges: list[tuple[int, int]] = []
        low = high = -1
        for uid in sorted(uids):
            if uid <= high:
                continue
            if uid == high + 1 and low >= 0:
                high = uid
                continue
            if low >= 0:
                ranges.append((low, high))
            low = high = uid
        if low >= 0:
            ranges.append((low, high))
        return cls(tuple(ranges))

    @classmethod
    def ascending(cls, uids: Iterable[int]) -> UidSet:
        """Returns the set of UIDs that ascend; takes memory by range. Raises ValueError when they do not ascend."""
        ranges: list[tuple[int, int]] = []
        low, high = 0, -1
        for uid in uids:
            if uid == high + 1:
                high = uid
                continue
            if uid <= high:
                raise ValueError(f"UID {uid} after {high}: UIDs must ascend")
            if high >= 0:
                ranges.append((low, high))
            low = high = uid
        if high >= 0:
            ranges.append((low, high))
        return cls(tuple(ranges))

    @classmethod
    def span(cls, low: int, high: int) -> UidSet:
        """Returns every UID from `low` to `high`, both included."""
        return cls(((low, high),)) if low <= high else cls()

    @classmethod
    def joined(cls, ranges: list[tuple[int, int]]) -> UidSet:
        """Returns the union of these inclusive ranges (low, high), in any order, overlapping or not."""
        return cls(_merged(ranges))

    @classmethod
    def bounded(cls, bounds: Sequence[int]) -> UidSet:
        """Returns the union of ranges given as low, high, low, high … with gaps between them, in any order."""
        pairs = tuple(zip(bounds[::2], bounds[1::2], strict=True))
        rising = all(one[1] + 1 < other[0] for one, other in pairwise(pairs))
        return cls(pairs) if rising else cls.joined(list(pairs))

    @classmethod
    def parse(cls, text: str) -> UidSet:
        """Reads ``1:3,7``; ranges in any order or direction. Raises ValueError for anything else."""
        if text == "":
            return cls()
        if not _SET.fullmatch(text):
            raise ValueError(f"not a UID set: {text[:60]!r}")
        found = []
        for part in text.split(","):
            low, _, high = part.partition(":")
            a, b = int(low), int(high or low)
            if max(a, b) > MAX_UID:
                raise ValueError(f"UID over {MAX_UID} in {text[:60]!r}")
            found.append((min(a, b), max(a, b)))
        return cls(_merged(found))

    def __str__(self) -> str:
        return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in self.ranges)

    def __len__(self) -> int:
        return sum(b - a + 1 for a, b in self.ranges)

    def __bool__(self) -> bool:
        return bool(self.ranges)

    def __iter__(self) -> Iterator[Uid]:
        for a, b in self.ranges:
            yield from map(Uid, range(a, b + 1))

    def __contains__(self, uid: int) -> bool:
        left, right = 0, len(self.ranges)
        while left < right:
            middle = (left + right) // 2
            if self.ranges[middle][1] < uid:
                left = middle + 1
            else:
                right = middle
        return left < len(self.ranges) and self.ranges[left][0] <= uid

    def __or__(self, other: UidSet) -> UidSet:
        return UidSet(_merged([*self.ranges, *other.ranges]))

    def __sub__(self, other: UidSet) -> UidSet:
        kept: list[tuple[int, int]] = []
        taken = other.ranges
        start = 0
        for a, b in self.ranges:
            while start < len(taken) and taken[start][1] < a:
                start += 1
            at = start
            while at < len(taken) and taken[at][0] <= b:
                if taken[at][0] > a:
                    kept.append((a, taken[at][0] - 1))
                a = taken[at][1] + 1
                at += 1
            if a <= b:
                kept.append((a, b))
        return UidSet(tuple(kept))

    def __and__(self, other: UidSet) -> UidSet:
        return self - (self - other)

    @property
    def low(self) -> Uid:
        """The smallest UID. Raises IndexError when the set is empty."""
        return Uid(self.ranges[0][0])

    @property
    def high(self) -> Uid:
        """The largest UID. Raises IndexError when the set is empty."""
        return Uid(self.ranges[-1][1])

    def take(self, count: int) -> tuple[UidSet, UidSet]:
        """Splits the set into its first `count` UIDs, and the rest."""
        head: list[tuple[int, int]] = []
        for at, (a, b) in enumerate(self.ranges):
            size = b - a + 1
            if size > count:
                if count:
                    head.append((a, a + count - 1))
                return UidSet(tuple(head)), UidSet(((a + count, b), *self.ranges[at + 1 :]))
            head.append((a, b))
            count -= size
        return self, UidSet()

    def pieces(self, messages: int, octets: int = 4000) -> Iterator[UidSet]:
        """Cuts the set into sets of at most `messages` UIDs whose text is at most about `octets` long.

        Many servers refuse command lines over 8 KB (RFC 2683 §3.2.1.5 advises 1,000 octets).
        """
        most_ranges = max(1, octets // 22)
        head: list[tuple[int, int]] = []
        room = messages
        for a, b in self.ranges:
            while a <= b:
                count = min(b - a + 1, room)
                head.append((a, a + count - 1))
                a += count
                room -= count
                if not room or len(head) == most_ranges:
                    yield UidSet(tuple(head))
                    head, room = [], messages
        if head:
            yield UidSet(tuple(head))


#: The empty set.
NO_UIDS = UidSet()


def _merged(ranges: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    out: list[tuple[int, int]] = []
    for a, b in sorted(ranges):
        if out and a <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], b))
        else:
            out.append((a, b))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Record:
    """Source UIDs and the destination UIDs they became: the nth of one is the nth of the other."""

    #: UIDs at the source, ascending.
    source: UidSet
    #: UIDs at the destination, ascending, as many.
    destination: UidSet

    def __post_init__(self) -> None:
        if len(self.source) != len(self.destination):
            raise ValueError(f"a record needs as many UIDs on both sides: {self}")

    def __str__(self) -> str:
        return f"{self.source} {self.destination}"

    @classmethod
    def parse(cls, text: str) -> Record:
        """Reads ``1:3,7 101:104``. Raises ValueError for anything else."""
        source, _, destination = text.partition(" ")
        return cls(UidSet.parse(source), UidSet.parse(destination))

    def pairs(self) -> Iterator[tuple[Uid, Uid]]:
        """Returns (source UID, destination UID) pairs, ascending."""
        return zip(self.source, self.destination, strict=True)


def without_sources(records: Iterable[Record], uids: UidSet) -> tuple[Record, ...]:
    """Returns the records without these source UIDs and their destination UIDs."""
    return tuple(records_of(pair for record in records for pair in record.pairs() if pair[0] not in uids))


def records_of(pairs: Iterable[tuple[int, int]]) -> list[Record]:
    """Returns the fewest records that hold these (source UID, destination UID) pairs; each ascends on both sides."""
    out: list[Record] = []
    sources: list[int] = []
    destinations: list[int] = []
    for source, destination in sorted(pairs):
        if destinations and destination < destinations[-1]:
            out.append(Record(UidSet.of(sources), UidSet.of(destinations)))
            sources, destinations = [], []
        sources.append(source)
        destinations.append(destination)
    if sources:
        out.append(Record(UidSet.of(sources), UidSet.of(destinations)))
    return out
