"""Tells copies that their user moved or removed at the destination from copies that are lost.

A copy that was once seen at the destination and is gone was taken away by its user, as long as the server counts on:
the folder's UIDVALIDITY is the same, and its UIDNEXT did not go back. Where it did, as after a restored backup, the
copy is lost. The user moved it where a message with its header and size arrived in some folder since that folder was
last verified; else the user removed it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from shared.content.fingerprint import MODULUS, mark
from shared.folders.mapping import decode_name
from shared.mail import KnownStatus, MailDestination, Sighting
from shared.model import Audit, Folder, LedgerEntry, Note
from shared.model.uids import UidSet
from shared.nouns import dataclass
from shared.wording.often_said import MOVED_BY_ITS_USER
from worker.copying.account_arrivals import arrivals

#: The kinds of notes on copies that are gone (`shared.model.ledger.GONE`).
MISSING, MOVED, REMOVED = "missing", "moved", "removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Departure:
    """A copy that its user took away from where it was put."""

    #: The folder that it was put into.
    folder_id: str
    #: The message at the source.
    original: Sighting


def counts_on(folder: Folder, status: KnownStatus, entries: Iterable[LedgerEntry]) -> bool:
    """Tells whether the destination folder is the one that was verified, and no UID was taken back since."""
    highest = max((record.destination.high for entry in entries for record in entry.records), default=0)
    return (
        status.same_uids(folder.destination_uidvalidity)
        and status.uidnext > highest
        and status.uidnext >= folder.verified_uidnext
    )


def new_places(
    destination: MailDestination,
    departures: Sequence[Departure],
    folders: Sequence[Folder],
    known: Callable[[Folder], UidSet],
) -> dict[tuple[str, int], str]:
    """Looks for the copies in every folder of the account, among what arrived since the folder was last verified.

    `folders` are those that were planned, and `known` returns the destination UIDs that ledgers give away in one.
    Returns (folder, source UID) → the place in words. The folder that is open may be another one afterwards.
    """
    wanted: dict[tuple[bytes, int], list[Departure]] = defaultdict(list)
    for one in departures:
        wanted[one.original.fingerprint, one.original.size_bytes].append(one)
    found: dict[tuple[str, int], str] = {}
    for name, copies in arrivals(destination, {size for _, size in wanted}, folders, known):
        for seen in copies:
            if left := wanted.get((seen.fingerprint, seen.size_bytes)):
                one = left.pop(0)
                found[one.folder_id, one.original.uid] = f"{decode_name(name)} (UID {seen.uid})"
    return found


def with_places(audit: Audit, places: Mapping[tuple[str, int], str]) -> Audit:
    """Returns the audit in which what was moved is told as moved."""
    notes = tuple(_moved(note, places.get((audit.folder_id, note.uid), "")) for note in audit.notes)
    moved = sum(note.what == MOVED for note in notes)
    return replace(audit, notes=notes, moved=moved, removed=audit.removed - (moved - audit.moved))


def _moved(note: Note, place: str) -> Note:
    if not place or note.what != REMOVED:
        return note
    return replace(note, what=MOVED, reason=MOVED_BY_ITS_USER.says(folder=place))


def without_marks(ledger: Iterable[LedgerEntry], copies: Mapping[int, Sighting]) -> dict[str, int]:
    """Returns the digests of those entries, by name, of which copies went, without their marks.

    `copies` are the copies as they were seen, by source UID.
    """
    digests: dict[str, int] = {}
    for entry in ledger:
        for uid, to in ((uid, to) for record in entry.records for uid, to in record.pairs() if uid in copies):
            digests[entry.name] = (digests.get(entry.name, entry.digest) - mark_of(int(to), copies[uid])) % MODULUS
    return digests


def mark_of(to: int, seen: Sighting) -> int:
    """Returns the mark of a message whose copy has, or had, this UID."""
    return mark(to, seen.size_bytes, seen.internaldate, seen.fingerprint)
