"""What makes a POP3 message the same one in another session: the identity that its number in the ledger stands for.

POP3 numbers messages anew in each session (RFC 1939 §3). What stays is the unique-id (§7), where the server has one and keeps
its word. Each identity gets a number, ascending and for good, which is the message's UID for everybody else; all of them
together, under one generation, are what UIDVALIDITY is for IMAP. When the server no longer shows any of those that it showed
before, they mean nothing: the next generation begins, and the planner finds by content what was copied already.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

#: Bytes kept of an identity: among a million messages two are alike once in thirty million maildrops.
DIGEST_BYTES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """The identities of a maildrop so far."""

    #: Counted from 1.
    generation: int
    #: `DIGEST_BYTES` for each, in the order of their numbers, which begin with 1.
    digests: bytes = b""

    def numbers(self) -> dict[bytes, int]:
        """Identity → number."""
        every = range(0, len(self.digests), DIGEST_BYTES)
        return {self.digests[at : at + DIGEST_BYTES]: at // DIGEST_BYTES + 1 for at in every}


class Identities(Protocol):
    """Where they are kept: the store for an import, memory for a look."""

    def known(self) -> Known:
        """What is kept."""

    def add(self, before: Known, digests: bytes, *, renew: bool) -> Known:
        """Adds `digests` to `before`, or begins the next generation with them. When meanwhile there is another than
        `before`, nothing is changed and that one returned."""


class Passing:
    """`Identities` that are forgotten with the session."""

    def __init__(self) -> None:
        self._known = Known(generation=1)

    def known(self) -> Known:
        return self._known

    def add(self, before: Known, digests: bytes, *, renew: bool) -> Known:
        if renew:
            self._known = Known(generation=before.generation + 1, digests=digests)
        else:
            self._known = Known(generation=before.generation, digests=before.digests + digests)
        return self._known


def digest(*parts: bytes) -> bytes:
    """An identity made of these."""
    return hashlib.blake2b(
        b"\0".join(b"%d:%b" % (len(part), part) for part in parts), digest_size=DIGEST_BYTES
    ).digest()


def identify(
    unique_ids: Sequence[bytes | None],
    header: Callable[[Sequence[int]], dict[int, bytes]],
    content: Callable[[Sequence[int]], dict[int, bytes]],
) -> list[bytes]:
    """An identity for each message of a listing, no two alike. `unique_ids` are as the server said, None where it said none;
    where one stands several times, or is missing, header and, where that stands several times too, content tell messages
    apart (they are asked for by position); what is the same in all is numbered, since equal messages may occur twice."""
    times = Counter(unique_ids)
    found = [b"" if one is None or times[one] > 1 else digest(b"uidl", one) for one in unique_ids]
    unsure = [at for at, one in enumerate(found) if not one]
    if not unsure:
        return found
    keys = {at: (unique_ids[at] or b"", text) for at, text in header(unsure).items()}
    same = Counter(keys.values())
    crowd = [at for at in unsure if at in keys and same[keys[at]] > 1]
    bodies = content(crowd) if crowd else {}
    seen: Counter[tuple[bytes, ...]] = Counter()
    for at in unsure:
        # A message that cannot be read is still a message: it stands in the report.
        parts = (*keys.get(at, (unique_ids[at] or b"", b"")), bodies.get(at, b""))
        seen[parts] += 1
        found[at] = digest(b"content", *parts, b"%d" % seen[parts])
    return found


def number(identities: Identities, listed: Sequence[bytes], *, certain: bool) -> tuple[Known, list[int]]:
    """The numbers of these identities, new ones given to those not seen before. `certain`: all are unique-ids.

    A generation ends when nothing that it knew is shown any more and something else is; where identities are not certain,
    already when anything known is not shown and something new is, since either may be the other in a new guise."""
    while True:
        known = identities.known()
        numbers = known.numbers()
        new = [one for one in listed if one not in numbers]
        gone = len(numbers) - (len(listed) - len(new))
        renew = bool(new and gone) and (not certain or gone == len(numbers))
        if new:
            after = identities.add(known, b"".join(listed if renew else new), renew=renew)
            numbers = after.numbers()
            if not all(one in numbers for one in listed):
                continue  # somebody else was faster
            known = after
        return known, [numbers[one] for one in listed]
