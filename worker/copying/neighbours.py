"""The messages that other mailboxes brought into the same destination mailbox.

They are of other imports of the same people, or of several people whose mail goes into one mailbox on purpose.

If the neighbour copied from the same source account, its ledger says where a copy of each source UID stands: that is
entered here too, and no message is read for it. What a neighbour brought from somebody else's mailbox is its own: it is
never taken for a copy of ours, and never removed. The source UIDs may no longer be those that the neighbour saw
(another UIDVALIDITY, POP3). Then messages are recognised by their bytes as if there were no ledger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from shared.model import (
    Folder,
    Lease,
    LedgerEntry,
    Mailbox,
    Neighbour,
    Note,
    Options,
    Settled,
    account_key,
    folded,
)
from shared.model.ledger import COUNTED
from shared.model.lifecycle import Outcome
from shared.model.protocols import protocol_of
from shared.model.uids import NO_UIDS, UidSet, records_of
from shared.nouns import dataclass
from shared.store.ports.brought import brought
from worker.copying.returning import BackReader, returned


class LedgerReader(BackReader, Protocol):
    """The part of the store that is asked about neighbours."""

    def notes(self, folder_id: str) -> list[Note]: ...


#: The kinds of notes that tell how a copy differs from its message: they hold for whoever enters that copy.
OF_COPIES: Final = frozenset({*COUNTED, "odd"})


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierLedger:
    """A neighbour's ledger of one folder."""

    #: The entries that have records.
    entries: Sequence[LedgerEntry]
    #: The notes `OF_COPIES`, by UID at the source.
    notes: Mapping[int, Sequence[Note]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Beside:
    """The messages that neighbours have in one destination folder."""

    #: The neighbours' ledgers, as far as they speak of our source UIDs.
    ledgers: tuple[EarlierLedger, ...] = ()
    #: UIDs of the destination folder that are copies of other messages than those we look for.
    taken: UidSet = NO_UIDS

    def inherited(self, sizes: Mapping[int, int]) -> tuple[tuple[Settled, ...], UidSet]:
        """Finds those source messages (UID → bytes) that a neighbour brought.

        Returns their ledger entries and their source UIDs. What the neighbour noted about a copy is noted here too. The
        sum of marks is known where a whole entry is taken; where it is not, verification compares the messages.
        """
        found: list[Settled] = []
        done, used = set[int](), set[int]()
        for theirs, entry in ((one, entry) for one in self.ledgers for entry in one.entries):
            every = [pair for record in entry.records for pair in record.pairs()]
            pairs = [(uid, to) for uid, to in every if uid in sizes and uid not in done and to not in used]
            if not pairs:
                continue
            done.update(uid for uid, _ in pairs)
            used.update(to for _, to in pairs)
            found.append(
                Settled(
                    records=tuple(records_of(pairs)),
                    outcome=Outcome.ALREADY_PRESENT,
                    size_bytes=sum(sizes[uid] for uid, _ in pairs),
                    digest=entry.digest if len(pairs) == len(every) else 0,
                    notes=tuple(note for uid, _ in pairs for note in theirs.notes.get(uid, ())),
                )
            )
        return tuple(found), UidSet.of(done)


#: The value for a folder without neighbours.
ALONE = Beside()


class Neighbours:
    """The neighbours of one lease. The store is not asked where there are none."""

    def __init__(
        self,
        lease: Lease,
        store: LedgerReader,
        options: Callable[[], Options],
        returns: Callable[[Mailbox], list[Mailbox]] | None = None,
    ) -> None:
        """Takes who is asked for the mailbox's copies back; without it the store is."""
        self._lease, self._store, self._options = lease, store, options
        self._returns = returns or partial(returned, store=store)
        self._merges: bool | None = None
        self._returned: list[Mailbox] | None = None
        self._known: dict[str, tuple[Mailbox | None, Sequence[Folder]]] = {}

    def beside(self, folder: Folder) -> Beside:
        """Returns what the neighbours have in the destination folder of `folder`."""
        ledgers: list[EarlierLedger] = []
        taken = NO_UIDS
        for neighbour in self._lease.neighbours:
            mailbox, folders = self._of(neighbour)
            for other in folders:
                usable = (
                    neighbour.same_source
                    and mailbox is not None
                    and self._same_numbers(mailbox)
                    and _same_source(other, folder)
                )
                if not _same_place(other, folder) or not (usable or self._is_others(mailbox)):
                    continue
                entries = [entry for entry in self._store.ledger(other.folder_id) if entry.records]
                taken |= UidSet.of(uid for e in entries for r in e.records for uid in r.destination)
                if usable and entries:
                    ledgers.append(EarlierLedger(entries=entries, notes=self._notes(other)))
        for back in self._back(folder):
            taken |= UidSet.of(uid for e in back for r in e.records for uid in r.destination)
            ledgers.append(EarlierLedger(entries=back, notes={}))
        return Beside(ledgers=tuple(ledgers), taken=taken) if taken else ALONE

    def planned(self) -> Iterator[tuple[Mailbox, Folder]]:
        """Yields the folders that other mailboxes planned of the same source account, where these have our numbers."""
        for neighbour in self._lease.neighbours:
            mailbox, folders = self._of(neighbour)
            if neighbour.same_source and mailbox is not None and self._same_numbers(mailbox):
                yield from ((mailbox, folder) for folder in folders)

    def _back(self, folder: Folder) -> Iterator[Sequence[LedgerEntry]]:
        """Yields the ledgers of copies back, turned round: what they brought to the source stands at the destination."""
        if self._returned is None:
            self._returned = self._returns(self._lease.mailbox)
        ours = folder.source_name, folder.uidvalidity, folder.destination_name, folder.destination_uidvalidity
        for mailbox in self._returned:
            for one, _ in self._store.folders(mailbox.mailbox_id):
                if (one.destination_name, one.destination_uidvalidity, one.source_name, one.uidvalidity) == ours:
                    yield [_turned_round(entry) for entry in self._store.ledger(one.folder_id) if entry.records]

    def _notes(self, other: Folder) -> Mapping[int, Sequence[Note]]:
        notes: dict[int, list[Note]] = defaultdict(list)
        for note in self._store.notes(other.folder_id):
            if note.what in OF_COPIES:
                notes[note.uid].append(note)
        return notes

    def held(self, folder: Folder) -> UidSet:
        """Returns every UID of the destination folder that a neighbour's ledger holds.

        It does so whatever source UIDs the ledger used: none of them is a second copy of ours.
        """
        ranges = [
            part
            for neighbour in self._lease.neighbours
            for other in self._of(neighbour)[1]
            if _same_place(other, folder)
            for entry in self._store.ledger(other.folder_id)
            for record in entry.records
            for part in record.destination.ranges
        ]
        return UidSet.joined(ranges)

    def brought(self, uidvalidity: int | None) -> bool:
        """Tells whether another mailbox of the same source account copied into this destination folder.

        The destination folder is that of this UIDVALIDITY.
        """
        mailbox = self._lease.mailbox
        if account_key(mailbox.source) == account_key(mailbox.destination):
            return False
        return brought(self._store, [one.mailbox_id for one in self._lease.neighbours if one.same_source], uidvalidity)

    def own(self) -> list[Folder]:
        """Returns the folders of the lease's own mailbox as they are planned."""
        return [folder for folder, _ in self._store.folders(self._lease.mailbox.mailbox_id)]

    def merges(self, folder: Folder) -> bool:
        """Tells whether another source folder of the mailbox goes into the same destination folder.

        Then other lanes of ours may write there too.
        """
        if self._merges is None:
            names = Counter(one.destination_name for one in self.own())
            self._merges = names[folder.destination_name] > 1
        return self._merges

    def _of(self, neighbour: Neighbour) -> tuple[Mailbox | None, Sequence[Folder]]:
        if neighbour.mailbox_id not in self._known:
            folders = [folder for folder, _ in self._store.folders(neighbour.mailbox_id)]
            self._known[neighbour.mailbox_id] = self._store.mailbox(neighbour.mailbox_id), folders
        return self._known[neighbour.mailbox_id]

    def _same_numbers(self, mailbox: Mailbox) -> bool:
        """Tells whether a source folder has the same UIDs for both.

        POP3 messages are numbered by each mailbox for itself.
        """
        ends = (mailbox.source.endpoint, self._lease.mailbox.source.endpoint)
        return ends[0].protocol == ends[1].protocol and protocol_of(ends[0]).common_numbers

    def _is_others(self, mailbox: Mailbox | None) -> bool:
        """Tells whether the neighbour's mail is another person's, as far as is known.

        It is when the operator allowed several rows to share the destination, and the source logins differ.
        """
        options = self._options()
        if mailbox is None or not options.share_destination:
            return False
        exact = options.case_sensitive_logins
        logins = {
            folded(one.source.login, case_sensitive=exact) for one in (mailbox, self._lease.mailbox)
        }  # one login at two servers is one person's: it moved from POP3 to IMAP, or the host has two names
        return len(logins) > 1


def _same_source(other: Folder, folder: Folder) -> bool:
    named = other.source_name == folder.source_name or other.folder_id in folder.same_as
    return named and other.uidvalidity == folder.uidvalidity


def _same_place(other: Folder, folder: Folder) -> bool:
    named = other.destination_name == folder.destination_name or other.folder_id in folder.same_as
    return named and 0 < other.destination_uidvalidity == folder.destination_uidvalidity


def _turned_round(entry: LedgerEntry) -> LedgerEntry:
    """Returns the entry as the import would have it that goes the other way; what its marks sum up to is not known."""
    pairs = sorted((to, uid) for record in entry.records for uid, to in record.pairs())
    return replace(entry, records=tuple(records_of(pairs)), digest=0)
