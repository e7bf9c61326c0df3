"""Adoption: finds what the destination held before anything was copied, so that it is not copied again.

Messages are recognised by their bytes (`worker.copying.recognise`), as a multiset, so it makes no difference who else wrote
there or whether the ledger was lost. A doubtful message is not adopted: its owner can remove a second copy, but nobody
can bring back a message that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from shared.content.fingerprint import MODULUS, mark
from shared.mail import MailDestination, MailSource, Sighting
from shared.model import Folder, Settled
from shared.model.lifecycle import Outcome
from shared.model.uids import NO_UIDS, UidSet, records_of
from shared.wording.phrases import Phrase
from worker.copying.recognise import Recognised, Recognition
from worker.copying.recovery import arrived
from worker.decisions.copy_notes import date_note, stands_for, watched

#: Number of messages adopted in one entry of the ledger.
ADOPTED_AT_ONCE = 2000

#: The reason why an adopted message is read back.
UNLIKE = Phrase(
    "found_at_destination_and_not_just", "found at the destination, and not just as it is at the source"
).says()


class Adoption:
    """Adopts messages of one folder, between two signed-in sessions with the source folder open."""

    def __init__(self, source: MailSource, destination: MailDestination) -> None:
        self._destination = destination
        self._recognition = Recognition(source, destination)

    @property
    def unread(self) -> UidSet:
        """Source UIDs of messages that end the connection: nobody can tell whether they have a copy."""
        return self._recognition.unread

    def adopt(
        self, folder: Folder, sizes: Sequence[tuple[int, int]], known: UidSet = NO_UIDS, low: int = 1
    ) -> tuple[tuple[Settled, ...], UidSet]:
        """Returns the ledger entries and source UIDs of messages that the destination folder already holds.

        They are among the source messages `sizes` (UID, RFC822.SIZE). It looks from destination UID `low` on, and
        leaves out the UIDs `known` to the ledger.
        """
        ours = arrived(self._destination, self._destination.open(folder.destination_name), low, known)
        return self.among(UidSet.of(uid for uid, _ in sizes), ours)

    def among(self, uids: UidSet, ours: Sequence[Sighting]) -> tuple[tuple[Settled, ...], UidSet]:
        """Returns the ledger entries and source UIDs of those source messages `uids` that have a copy among `ours`."""
        pairs = self._recognition.among(uids, ours)
        here = {int(seen.uid): seen for seen in ours}
        same: list[Recognised] = []
        other: list[Recognised] = []
        for _, pair in sorted(pairs.items()):
            (same if _as_sent(pair, here[pair.copy.uid]) else other).append(pair)
        settled = (
            *(_settled(part, here, [_mark(here[p.copy.uid]) for p in part]) for part in _parts(same)),
            # These get the marks that exact copies would have, and are read back: verification tells what is different.
            *(_settled(part, here, [_mark_as_sent(p) for p in part], UNLIKE) for part in _parts(other)),
        )
        return settled, UidSet.of(pairs)


def _as_sent(pair: Recognised, here: Sighting) -> bool:
    return pair.exact and stands_for(here.internaldate, pair.original.internaldate)


def _parts(pairs: Sequence[Recognised]) -> Iterator[Sequence[Recognised]]:
    for at in range(0, len(pairs), ADOPTED_AT_ONCE):
        yield pairs[at : at + ADOPTED_AT_ONCE]


def _settled(pairs: Sequence[Recognised], here: Mapping[int, Sighting], marks: Iterable[int], why: str = "") -> Settled:
    """Returns the ledger entry of these pairs.

    `here` holds the copies as seen, by UID. With `why`, the messages are to be read back whole for that reason.
    """
    notes = [watched(p.original.uid, why) for p in pairs] if why else []
    dates = [
        date_note(p.original.uid, p.original.internaldate, p.original.size_bytes, here[p.copy.uid].internaldate)
        for p in pairs
    ]
    return Settled(
        records=tuple(records_of((p.original.uid, p.copy.uid) for p in pairs)),
        outcome=Outcome.ALREADY_PRESENT,
        size_bytes=sum(p.copy.size_bytes for p in pairs),
        digest=sum(marks) % MODULUS,
        notes=(*notes, *(note for note in dates if note is not None)),
    )


def _mark(seen: Sighting) -> int:
    return mark(seen.uid, seen.size_bytes, seen.internaldate, seen.fingerprint)


def _mark_as_sent(pair: Recognised) -> int:
    original = pair.original
    return mark(pair.copy.uid, original.size_bytes, original.internaldate, original.fingerprint)
