"""Tells which new messages at the source are those whose copies their user took away at the destination.

Such a message was moved at the source, and is not copied again: the user at the destination wins. Of what an earlier
verification found to be gone there is a note. Of what went from both sides since the last pass nothing is left to compare
with, but the ledger keeps the sum of the marks of each batch (`shared.content.fingerprint.mark`). Without the marks of
all that still stands at one side, the marks remain of what went from both. A new message that has this mark is the one;
so are several in a row that have the sum together, as one command moves them. Where that tells nothing, the destination
may: a message that arrived there since, and is the new one, was moved on both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Final

from shared.content.fingerprint import MODULUS
from shared.mail import MailDestination, MailSource, Sighting
from shared.model import Folder, LedgerEntry, Note
from shared.model.ledger import GONE
from shared.model.uids import UidSet
from shared.nouns import dataclass
from worker.copying.account_arrivals import arrivals
from worker.copying.recognise import Recognition
from worker.following.departures import MOVED, REMOVED, mark_of

#: Number of marks that are computed at most to find the messages of one batch.
MOST_MARKS: Final = 200_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Remainder:
    """The ledger's knowledge of the messages of one batch that went from both sides."""

    #: Destination UIDs of their copies, in the order that the messages had at the source.
    places: tuple[int, ...]
    #: The sum of their marks; None where it is not known.
    left: int | None

    @property
    def decides(self) -> bool:
        """Tells whether a message that the remainder does not find is another one: the sum is the mark of one message."""
        return len(self.places) == 1 and self.left is not None

    def among(self, new: Sequence[Sighting]) -> Sequence[Sighting]:
        """Returns the messages of the remainder among new ones of one folder, which ascend by UID; or none.

        Without a Message-ID too little is in a mark to tell messages apart.
        """
        number = len(self.places)
        rows = min(len(new) - number + 1, MOST_MARKS // number) if self.left is not None else 0
        for row in (new[at : at + number] for at in range(rows)):
            if all(seen.message_id for seen in row) and sum(map(mark_of, self.places, row)) % MODULUS == self.left:
                return row
        return ()


class Remainders:
    """The copies of one mailbox that its user took away, and whose messages went from their folders at the source."""

    def __init__(self, source: MailSource, destination: MailDestination) -> None:
        self._source, self._destination = source, destination
        #: Message-ID, internal date and size, as noted → how many.
        self._noted: Counter[tuple[str, int | None, int]] = Counter()
        self._remainders: list[Remainder] = []

    def __bool__(self) -> bool:
        return bool(self._remainders) or self._noted.total() > 0

    def add(
        self,
        folder: Folder,
        ledger: Sequence[LedgerEntry],
        notes: Sequence[Note],
        gone: Mapping[int, int],
        *,
        removed: bool,
    ) -> None:
        """Adds a folder from which copies are gone, with their messages: destination UID → source UID.

        The source folder is open, and so is the destination's unless its user `removed` it. There is no sum for a batch
        that was never seen to be right.
        """
        uids, noted = UidSet.of(gone.values()), [note for note in notes if note.what in GONE]
        self._noted.update(
            (one.message_id, one.internaldate, one.size_bytes)
            for one in noted
            if one.uid in uids and one.message_id and one.what in (MOVED, REMOVED)
        )
        known = folder.released | UidSet.of(note.uid for note in noted)
        for entry in ledger:
            pairs = [(uid, to) for record in entry.records for uid, to in record.pairs() if uid not in known]
            if places := tuple(int(to) for _, to in sorted(pairs) if to in gone):
                stay = {int(to): int(uid) for uid, to in pairs if to not in gone}
                left = self._left(entry, stay, removed=removed) if entry.checked else None
                self._remainders.append(Remainder(places=places, left=left))

    def _left(self, entry: LedgerEntry, stay: dict[int, int], *, removed: bool) -> int | None:
        """Returns the sum without the marks of what stands (destination UID → source UID), or None where some hides."""
        total = 0
        for seen in () if removed or not stay else self._destination.sightings(UidSet.of(stay)):
            if stay.pop(int(seen.uid), None) is not None:
                total += mark_of(int(seen.uid), seen)
        places = {uid: to for to, uid in stay.items()}
        for seen in self._source.sightings(UidSet.of(places)) if places else ():
            if to := places.pop(int(seen.uid), None):
                total += mark_of(to, seen)
        return None if places else (entry.digest - total) % MODULUS

    def among(self, new: Sequence[Sighting]) -> UidSet:
        """Returns the source UIDs of those new messages of one folder, ascending, whose copies were taken away."""
        found = []
        for seen in new:
            key = (seen.message_id, seen.internaldate, seen.size_bytes)
            if self._noted[key] > 0:
                self._noted[key] -= 1
                found.append(int(seen.uid))
        left = [seen for seen in new if int(seen.uid) not in set(found)]
        for one in list(self._remainders):
            if row := one.among(left):
                self._remainders.remove(one)
                found += [int(seen.uid) for seen in row]
                left = [seen for seen in left if seen not in row]
        return UidSet.of(found)

    def elsewhere(
        self,
        new: Mapping[bytes, Sequence[Sighting]],
        folders: Sequence[Folder],
        known: Callable[[Folder], UidSet],
        without: Container[bytes],
    ) -> dict[bytes, UidSet]:
        """Returns which new messages stand where their user moved the copy: source folder → source UIDs.

        `new` are those that nothing else told of, by folder; `folders` and `known` as in `worker.following.departures.new_places`.
        Nothing is looked for in the destination folders `without`: what arrived there cannot be told from our copies, or
        from old mail. In a folder that the import does not have, a copy has the date of its message: MOVE keeps it.
        """
        most = sum(len(one.places) for one in self._remainders if not one.decides)
        sizes = {seen.size_bytes for every in new.values() for seen in every}
        found: dict[bytes, UidSet] = {}
        if not most or not sizes:
            return found
        verified = {folder.destination_name for folder in folders}
        for place, copies in arrivals(self._destination, sizes, folders, known, without):
            for name, every in new.items():
                uids = UidSet.of(int(seen.uid) for seen in every) - found.get(name, UidSet())
                self._source.open(name)
                pairs = Recognition(self._source, self._destination).among(uids, copies)
                moved = [
                    (uid, pair)
                    for uid, pair in sorted(pairs.items())
                    if place in verified or pair.original.internaldate == pair.copy.internaldate
                ]
                taken = moved[:most]
                most -= len(taken)
                found[name] = found.get(name, UidSet()) | UidSet.of(uid for uid, _ in taken)
                copies = [one for one in copies if one.uid not in {pair.copy.uid for _, pair in taken}]
        return found
