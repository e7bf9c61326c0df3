"""Plans one mailbox: lists both sides, maps and creates folders, snapshots each, cuts batches, adopts what is there.

The same code makes the first plan and every delta: a folder whose numbers are those of the last snapshot is left alone,
otherwise only UIDs from the last UIDNEXT on are new. Flags that changed at the source since then are carried over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from shared.errors import ConnectionLost, FolderRefused
from shared.folders import MappedFolder
from shared.gmail import LabelMode
from shared.mail import FolderListing, FolderStatus, KnownStatus, MailDestination, MailSource
from shared.mail.choosing import look_at_labels
from shared.mail.numbers import known_statuses
from shared.model import UNREADABLE, Folder, FolderPlan, Lease, Options, folder_id
from shared.plan import Change, delta
from shared.store import WorkStore
from shared.uids import UidSet
from worker.carry import FlagCarrying
from worker.cut import Cutting, PlanRules, Skipped
from worker.folder_making import make_folders
from worker.sessions import together

__all__ = ["MailboxPlan", "PlanRules"]

#: Planned batches that are entered together.
BATCHES_AT_ONCE = 50

#: Folders whose sizes are asked for before their turn.
FORESEEN = 4

#: From the next attempt on, folders are opened one by one.
ALONE_ATTEMPTS = 2

#: A destination folder that could not be made.
NOT_THERE = KnownStatus(uidnext=1, messages=0)


class MailboxPlan:
    """The planning of one mailbox under one lease, between two signed-in sessions."""

    def __init__(
        self,
        lease: Lease,
        store: WorkStore,
        source: MailSource,
        destination: MailDestination,
        options: Options,
        rules: PlanRules,
    ) -> None:
        self._lease, self._store, self._source, self._destination = lease, store, source, destination
        self._options, self._rules = options, rules
        self._cutting = Cutting(store, source, destination, options, rules)
        self._flags = FlagCarrying(lease, store, source, destination)
        #: The source folder that is open, and how it was then.
        self._open: tuple[bytes, KnownStatus] | None = None
        #: What was entered: folders with batches, and these batches' messages and bytes.
        self._busy = self._messages = self._size_bytes = 0

    def run(self, known: Sequence[Folder]) -> int:
        """Enters every folder; `known` is what an earlier pass planned. Returns how many lanes what is to be copied is
        worth, at most one a folder; 0 for nothing. Raises what the ports raise."""
        before = {folder.folder_id: folder for folder in known}
        made = make_folders(self._source, self._destination, self._options, known)
        apart, mailbox = made.left_out, self._lease.mailbox
        if (apart.other, apart.public) != (mailbox.other_folders, mailbox.public_folders):
            self._store.note_left_out(self._lease, apart.other, apart.public)
        mapped = [m for m in self._labelled(made.listing, made.mapped) if not m.skip]
        # Last those that could not be opened: some servers close the connection at one.
        mapped.sort(key=lambda m: self._doubtful(m, before))
        there, here = together(
            lambda: self._source_statuses(mapped, before),
            lambda: known_statuses(self._destination, [m.destination_name for m in mapped]),
        )
        plain = [self._plain(*one, before) for one in zip(mapped, there, here, strict=True)]
        plans: list[tuple[FolderPlan, int]] = []
        for order, (one, source, destination) in enumerate(zip(mapped, there, here, strict=True), start=1):
            folder = self._folder(one)
            try:
                for coming in takewhile(lambda n: plain[n], range(order - 1, min(order - 1 + FORESEEN, len(mapped)))):
                    self._source.foresee(mapped[coming].source_name)
                source = source or self._opened(folder.source_name)
            except ConnectionLost as error:
                plans.append((_unreadable(folder, error, before.get(folder.folder_id)), order))
                if not self._doubtful(one, before):
                    self._enter(plans)
                    raise
                continue
            if isinstance(source, Exception):
                plans.append((_unreadable(folder, source, before.get(folder.folder_id)), order))
                continue
            if isinstance(destination, Exception):
                destination = NOT_THERE
            plan = self._plan_folder(folder, source, destination, before.get(folder.folder_id))
            if plan is not None:
                plans.append((plan, order))
            if sum(len(p.batches) for p, _ in plans) >= BATCHES_AT_ONCE:
                self._enter(plans)
        self._enter(plans)
        return min(self._busy, self._rules.worth.lanes(self._messages, self._size_bytes))

    def _source_statuses(
        self, mapped: Sequence[MappedFolder], before: Mapping[str, Folder]
    ) -> list[KnownStatus | Exception | None]:
        """STATUS of what was planned before, to see whether it changed; None for what has to be opened: the others, what STATUS
        leaves a number out of, and where it tells a lower UIDNEXT than was told before."""
        # Where a connection was lost twice, one folder may be the cause: each is opened by itself.
        alone = self._lease.unit.attempts > ALONE_ATTEMPTS
        known = [
            m.source_name
            for m in mapped
            if self._folder(m).folder_id in before and not alone and not self._doubtful(m, before)
        ]
        asked = dict(zip(known, self._source.statuses(known), strict=True))
        return [_sure(asked.get(m.source_name), before.get(self._folder(m).folder_id)) for m in mapped]

    def _plain(
        self,
        one: MappedFolder,
        there: KnownStatus | Exception | None,
        here: KnownStatus | Exception,
        before: Mapping[str, Folder],
    ) -> bool:
        """Whether all there will be to do with a folder is to open it and to list it, so that it can be foreseen. Not
        after a connection was lost: it must be known then which folder was to blame."""
        empty = isinstance(here, Exception) or not here.messages
        return (
            there is None
            and empty
            and not self._cutting.chooses(one.source_name)
            and self._folder(one).folder_id not in before
            and self._lease.unit.attempts == 1
        )

    def _doubtful(self, one: MappedFolder, before: Mapping[str, Folder]) -> bool:
        known = before.get(self._folder(one).folder_id)
        return known is not None and known.unreadable

    def _opened(self, name: bytes) -> KnownStatus | Exception:
        """The source folder's status by EXAMINE; it is then open."""
        if self._open is None or self._open[0] != name:
            try:
                self._open = (name, self._source.open(name))
            except FolderRefused as error:
                self._open = None
                return error
        return self._open[1]

    def _enter(self, plans: list[tuple[FolderPlan, int]]) -> None:
        """Enters what was planned; other lanes may begin with it while the rest is listed."""
        self._store.plan_folders(self._lease, plans)
        batches = [batch for plan, _ in plans for batch in plan.batches]
        self._busy += sum(bool(plan.batches) for plan, _ in plans)
        self._messages += sum(len(batch.uids) for batch in batches)
        self._size_bytes += sum(batch.size_bytes for batch in batches)
        plans.clear()

    def _labelled(self, listing: FolderListing, mapped: list[MappedFolder]) -> list[MappedFolder]:
        """The same with what is to be said of Gmail's labels, which are looked at here."""
        seen = look_at_labels(self._source, listing, mapped, LabelMode(self._options.gmail_labels))
        if seen is None:
            return mapped
        self._cutting.view = seen.view
        return [replace(m, note="; ".join(filter(None, (m.note, seen.notes.get(m.source_name, ""))))) for m in mapped]

    def _folder(self, one: MappedFolder) -> Folder:
        return Folder(
            folder_id=folder_id(self._lease.mailbox.mailbox_id, one.source_name),
            mailbox_id=self._lease.mailbox.mailbox_id,
            source_name=one.source_name,
            destination_name=one.destination_name,
            display=one.display,
            note=one.note,
        )

    def _plan_folder(
        self, folder: Folder, there: KnownStatus, here: KnownStatus, before: Folder | None
    ) -> FolderPlan | None:
        found = delta(there, before)
        moved = before is not None and not here.same_uids(before.destination_uidvalidity)
        reset = found.change is Change.REPLACED or (moved and found.change is not Change.NEW)
        fresh = before is None or reset or found.change is Change.NEW
        modseq = there.highestmodseq or 0
        snapshot = replace(
            folder,
            uidvalidity=there.uidvalidity or 0,
            # A server may only know a lower bound; what is accounted for stays so.
            uidnext=there.uidnext if fresh or before is None else max(there.uidnext, before.uidnext),
            highestmodseq=modseq if fresh or before is None else before.highestmodseq,
            source_messages=there.messages,
            skipped="" if fresh or before is None else before.skipped,
            destination_uidvalidity=here.uidvalidity or 0,
            remade=before.remade + 1 if before is not None and moved else 0,
            destination_uidnext=here.uidnext if fresh or before is None else before.destination_uidnext,
        )
        if before is not None and not fresh and found.flags:
            self._carry_flags(snapshot, modseq, before, found.changed_since)
        low = 1 if fresh else found.first_uid or snapshot.uidnext
        skipped = Skipped() if fresh else self._cutting.skipped(before)
        plan = FolderPlan(folder=snapshot, reset=reset)
        if there.messages and (fresh or found.change is Change.CHANGED or skipped.again):
            opened = self._opened(folder.source_name)
            if isinstance(opened, Exception):
                raise opened
            plan = self._cutting.cut(plan, opened, low, here if fresh else None, skipped)
            if fresh and not modseq:
                self._flags.keep(snapshot)
        elif (
            before is not None and not reset and snapshot == replace(before, verified="", doubts=UidSet(), unchecked=0)
        ):
            return None
        return plan

    def _carry_flags(self, folder: Folder, modseq: int, before: Folder, changed_since: int | None) -> None:
        if before.uidnext > 1:
            opened = self._opened(folder.source_name)
            if isinstance(opened, Exception):
                raise opened
            self._flags.carry(folder, modseq, before, changed_since)


def _sure(status: FolderStatus | Exception | None, before: Folder | None) -> KnownStatus | Exception | None:
    """None for a status that proves nothing of what changed since `before`."""
    if status is None or isinstance(status, Exception):
        return status
    known = status.known()
    return known if known is not None and before is not None and known.uidnext >= before.uidnext else None


def _unreadable(folder: Folder, error: Exception, before: Folder | None) -> FolderPlan:
    """A folder that LIST shows and STATUS refuses costs nobody else anything; it stands in the report."""
    said = getattr(error, "detail", "") or str(error)
    return FolderPlan(folder=replace(before or folder, note=f"{UNREADABLE}: {said}"))
