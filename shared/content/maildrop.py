"""The identity of POP3 messages, by which the same message is recognised in another session.

The message's number in the ledger stands for it.

POP3 numbers messages anew in each session (RFC 1939 §3). Only the unique-id (§7) stays, where the server has one and
keeps it stable. Each identity gets a number, ascending and permanent, which all other code uses as the message's UID.
All identities together, under one generation, are what UIDVALIDITY is for IMAP.

Servers break that promise: their ids are the place in the listing, or are given again, or change with a new version. So
what was read of a message is kept beside its identity. When a message seems new while a known one is missing, it is
compared with what was read of that one. The same message under a new id keeps its number. The next generation begins
only where a missing message was never read, so that nothing can be compared (`number`). The planner then finds by
content what was copied already.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, Protocol

from shared.content.fingerprint import NO_FINGERPRINT
from shared.nouns import dataclass

#: Bytes kept of an identity: a maildrop of a million messages has two alike with a chance of one in thirty million.
DIGEST_BYTES: Final = 8
#: Bytes kept of what was read of a message: of its head and, after that, of its content.
_HEAD_BYTES: Final = 5
_CONTENT_BYTES: Final = DIGEST_BYTES - _HEAD_BYTES
_UNREAD: Final = bytes(_CONTENT_BYTES)
_DIGITS: Final = re.compile(rb"\d{1,18}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The facts that the head of a message tells, whatever server shows it."""

    #: When the message arrived, seconds since the epoch; None when its head does not say.
    date: int | None
    #: The header fingerprint (`shared.content.fingerprint`).
    fingerprint: bytes

    @property
    def digest(self) -> bytes:
        """A short digest of the head."""
        return digest(b"head", b"%d" % (self.date or 0), self.fingerprint)[:_HEAD_BYTES]


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The identities of a maildrop so far."""

    #: The generation, counted from 1.
    generation: int
    #: The identities, `DIGEST_BYTES` for each, in the order of their numbers, which begin with 1.
    digests: bytes = b""
    #: A description of each message that was read (`described`), in the same order and length; NULs, or nothing at the
    #: end, for others.
    said: bytes = b""

    def numbers(self) -> dict[bytes, int]:
        """Returns identity → number."""
        every = range(0, len(self.digests), DIGEST_BYTES)
        return {self.digests[at : at + DIGEST_BYTES]: at // DIGEST_BYTES + 1 for at in every}

    def said_of(self, number: int) -> bytes:
        """Returns what was read of a message; b"" for nothing."""
        kept = self.said[(number - 1) * DIGEST_BYTES : number * DIGEST_BYTES]
        return kept if kept.strip(b"\0") else b""


class Identities(Protocol):
    """The place where identities are kept: the store for an import, memory for a look."""

    def known(self) -> Known:
        """Returns the identities that are kept."""

    def replace(self, before: Known, generation: int, digests: bytes) -> Known:
        """Puts other identities in place of `before`, and returns those that are kept then.

        With another generation all that was read of them is forgotten. When others than `before` are kept meanwhile,
        changes nothing and returns those.
        """

    def say(self, generation: int, said: Mapping[int, bytes]) -> None:
        """Keeps what was read of messages, by number; does nothing when that generation is over."""


class SessionIdentities:
    """The `Identities` of one session, forgotten with it; they begin with what is `known`."""

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


class ListingIdentities(SessionIdentities):
    """The `SessionIdentities` of a session that nothing follows.

    Numbers in the listing are enough as identities, and no message is read for them.
    """


def overwritten(said: bytes, more: Mapping[int, bytes]) -> bytes:
    """Returns `Known.said` with these entries, by number."""
    text = bytearray(said.ljust(max(more, default=0) * DIGEST_BYTES, b"\0"))
    for number, entry in more.items():
        text[(number - 1) * DIGEST_BYTES : number * DIGEST_BYTES] = entry
    return bytes(text)


def digest(*parts: bytes) -> bytes:
    """Makes an identity of these parts."""
    return hashlib.blake2b(
        b"\0".join(b"%d:%b" % (len(part), part) for part in parts), digest_size=DIGEST_BYTES
    ).digest()


def described(head: Head, content: bytes | None) -> bytes:
    """Returns what is kept of a message that was read.

    `content` is a digest of all of it, None when only the head was read.
    """
    if content is None:
        return head.digest + _UNREAD
    short = digest(b"content", content)[:_CONTENT_BYTES]
    return head.digest + (short if short != _UNREAD else b"\1" * _CONTENT_BYTES)


#: A function from places in the listing to what is asked for of the messages there; messages that cannot be read are
#: left out.
Heads = Callable[[Sequence[int]], Mapping[int, Head]]
Contents = Callable[[Sequence[int]], Mapping[int, bytes]]


def positional(numbers: Sequence[int], unique_ids: Sequence[bytes | None]) -> bool:
    """Tells whether the unique-ids are only the places in the listing, written in some way: then they identify nothing."""
    frames = set()
    for number, unique in zip(numbers, unique_ids, strict=True):
        found = list(_DIGITS.finditer(unique or b""))
        place = next((one for one in reversed(found) if int(one[0]) in (number, number - 1)), None)
        if place is None or unique is None:
            return False
        frames.add((unique[: place.start()], unique[place.end() :], int(place[0]) - number))
    return len(frames) == 1


def identify(unique_ids: Sequence[bytes | None], sizes: Sequence[int], heads: Heads, contents: Contents) -> list[bytes]:
    """Returns an identity for each message of a listing, no two alike.

    `unique_ids` are as the server said, None where it gave none that counts; with another size it is another message.
    Where a unique-id occurs several times, or is missing, the head tells messages apart, and the content where the head
    occurs several times too. Messages with all of these the same are numbered, since equal messages may occur twice.
    """
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
    """Returns place → number for those messages among `new` that are known ones, missing under their old identity.

    Their heads say which may be, and their contents which are, as a multiset. Where only the heads of the missing ones
    were ever read, it is enough that one head occurs as often on each side, and nowhere else.
    """
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
    """Returns the known identities and the numbers of those listed; identities not seen before get new numbers.

    `certain` means that all are unique-ids.

    A generation ends when something is new and a missing message was never read: where identities are certain, only if
    all known messages are missing.
    """
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
        # Another process was faster.
