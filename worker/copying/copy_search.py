"""Finds which messages of a batch have copies already: those of an earlier holder, of other lanes and of other imports."""

from __future__ import annotations

from typing import Final

from shared.mail import KnownStatus, MailDestination, MailSource
from shared.model import Lease, Note
from shared.model.errors import FolderVanished, LedgerConflict
from shared.model.events import DoubtResolved, Listener, TakenAway
from shared.model.uids import UidSet
from shared.nouns import dataclass
from shared.store import WorkStore
from shared.wording.phrases import Phrase
from worker.copying.arrivals import Arrivals, foreign_writer
from worker.copying.batch_folders import BatchFolders
from worker.copying.forgotten_flags import ForgottenFlags
from worker.copying.inflight import InFlight, stop_on
from worker.copying.moved_copies import MovedSearch
from worker.copying.neighbours import ALONE, Neighbours
from worker.copying.recovery import arrived, contested_seconds, known_destinations, look
from worker.copying.writers import FolderWriters
from worker.decisions.closing import SettleLater

MAY_STAND_BESIDE: Final = Phrase(
    "may_stand_beside", "{what}; {num} messages may stand in {folder} beside those that are counted"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class CopySearch:
    """The copies that messages of one batch may have before it is copied under this lease."""

    #: The lease of the batch.
    lease: Lease
    #: The store.
    store: WorkStore
    #: The session at the source.
    source: MailSource
    #: The session at the destination.
    destination: MailDestination
    #: The other imports that bring mail into the mailbox.
    neighbours: Neighbours
    #: The lanes that work on the folder.
    writers: FolderWriters
    #: The messages that arrived in the folder since it was planned.
    arrivals: Arrivals
    #: The flags that are set after a copy.
    forgotten_flags: ForgottenFlags
    #: The folders of the batch.
    folders: BatchFolders
    #: Listener for events.
    tell: Listener
    #: Seconds for which a group whose connection died stays in doubt.
    settle_seconds: float
    #: Whether several folders may show one message.
    labels: bool

    def done(self, status: KnownStatus, flight: InFlight) -> UidSet:
        """Returns the UIDs that have an outcome.

        Settles the intents of an earlier holder first, and enters what neighbours and other writers brought.
        """
        lease = self.lease
        done = lease.unit.uids - self.lease.remaining
        beside = self.neighbours.beside(lease.folder) if lease.folder else ALONE
        if lease.intents:
            done |= self._looked(status, flight, beside.taken)
        if beside.ledgers:
            each = lease.unit.size_bytes // max(1, len(lease.unit.uids))
            inherited, taken = beside.inherited(dict.fromkeys(lease.unit.uids - done, each))
            for settled in inherited:
                flight.add(settled)
                self.forgotten_flags.found(settled)
            done |= taken
        if not self.labels:
            brought, taken, late = self.arrivals.before(status, lease.unit.uids - done, beside)
            for settled in brought:
                flight.add(settled)
                self.forgotten_flags.found(settled)
            done |= taken
            if late:
                raise foreign_writer(late)
        return done

    def withdraw(self, error: FolderVanished) -> None:
        """Withdraws the intents of an earlier holder, since the source has nothing any more by which to know their copies.

        Raises the error with how many copies may have arrived all the same. Should the source show the messages again, these
        are second copies, which verification looks for.
        """
        intents, folder = self.lease.intents, self.lease.folder
        assert folder is not None, "a batch has a folder"
        age = self.lease.claimed_at - max(intent.at for intent in intents)
        if age < self.settle_seconds:
            raise SettleLater(self.settle_seconds - age)
        doubts = UidSet.joined([part for intent in intents for part in intent.uids.ranges])
        here = self.destination.open(folder.destination_name)
        known = known_destinations(self.store, folder.folder_id) | self.neighbours.beside(folder).taken
        beside = arrived(self.destination, here, min(intent.destination_uidnext for intent in intents), known)
        self.store.progress(self.lease, withdrawn=[intent.intent_id for intent in intents], doubts=doubts)
        if number := min(len(beside), len(doubts)):
            what = MAY_STAND_BESIDE.says(what=error.what, num=number, folder=folder.display)
            raise FolderVanished(error.side, what, error.detail) from None

    def _looked(self, status: KnownStatus, flight: InFlight, theirs: UidSet) -> UidSet:
        """Returns the source UIDs of earlier intents whose copies turned out to be at the destination."""
        lease = self.lease
        there = lease, self.store, self.source, self.destination, status, lease.intents
        writing = self.writers.writing() if self.writers.asks else None
        try:
            looked = look(*there, self.settle_seconds, theirs, writing, self._elsewhere)
        except LedgerConflict:
            if not self.writers.asks:
                raise
            # Another lane looked at the same moment, and chose the same copy of identical messages.
            age = lease.claimed_at - min(intent.at for intent in lease.intents)
            raise SettleLater(contested_seconds(age, self.settle_seconds)) from None
        self.tell(DoubtResolved(found=len(looked.found), absent=len(looked.absent)))
        if looked.moved:
            self.tell(TakenAway(what="moved", messages=len(looked.moved)))
        if looked.found or looked.moved:
            entries = [e for e in self.store.ledger(lease.unit.folder_id) if e.name == lease.unit.unit_id]
            flight.adopt([record for entry in entries for record in entry.records], entries[0].digest)
            self.forgotten_flags.complete(self.source, status, looked.found, flight.records)
        stop_on(looked.wanted)
        if looked.wait_seconds:
            raise SettleLater(looked.wait_seconds)
        return looked.found | looked.moved

    def _elsewhere(self, uids: UidSet, here: UidSet) -> dict[int, Note]:
        """Finds the copies of `uids` in other folders (`MovedSearch.find`), and opens the batch's own again at both sides."""
        if self.labels:  # several folders show one message
            return {}
        found = MovedSearch(self.lease, self.store, self.source, self.destination, self.neighbours.own()).find(
            uids, here
        )
        self.folders.open()
        return found
