"""Plans one mailbox: lists both sides, maps and creates folders, snapshots each, cuts batches, adopts what is there.

The same code makes the first plan and every delta: a folder whose numbers are those of the last snapshot is left alone,
otherwise only UIDs from the last UIDNEXT on are new. Flags that changed at the source since then are carried over.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.fingerprint import MODULUS, mark, match
from shared.folders import MappedFolder, map_folders
from shared.lifecycle import Outcome
from shared.mail import FolderStatus, MailDestination, MailSource, Sighting
from shared.model import Folder, FolderPlan, Lease, Options, Settled, folder_id
from shared.plan import cut_batches
from shared.store import WorkStore
from shared.uids import Uid, UidSet, records_of
from worker.decide import kept_flags
from worker.sessions import together
from worker.settle import arrived

#: Messages adopted in one entry of the ledger.
ADOPTED_AT_ONCE = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRules:
    """How folders are cut."""

    #: Most messages in a batch.
    batch_messages: int = 2000
    #: Most bytes in a batch.
    batch_bytes: int = 128 << 20


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

    def run(self, known: Sequence[Folder]) -> int:
        """Enters every folder and closes the unit; `known` is what an earlier pass planned. Returns the number of
        folders that have something to copy. Raises what the ports raise."""
        mapped = [m for m in self._map(known) if not m.skip]
        before = {folder.folder_id: folder for folder in known}
        there, here = together(
            lambda: self._source.statuses([m.source_name for m in mapped]),
            lambda: self._destination.statuses([m.destination_name for m in mapped]),
        )
        busy = 0
        for order, (one, source, destination) in enumerate(zip(mapped, there, here, strict=True), start=1):
            folder = self._folder(one)
            if isinstance(source, Exception):
                self._unreadable(folder, order, source)
                continue
            if isinstance(destination, Exception):
                raise destination
            busy += self._plan_folder(folder, order, source, destination, before.get(folder.folder_id))
        self._store.finish(self._lease)
        return busy

    def _map(self, known: Sequence[Folder]) -> list[MappedFolder]:
        """The mapping, with INBOX first, and every destination folder there."""
        theirs, ours = together(self._source.listing, self._destination.listing)
        mapped = map_folders(
            theirs,
            ours,
            include=self._options.include,
            exclude=self._options.exclude,
            known={folder.source_name: folder.destination_name for folder in known},
        )
        wanted = [m for m in mapped if not m.skip]
        exist = {folder.name for folder in ours.folders if "noselect" not in folder.attributes}
        missing = [m.destination_name for m in wanted if m.destination_name not in exist]
        for error in self._destination.create(missing):
            if error is not None:
                raise error
        subscribed = {folder.name for folder in ours.folders if folder.subscribed}
        fresh = [m.destination_name for m in wanted if m.subscribed and m.destination_name not in subscribed]
        if fresh:
            self._destination.subscribe(fresh)
        return sorted(mapped, key=lambda m: m.destination_name.upper() != b"INBOX")

    def _folder(self, one: MappedFolder) -> Folder:
        return Folder(
            folder_id=folder_id(self._lease.mailbox.mailbox_id, one.source_name),
            mailbox_id=self._lease.mailbox.mailbox_id,
            source_name=one.source_name,
            destination_name=one.destination_name,
            display=one.display,
            note=one.note,
        )

    def _unreadable(self, folder: Folder, order: int, error: Exception) -> None:
        """A folder that LIST shows and STATUS refuses costs nobody else anything; it stands in the report."""
        said = getattr(error, "detail", "") or str(error)
        unreadable = replace(folder, note=f"cannot be read at the source: {said}", uidnext=0)
        self._store.plan_folder(self._lease, FolderPlan(folder=unreadable), order)

    def _plan_folder(
        self, folder: Folder, order: int, there: FolderStatus, here: FolderStatus, before: Folder | None
    ) -> bool:
        reset = before is not None and before.uidvalidity != 0 and (
            (before.uidvalidity, before.destination_uidvalidity) != (there.uidvalidity, here.uidvalidity)
        )
        fresh = before is None or reset or before.uidvalidity == 0
        low = 1 if fresh or before is None else before.uidnext
        modseq = there.highestmodseq or 0
        snapshot = replace(
            folder,
            uidvalidity=there.uidvalidity,
            uidnext=there.uidnext,
            highestmodseq=modseq if fresh or before is None else before.highestmodseq,
            source_messages=there.messages,
            destination_uidvalidity=here.uidvalidity,
            destination_uidnext=here.uidnext if fresh or before is None else before.destination_uidnext,
        )
        if before is not None and not fresh:
            self._carry_flags(snapshot, there, before)
        sizes = []
        if there.messages and low < there.uidnext:
            opened = self._source.open(folder.source_name)
            sizes = [(uid, size) for uid, size in self._source.sizes(replace(opened, uidnext=there.uidnext)) if uid >= low]
            if fresh and not modseq:
                self._remember_flags(snapshot, modseq)
        adopted, taken = self._adopt(snapshot, sizes, here) if fresh and sizes and here.messages else ((), UidSet())
        todo = [(uid, size) for uid, size in sizes if uid not in taken] if taken else sizes
        batches = tuple(
            cut_batches(
                folder.folder_id,
                there.uidvalidity,
                todo,
                mailbox_id=folder.mailbox_id,
                batch_messages=self._rules.batch_messages,
                batch_bytes=self._rules.batch_bytes,
            )
        )
        if before is not None and not reset and snapshot == replace(before, verified="", doubts=UidSet()) and not batches:
            return False
        plan = FolderPlan(
            folder=snapshot,
            batches=batches,
            messages=len(sizes),
            size_bytes=sum(size for _, size in sizes),
            adopted=adopted,
            reset=reset,
        )
        self._store.plan_folder(self._lease, plan, order)
        return bool(batches)

    # -- what is at the destination already

    def _adopt(
        self, folder: Folder, sizes: Sequence[tuple[int, int]], here: FolderStatus
    ) -> tuple[tuple[Settled, ...], UidSet]:
        """Messages that are at the destination before anything was copied, matched by header fingerprint and size; where
        copies and originals differ in number, by bytes. Doubtful is not adopted."""
        ours = arrived(self._destination, self._destination.open(folder.destination_name), 1, UidSet())
        by_size = {s.size_bytes for s in ours}
        candidates = UidSet.of(uid for uid, size in sizes if size in by_size)
        if not candidates:
            return (), UidSet()
        theirs = {s.uid: s for s in self._source.sightings(candidates)}
        keys = {uid: (s.fingerprint, s.size_bytes) for uid, s in theirs.items()}
        their_keys = {s.uid: (s.fingerprint, s.size_bytes) for s in ours}
        pairs = match(keys, their_keys)
        pairs = self._sure(pairs, keys, their_keys)
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

    def _sure(
        self, pairs: dict[int, int], left: dict[Uid, tuple[bytes, int]], right: dict[Uid, tuple[bytes, int]]
    ) -> dict[int, int]:
        """Replaces pairs whose key stands several times by pairs of equal bytes."""
        counts: dict[tuple[bytes, int], list[int]] = defaultdict(lambda: [0, 0])
        for key in left.values():
            counts[key][0] += 1
        for key in right.values():
            counts[key][1] += 1
        unsure = {key for key, (n, m) in counts.items() if n and m and (n > 1 or m > 1)}
        if not unsure:
            return pairs
        sources = UidSet.of(uid for uid, key in left.items() if key in unsure)
        copies = UidSet.of(uid for uid, key in right.items() if key in unsure)
        exact = match(
            {s.uid: s.digest for s in self._source.sightings(sources, full=True)},
            {s.uid: s.digest for s in self._destination.sightings(copies, full=True)},
        )
        return {uid: to for uid, to in pairs.items() if uid not in sources} | exact

    # -- flags

    def _remember_flags(self, folder: Folder, modseq: int) -> None:
        self._store.set_flags(self._lease, folder.folder_id, modseq, self._flags_now(folder))

    def _flags_now(self, folder: Folder) -> dict[str, UidSet]:
        seen: dict[str, list[int]] = defaultdict(list)
        for uid, flags in self._source.flags(UidSet.span(1, max(1, folder.uidnext - 1))):
            seen[" ".join(sorted(flags))].append(uid)
        return {flags: UidSet.of(uids) for flags, uids in seen.items()}

    def _carry_flags(self, folder: Folder, there: FolderStatus, before: Folder) -> None:
        """Flags that changed at the source since the last pass are set at the destination."""
        modseq = there.highestmodseq or 0
        if modseq and modseq == before.highestmodseq:
            return
        if before.uidnext <= 1:
            return
        self._source.open(folder.source_name)
        old = UidSet.span(1, before.uidnext - 1)
        seen: dict[str, UidSet] | None = None
        changed: dict[str, list[int]] = defaultdict(list)
        if modseq and before.highestmodseq:
            for uid, flags in self._source.flags(old, changed_since=before.highestmodseq):
                changed[" ".join(sorted(flags))].append(uid)
        else:
            seen = self._flags_now(folder)
            kept = self._store.flags(folder.folder_id)
            for text, uids in seen.items():
                differ = (uids & old) - kept.get(text, UidSet())
                if differ and kept:
                    changed[text].extend(differ)
        if changed:
            self._set_flags(folder, changed)
        self._store.set_flags(self._lease, folder.folder_id, modseq, seen)

    def _set_flags(self, folder: Folder, changed: dict[str, list[int]]) -> None:
        to = {s: d for entry in self._store.ledger(folder.folder_id) for record in entry.records for s, d in record.pairs()}
        permanent = self._destination.open(folder.destination_name).permanent_flags
        changes = []
        for text, uids in changed.items():
            known = UidSet.of(to[uid] for uid in uids if uid in to)  # type: ignore[index]
            if known:
                changes.append((known, kept_flags(text.split(), permanent)[0]))
        self._destination.store_flags(changes)


def _mark(seen: Sighting) -> int:
    return mark(seen.uid, seen.size_bytes, seen.internaldate, seen.fingerprint)

