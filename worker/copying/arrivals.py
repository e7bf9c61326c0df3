"""Detects that somebody else writes into the destination folder.

It may be another mailhaul with its own state, another program, or mail delivery.

A store knows only its own imports. The worker sees other writers by the UIDs: a copy of ours gets the next UID, so a
UID between two of ours is somebody else's. Delivered mail is none of our messages and changes nothing. Where an arrived
message *is* one of ours, by its bytes, somebody brings the same mail, and to go on would be to guess:

- Before a batch is copied, what arrived is entered in the ledger and is not copied again.
- While the batch is copied, whoever brought the later of two copies (by UID) removes it. So two mailhauls that began at
  the same moment leave each message once. The server named the UID of our copy a moment ago in its answer to our
  APPEND, so nothing else is ever removed.

In both cases the unit stops, the operator is told, and the unit is tried again soon, since the writer may have ended. If more
arrives meanwhile, the mailbox is parked (`TABLE` of `worker.decisions.failures`). Messages that arrived before this pass
was planned are no reason to stop, and none is where the store was started again since then: it may have lost the records
of ours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from shared.mail import KnownStatus, MailDestination, MailSource
from shared.model import Lease, Settled
from shared.model.errors import ForeignWriter
from shared.model.lifecycle import MailboxState
from shared.model.sides import Side
from shared.model.uids import NO_UIDS, UidSet
from shared.store import WorkStore
from shared.wording.phrases import Phrase
from worker.copying.adopt import Adoption
from worker.copying.neighbours import Beside, Neighbours
from worker.copying.recovery import arrived, known_destinations
from worker.copying.writers import FolderWriters
from worker.decisions.sent import Sent

SOMEBODY_ELSE_WRITES_THERE: Final = Phrase(
    "somebody_else_writes_there",
    "somebody else writes into this mailbox: {num} of the messages that arrived are not ours and equal what is still to be copied",
)

#: States in which `Folder.accounted` may still be the value of an earlier pass.
_BEING_PLANNED = (MailboxState.QUEUED, MailboxState.PLANNING)


def foreign_writer(messages: int) -> ForeignWriter:
    """Returns the error that tells the operator about the other writer."""
    return ForeignWriter(
        Side.DESTINATION,
        SOMEBODY_ELSE_WRITES_THERE.says(num=f"{messages:,}"),
    )


class Arrivals:
    """Finds what arrives beside the messages of one batch under one lease, with the destination folder open.

    Not reused.
    """

    def __init__(
        self,
        lease: Lease,
        store: WorkStore,
        source: MailSource,
        destination: MailDestination,
        neighbours: Neighbours,
        writers: FolderWriters,
    ) -> None:
        assert lease.folder is not None, "a batch has a folder"
        self._lease, self._store, self._folder = lease, store, lease.folder
        self._source, self._destination, self._neighbours = source, destination, neighbours
        self._writers = writers
        #: Source UIDs of which a copy of ours may arrive late.
        self.doubts = self._folder.doubts | UidSet.of(uid for intent in lease.intents for uid in intent.uids)
        #: UIDs of this batch's copies, by fingerprint; below, UIDs of what others brought meanwhile.
        self._ours: dict[bytes, list[int]] = defaultdict(list)
        self._theirs: dict[bytes, list[int]] = defaultdict(list)

    def before(self, status: KnownStatus, remaining: UidSet, beside: Beside) -> tuple[tuple[Settled, ...], UidSet, int]:
        """Finds those source messages of `remaining` that somebody else brought since the folder was first planned.

        Returns their ledger entries, their source UIDs, and how many arrived since this pass was planned. `status` is of the
        SELECT that opened the destination folder: what arrives later is left to `between`. Where the source has to be asked, what
        was asked for ahead is dropped.
        """
        # What could not be read when copies were looked for may have stood there from the beginning.
        first = 1 if remaining & self._folder.unmatched else self._folder.destination_uidnext
        low, high = self._lease.last_taken
        ours_alone = status.uidnext <= max(first, high + 1) and (high < first or low <= first)
        if ours_alone or not remaining:
            return (), NO_UIDS, 0
        if self._writers.asks:
            # At or above the first UID that another lane's open intent may have brought, mail may be that lane's.
            writing = self._writers.writing()
            seen = arrived(self._destination, status, first, writing.taken | beside.taken, writing.beginning)
        else:
            known = known_destinations(self._store, self._folder.folder_id) | beside.taken
            seen = arrived(self._destination, status, first, known)
        if not seen or self._neighbours.merges(self._folder):
            return (), NO_UIDS, 0
        settled, taken = Adoption(self._source, self._destination).among(remaining, seen)
        if self._lease.mailbox.state in _BEING_PLANNED or self._lease.restarted:
            # The batch is from an earlier pass, and the plan of this pass has not reached the folder yet; or the store
            # lost its last records, and these are copies of ours.
            return settled, taken, 0
        planned = self._folder.accounted or status.uidnext
        late = sum(
            to >= planned and uid not in self.doubts
            for one in settled
            for record in one.records
            for uid, to in record.pairs()
        )
        return settled, taken, late

    def unlike(self, uidnext: int, stored: Sequence[tuple[Sent, int]]) -> bool:
        """Tells whether these copies have to be looked at.

        They have to when UIDs before or between them are not ours, or somebody else brought a similar message before.
        Otherwise the copies are only remembered.
        """
        uids = [uid for _, uid in stored]
        apart = max(uids) - uidnext + 1 != len(uids)
        if apart or any(sent.fingerprint in self._theirs for sent, _ in stored):
            return True
        for sent, uid in stored:
            self._ours[sent.fingerprint].append(uid)
        return False

    def between(
        self, uidnext: int, stored: Sequence[tuple[Sent, int]], about_to: Callable[[], object] = lambda: None
    ) -> dict[int, int]:
        """Removes those copies just stored that somebody else had brought before; calls `about_to` before the first.

        `stored` has message and destination UID; UIDs from `uidnext` on were not seen before. Returns the UID of each
        removed copy of ours → the UID of the copy that stood there before it.
        """
        ours = UidSet.of(uid for _, uid in stored)
        if gaps := UidSet.span(uidnext, max(ours)) - ours:
            for seen in self._destination.sightings(gaps):
                self._theirs[seen.fingerprint].append(int(seen.uid))
        for sent, uid in stored:
            self._ours[sent.fingerprint].append(uid)
        doubtful = {sent.fingerprint for sent, _ in stored} & self._theirs.keys()
        if not doubtful or self._neighbours.merges(self._folder):
            return {}
        mine = self._by_bytes(uid for fingerprint in doubtful for uid in self._ours[fingerprint])
        others = self._by_bytes(uid for fingerprint in doubtful for uid in self._theirs[fingerprint])
        second = {
            own: other
            for digest, uids in mine.items()
            for own, other in zip(uids, others.get(digest, ()), strict=False)
            if other < own and own in ours
        }
        if second:
            about_to()
        return second if second and self._destination.remove(UidSet.of(second)) else {}

    def _by_bytes(self, uids: Iterable[int]) -> dict[bytes, list[int]]:
        """Returns ascending UIDs by digest: the nth copy of ours and the nth of theirs are of the same message."""
        found: dict[bytes, list[int]] = defaultdict(list)
        for seen in sorted(self._destination.sightings(UidSet.of(uids), full=True), key=lambda seen: seen.uid):
            if seen.digest:
                found[seen.digest].append(int(seen.uid))
        return found
