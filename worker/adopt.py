"""Adoption: what the destination holds before anything was copied is found, and not copied again.

Matched as a multiset by header fingerprint, size and date; where that is not enough, by bytes. Doubtful is not adopted: a
second copy can be removed by its owner, a message that is missing cannot be brought back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from shared.dates import clamp
from shared.fingerprint import MODULUS, NO_FINGERPRINT, mark, match
from shared.lifecycle import Outcome
from shared.mail import MailDestination, MailSource, Sighting
from shared.model import Folder, Settled
from shared.uids import NO_UIDS, UidSet, records_of
from worker.settle import arrived

#: Messages adopted in one entry of the ledger.
ADOPTED_AT_ONCE = 2000


class Adoption:
    """Between two signed-in sessions, with the source folder open."""

    def __init__(self, source: MailSource, destination: MailDestination) -> None:
        self._source, self._destination = source, destination

    def adopt(
        self, folder: Folder, sizes: Sequence[tuple[int, int]], known: UidSet = NO_UIDS
    ) -> tuple[tuple[Settled, ...], UidSet]:
        """Of the source messages `sizes` (UID, RFC822.SIZE), those that the destination folder holds beside the `known`
        ones of the ledger: for the ledger, and their source UIDs."""
        ours = arrived(self._destination, self._destination.open(folder.destination_name), 1, known)
        by_size = {s.size_bytes for s in ours}
        candidates = UidSet.of(uid for uid, size in sizes if size in by_size)
        theirs = list(self._source.sightings(candidates)) if candidates else []
        pairs = self._sure(theirs, ours)
        taken = set(pairs.values())
        left = [s for s in ours if s.uid not in taken]
        rest = UidSet.of(uid for uid, _ in sizes if uid not in pairs) if left else UidSet()
        pairs |= self._resized(rest, left)
        here_by_uid: dict[int, Sighting] = {s.uid: s for s in ours}
        done = []
        items = sorted(pairs.items())
        for at in range(0, len(items), ADOPTED_AT_ONCE):
            part = items[at : at + ADOPTED_AT_ONCE]
            digest = sum(_mark(here_by_uid[to]) for _, to in part) % MODULUS
            size = sum(here_by_uid[to].size_bytes for _, to in part)
            done.append(
                Settled(
                    records=tuple(records_of(part)), outcome=Outcome.ALREADY_PRESENT, size_bytes=size, digest=digest
                )
            )
        return tuple(done), UidSet.of(pairs)

    def _sure(self, theirs: Sequence[Sighting], ours: Sequence[Sighting]) -> dict[int, int]:
        """Pairs of equal header and size; of equal bytes where that stands several times, says nothing, or the dates
        differ."""
        left = {s.uid: (s.fingerprint, s.size_bytes) for s in theirs}
        right = {s.uid: (s.fingerprint, s.size_bytes) for s in ours}
        pairs = match(left, right)
        if not pairs:
            return {}
        ours_of, theirs_of = Counter(right.values()), Counter(left.values())
        dates: dict[int, int | None] = {s.uid: s.internaldate for s in ours}
        unsure = {key for key, n in theirs_of.items() if ours_of[key] and (n > 1 or ours_of[key] > 1)}
        for s in theirs:
            if s.uid in pairs:
                sent = None if s.internaldate is None else clamp(s.internaldate)
                if s.fingerprint == NO_FINGERPRINT or dates[pairs[s.uid]] not in (sent, s.internaldate):
                    unsure.add(left[s.uid])
        sources = UidSet.of(uid for uid, key in left.items() if key in unsure)
        copies = UidSet.of(uid for uid, key in right.items() if key in unsure)
        exact = self._equal(sources, copies)
        return {uid: to for uid, to in pairs.items() if uid not in sources} | exact

    def _resized(self, uids: UidSet, left: Sequence[Sighting]) -> dict[int, int]:
        """Of the rest, pairs of equal bytes although the source tells another size, or the destination stored the line
        ends in its own way."""
        wanted = {s.fingerprint for s in left} - {NO_FINGERPRINT}
        if not uids or not wanted:
            return {}
        found = {s.uid: s.fingerprint for s in self._source.sightings(uids) if s.fingerprint in wanted}
        both = set(found.values())
        return self._equal(UidSet.of(found), UidSet.of(s.uid for s in left if s.fingerprint in both))

    def _equal(self, sources: UidSet, copies: UidSet) -> dict[int, int]:
        """Pairs of equal bytes, both sides read whole."""
        if not sources or not copies:
            return {}
        return match(
            {s.uid: s.digest for s in self._source.sightings(sources, full=True)},
            {s.uid: s.digest for s in self._destination.sightings(copies, full=True)},
        )


def _mark(seen: Sighting) -> int:
    return mark(seen.uid, seen.size_bytes, seen.internaldate, seen.fingerprint)
