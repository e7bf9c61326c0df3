"""What makes a POP3 message the same one in another session: the identity that its number in the ledger stands for.

POP3 numbers messages anew in each session (RFC 1939 §3). What stays is the unique-id (§7), where the server has one and keeps
its word. Each identity gets a number, ascending and for good, which is the message's UID for everybody else; all of them
together, under one generation, are what UIDVALIDITY is for IMAP.

Servers break their word: ids that are the place in the listing, ids that are given again, ids that change with a new version. So
what was read of a message is kept beside its identity, and whatever seems new while something known is missing is compared
with that first: the same message in a new guise keeps its number. Only where nothing was read yet of what is missing, and
all of it is, does the next generation begin; the planner then finds by content what was copied already.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from shared.fingerprint import NO_FINGERPRINT

#: Bytes kept of an identity: among a million messages two are alike once in thirty million maildrops.
DIGEST_BYTES: Final = 8
#: Bytes kept of what was read of a message: of its head and, behind that, of its content.
_HEAD_BYTES: Final = 5
_CONTENT_BYTES: Final = DIGEST_BYTES - _HEAD_BYTES
_UNREAD: Final = bytes(_CONTENT_BYTES)
_DIGITS: Final = re.compile(rb"\d{1,18}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """What the head of a message tells, whatever server shows it."""

    #: When it arrived, seconds since the epoch; None when it does not say.
    date: int | None
    #: See `shared.fingerprint`.
    fingerprint: bytes

    @property
    def digest(self) -> bytes:
        """A short form."""
        return digest(b"head", b"%d" % (self.date or 0), self.fingerprint)[:_HEAD_BYTES]


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The identities of a maildrop so far."""

    #: Counted from 1.
    generation: int
    #: `DIGEST_BYTES` for each, in the order of their numbers, which begin with 1.
    digests: bytes = b""
    #: What was read of each, in the same order and length (`described`); NULs, or nothing at the end, for what was not.
    said: bytes = b""

    def numbers(self) -> dict[bytes, int]:
        """Identity → number."""
        every = range(0, len(self.digests), DIGEST_BYTES)
        return {self.digests[at : at + DIGEST_BYTES]: at // DIGEST_BYTES + 1 for at in every}

    def said_of(self, number: int) -> bytes:
        """What was read of a message; b"" for nothing."""
        kept = self.said[(number - 1) * DIGEST_BYTES : number * DIGEST_BYTES]
        return kept if kept.strip(b"\0") else b""


class Identities(Protocol):
    """Where they are kept: the store for an import, memory for a look."""

    def known(self) -> Known:
        """What is kept."""

    def replace(self, before: Known, generation: int, digests: bytes) -> Known:
        """Other identities in place of `before`; with another generation all that was said of them is forgotten. When
        meanwhile there is another than `before`, nothing is changed and that one returned."""

    def say(self, generation: int, said: Mapping[int, bytes]) -> None:
        """Keeps what was read, by number; nothing, when that generation is over."""


class Passing:
    """`Identities` that are forgotten with the session; it begins with what is `known`."""

    def __init__(self, known: Known | None = None) -> None:
        self._known = known or Known(generation=1)

    def known(self) -> Known:
        return self._known

    def replace(self, before: Known, generation: int, digests: bytes) -> Known:
        said = before.said if generation == before.generation else b""
        self._known = Known(generation=generation, digests=digests, said=said)
        return self._known

    def say(self, generation: int, said: Mapping[int, bytes]) -> None:
        known = self._known
        self._known = Known(generation=known.generation, digests=known.digests, said=overwritten(known.said, said))


class Glance(Passing):
    """`Passing` of a session that nothing follows: numbers in the listing are enough, and no message is read for them."""


def overwritten(said: bytes, more: Mapping[int, bytes]) -> bytes:
    """`Known.said` with these entries, by number."""
    text = bytearray(said.ljust(max(more, default=0) * DIGEST_BYTES, b"\0"))
    for number, entry in more.items():
        text[(number - 1) * DIGEST_BYTES : number * DIGEST_BYTES] = entry
    return bytes(text)


def digest(*parts: bytes) -> bytes:
    """An identity made of these."""
    return hashlib.blake2b(
        b"\0".join(b"%d:%b" % (len(part), part) for part in parts), digest_size=DIGEST_BYTES
    ).digest()


def described(head: Head, content: bytes | None) -> bytes:
    """What is kept of a message that was read; `content` is a digest of all of it, None when only the head was read."""
    if content is None:
        return head.digest + _UNREAD
    short = digest(b"content", content)[:_CONTENT_BYTES]
    return head.digest + (short if short != _UNREAD else b"\1" * _CONTENT_BYTES)


#: Place in the listing → what is asked for of the messages at these places; what cannot be read is left out.
Heads = Callable[[Sequence[int]], Mapping[int, Head]]
Contents = Callable[[Sequence[int]], Mapping[int, bytes]]


def positional(numbers: Sequence[int], unique_ids: Sequence[bytes | None]) -> bool:
    """Whether the unique-ids are only the places in the listing, written in some way: then they identify nothing."""
    frames = set()
    for number, unique in zip(numbers, unique_ids, strict=True):
        found = list(_DIGITS.finditer(unique or b""))
        place = next((one for one in reversed(found) if int(one[0]) in (number, number - 1)), None)
        if place is None or unique is None:
            return False
        frames.add((unique[: place.start()], unique[place.end() :], int(place[0]) - number))
    return len(frames) == 1


def identify(unique_ids: Sequence[bytes | None], sizes: Sequence[int], heads: Heads, contents: Contents) -> list[bytes]:
    """An identity for each message of a listing, no two alike. `unique_ids` are as the server said, None where it said none
    that counts; with another size it is another message. Where one stands several times, or is missing, head and, where
    that stands several times too, content tell messages apart; what is the same in all is numbered, since equal messages
    may occur twice."""
    times = Counter(unique_ids)
    found = [
        b"" if one is None or times[one] > 1 else digest(b"uidl", one, b"%d" % size)
        for one, size in zip(unique_ids, sizes, strict=True)
    ]
    unsure = [at for at, one in enumerate(found) if not one]
    if not unsure:
        return found
    keys = {
        at: (unique_ids[at] or b"", b"%d %d " % (sizes[at], head.date or 0) + head.fingerprint)
        for at, head in heads(unsure).items()
    }
    same = Counter(keys.values())
    crowd = [at for at in unsure if at in keys and same[keys[at]] > 1]
    bodies = contents(crowd) if crowd else {}
    seen: Counter[tuple[bytes, ...]] = Counter()
    for at in unsure:
        # A message that cannot be read is still a message: it stands in the report.
        parts = (*keys.get(at, (unique_ids[at] or b"", b"")), bodies.get(at, b""))
        seen[parts] += 1
        found[at] = digest(b"content", *parts, b"%d" % seen[parts])
    return found


def recognise(
    known: Known, gone: Collection[int], new: Sequence[int], heads: Heads, contents: Contents
) -> dict[int, int]:
    """Place → number of the messages among `new` that are known ones, missing under their old identity. Their heads say which may
    be, and their contents which are, as a multiset. Where only the heads of the missing ones were ever read, as many of one head
    on each side, and nowhere else, are enough."""
    missing: dict[bytes, list[int]] = defaultdict(list)
    for number in gone:
        if said := known.said_of(number):
            missing[said[:_HEAD_BYTES]].append(number)
    if not missing:
        return {}
    found = {at: head for at, head in heads(new).items() if head.digest in missing}
    times = Counter(head.digest for head in found.values())
    every = range(len(known.said) // DIGEST_BYTES)
    shown = Counter(known.said[n * DIGEST_BYTES : n * DIGEST_BYTES + _HEAD_BYTES] for n in every if n + 1 not in gone)
    same: dict[int, int] = {}
    doubtful: list[int] = []
    for at, head in found.items():
        numbers = missing[head.digest]
        unread = all(known.said_of(number).endswith(_UNREAD) for number in numbers)
        alike = times[head.digest] == len(numbers) and not shown[head.digest]
        if unread and alike and head.fingerprint != NO_FINGERPRINT:
            same[at] = numbers[sum(found[other].digest == head.digest for other in same)]
        else:
            doubtful.append(at)
    kept: dict[bytes, list[int]] = defaultdict(list)
    for number in sorted(number for numbers in missing.values() for number in numbers):
        kept[known.said_of(number)].append(number)
    for at, content in contents(doubtful).items() if doubtful else ():
        if numbers := kept[described(found[at], content)]:
            same[at] = numbers.pop(0)
    return same


def number(
    identities: Identities, listed: Sequence[bytes], heads: Heads, contents: Contents, *, certain: bool
) -> tuple[Known, list[int]]:
    """The numbers of these identities, new ones given to those not seen before. `certain`: all are unique-ids.

    A generation ends when something is new and nothing was ever read of what is missing: of all that was known, or, where
    identities are not certain, of anything."""
    while True:
        known = identities.known()
        numbers = known.numbers()
        new = [at for at, one in enumerate(listed) if one not in numbers]
        gone = set(numbers.values()) - {numbers[one] for one in listed if one in numbers}
        same = recognise(known, gone, new, heads, contents) if new and gone else {}
        fresh = [at for at in new if at not in same]
        unread = any(not known.said_of(one) for one in gone.difference(same.values()))
        if fresh and unread and (not certain or len(gone) == len(numbers)):
            known = identities.replace(known, known.generation + 1, b"".join(listed))
        elif new:
            digests = bytearray(known.digests)
            for at, old in same.items():
                digests[(old - 1) * DIGEST_BYTES : old * DIGEST_BYTES] = listed[at]
            digests += b"".join(listed[at] for at in fresh)
            known = identities.replace(known, known.generation, bytes(digests))
        numbers = known.numbers()
        if all(one in numbers for one in listed):
            return known, [numbers[one] for one in listed]
        # Somebody else was faster.
