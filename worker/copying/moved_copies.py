"""Finds copies that their user moved into another folder while they were in doubt.

A copy whose answer was lost is looked for in the folder that it was sent to (`worker.copying.recovery`). Where a person moved it
meanwhile, it is not there; sent again, the message would stand twice. What stands in another folder is taken for that copy only
where it can be nothing else, since its message is not sent then:

- a UID of the folder that it was sent to was given away since and is gone (`worker.copying.recovery` asks only then);
- the other folder is one of this import; the message arrived there since it was first planned, and no ledger knows it;
- it has the bytes of the message, and its date, which MOVE keeps;
- the source shows no other message with that header and size in any folder, so that it is the copy of no other; except in the same
  batch, where each of them has its copy in its place, was never sent, or is missing too and looked for together with it;
- no other mailbox brings mail into this destination mailbox.

Else the message is sent again, and verification tells where it may stand twice (`worker.verifying.doubles`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shared.content.fingerprint import NO_FINGERPRINT
from shared.folders.mapping import decode_name
from shared.folders.tree import Tree, selectable
from shared.mail import MailDestination, MailSource, Sighting
from shared.model import Folder, Lease, Note
from shared.model.errors import FolderRefused
from shared.model.messages import Owner
from shared.model.uids import MAX_UID, UidSet
from shared.store import WorkStore
from shared.wording.often_said import MOVED_BY_ITS_USER
from worker.copying.account_arrivals import arrivals
from worker.copying.recognise import Recognised, Recognition
from worker.copying.recovery import known_destinations
from worker.decisions.copy_notes import stands_for

#: Header fingerprint and size.
Head = tuple[bytes, int]


class MovedSearch:
    """The search for the copies of one batch's messages in the other folders of the mailbox. Not reused."""

    def __init__(
        self,
        lease: Lease,
        store: WorkStore,
        source: MailSource,
        destination: MailDestination,
        folders: Sequence[Folder],
    ) -> None:
        """Takes the folders of the lease's mailbox as they are planned."""
        self._lease, self._store, self._source, self._destination = lease, store, source, destination
        self._folders = folders

    def find(self, uids: UidSet, here: UidSet) -> dict[int, Note]:
        """Returns which messages `uids` of the open source folder have a copy that was moved, with the note that says where.

        Copies of `here` were seen in their place just now. Other folders may be open afterwards, at both sides. Raises what
        the ports raise.
        """
        folder = self._lease.folder
        assert folder is not None, "a batch has a folder"
        if self._lease.neighbours:
            return {}
        left = {int(seen.uid): seen for seen in self._source.sightings(uids) if seen.fingerprint != NO_FINGERPRINT}
        sizes = {seen.size_bytes for seen in left.values()}
        heads = {uid: _head(seen) for uid, seen in left.items()}
        found: dict[int, Note] = {}
        elsewhere = arrivals(
            self._destination,
            sizes,
            self._folders,
            lambda one: known_destinations(self._store, one.folder_id),
            {folder.destination_name},
            _since_planned,
        )
        for name, copies in elsewhere:
            pairs = Recognition(self._source, self._destination).among(UidSet.of(left), copies)
            for uid, pair in pairs.items():
                if _is_copy(pair):
                    found[uid] = _moved(left.pop(uid), name, pair)
        if not found:
            return {}
        told = uids | here | self._standing(folder) | self._unsent(folder)
        others = self._others({heads[uid] for uid in found}, folder.source_name, told)
        return {uid: note for uid, note in found.items() if others is not None and heads[uid] not in others}

    def _standing(self, folder: Folder) -> UidSet:
        """Returns the messages of the batch whose copy is recorded, and stands where it was put."""
        copies = {int(to): int(uid) for record in self._lease.records for uid, to in record.pairs()}
        if not copies:
            return UidSet()
        self._destination.open(folder.destination_name)
        return UidSet.of(copies[uid] for uid in self._destination.existing(UidSet.of(copies)))

    def _unsent(self, folder: Folder) -> UidSet:
        """Returns the messages of the batch that were never sent, so that nothing can be their copy."""
        sent = [part for intent in self._lease.intents for part in intent.uids.ranges]
        return self._lease.remaining - UidSet.joined(sent) - folder.doubts

    def _others(self, heads: Collection[Head], own: bytes, told: UidSet) -> set[Head] | None:
        """Returns those of `heads` that a message of the source has which is not one of `told` in the folder `own`.

        None where a folder cannot be opened.
        """
        found: set[Head] = set()
        sizes = {size for _, size in heads}
        listing = self._source.listing()
        tree = Tree(listing)
        for name in [one.name for one in listing.folders if selectable(one) and tree.owner(one.name) is Owner.PERSONAL]:
            try:
                opened = self._source.open(name)
            except FolderRefused:
                return None
            alike = UidSet.of(uid for uid, size in self._source.sizes(opened) if size in sizes)
            if others := alike - told if name == own else alike:
                found.update(map(_head, self._source.sightings(others)))
        return found


def _head(seen: Sighting) -> Head:
    return seen.fingerprint, seen.size_bytes


def _since_planned(planned: Sequence[Folder]) -> int:
    """Returns the UID from which on mail arrived since a folder was first planned; in one that was not, nothing counts."""
    return max((folder.destination_uidnext for folder in planned), default=MAX_UID + 1)


def _is_copy(pair: Recognised) -> bool:
    return pair.exact and stands_for(pair.copy.internaldate, pair.original.internaldate)


def _moved(original: Sighting, name: bytes, pair: Recognised) -> Note:
    return Note(
        uid=original.uid,
        what="moved",
        reason=MOVED_BY_ITS_USER.says(folder=f"{decode_name(name)} (UID {pair.copy.uid})"),
        message_id=original.message_id,
        internaldate=original.internaldate,
        size_bytes=original.size_bytes,
    )
