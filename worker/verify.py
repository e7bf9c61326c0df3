"""Verifies one mailbox: the destination is counted and compared with the ledger, folder by folder.

Each message is identified by the UIDs of the ledger, its size, internal date and header fingerprint: the sum of marks
that copying kept for a batch must be the sum of what the destination shows. A batch is read back by whoever copied it,
while the folder is open (`worker.copy`); here the folders are counted, and what is not yet checked is read. Only where
sums differ are both sides compared message by message. "anew" reads every folder again; "full" reads every message on
both sides and compares SHA-256 of the canonical bytes.

The only thing ever removed is a second copy that is proved to be ours: its source message was once in doubt, it is not
in the ledger, it came after the import began, and its bytes and date are those of the copy that is in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from shared.dates import clamp
from shared.events import DuplicatesRemoved, Listener, VerifyMismatch
from shared.fingerprint import MODULUS, mark
from shared.lifecycle import Outcome
from shared.mail import KnownStatus, MailDestination, Sighting
from shared.mail.numbers import known_statuses
from shared.model import Audit, Folder, Lease, LedgerEntry, Note, Tally
from shared.store import WorkStore
from shared.uids import UidSet
from worker.inflight import stop_on
from worker.sessions import Sessions
from worker.settle import arrived


class MailboxVerification:
    """The verification of one mailbox under one lease."""

    def __init__(
        self,
        lease: Lease,
        store: WorkStore,
        sessions: Sessions,
        *,
        mode: str,
        wish: Callable[[], str],
        tell: Listener,
    ) -> None:
        """`mode` is `Options.verify`."""
        self._lease, self._store, self._sessions = lease, store, sessions
        self._mode, self._full, self._wish, self._tell = mode, mode == "full", wish, tell

    def run(self, planned: Sequence[tuple[Folder, Tally]]) -> None:
        """Compares every folder. Raises what the ports raise, and `ControlRequested`."""
        folders = [(folder, tally) for folder, tally in planned if folder.destination_uidvalidity]
        audits = []
        if folders:
            destination = self._sessions.destination(self._lease.mailbox)
            statuses = known_statuses(destination, [folder.destination_name for folder, _ in folders])
            for (folder, tally), status in zip(folders, statuses, strict=True):
                stop_on(self._wish())
                if isinstance(status, Exception):
                    raise status
                seen = _seen(folder, status)
                if seen == folder.verified and self._mode == "default":
                    continue
                ours = tally[Outcome.COPIED] + tally[Outcome.ALREADY_PRESENT]
                if (
                    self._mode != "default"
                    or folder.unchecked
                    or folder.doubts
                    or status.messages < ours
                    or tally.altered
                ):
                    # Fewer than the ledger says, and nobody knows which: all are looked at.
                    thorough = self._mode != "default" or status.messages < ours
                    audits.append(self._folder(destination, folder, thorough))
                else:
                    audits.append(Audit(folder_id=folder.folder_id, verified=seen))
        self._store.audit(self._lease, audits)

    def _folder(self, destination: MailDestination, folder: Folder, thorough: bool) -> Audit:
        entries = [entry for entry in self._store.ledger(folder.folder_id) if entry.records]
        status = destination.open(folder.destination_name)
        digests: dict[str, int] = {}
        notes: list[Note] = []
        checked = []
        for entry in entries:
            stop_on(self._wish())
            if entry.checked and not thorough:
                continue
            digest, found = self._entry(destination, folder, entry)
            notes += found
            if not found:
                digests |= {entry.name: digest} if digest != entry.digest else {}
                checked.append(entry.name)
        if folder.doubts:
            status = self._remove_second_copies(destination, folder, entries, status)
        altered, missing = (sum(note.what == what for note in notes) for what in ("altered", "missing"))
        for what, n in (("altered", altered), ("missing", missing)):
            if n:
                self._tell(VerifyMismatch(what=what, messages=n))
        return Audit(
            folder_id=folder.folder_id,
            verified=_seen(folder, status),
            digests=digests,
            checked=tuple(checked),
            altered=altered,
            missing=missing,
            notes=tuple(notes),
        )

    def _entry(self, destination: MailDestination, folder: Folder, entry: LedgerEntry) -> tuple[int, list[Note]]:
        """The digest of what the destination shows, and what differs from the source."""
        wanted = UidSet.of(uid for record in entry.records for uid in record.destination)
        here: dict[int, Sighting] = {}
        digest = 0
        for s in destination.sightings(wanted, full=self._full):
            here[s.uid] = s
            digest += mark(s.uid, s.size_bytes, s.internaldate, s.fingerprint)
        digest %= MODULUS
        if digest == entry.digest and len(here) == len(wanted) and not self._full:
            return digest, []
        return digest, list(self._differences(folder, entry, here))

    def _differences(self, folder: Folder, entry: LedgerEntry, here: dict[int, Sighting]) -> Iterator[Note]:
        source = self._sessions.source(self._lease.mailbox)
        status = source.open(folder.source_name)
        if not status.same_uids(folder.uidvalidity):
            return  # planned anew with the next pass; nothing can be said of the old UIDs
        uids = UidSet.of(uid for record in entry.records for uid in record.source)
        there = {s.uid: s for s in source.sightings(uids, full=self._full)}
        pairs = [pair for record in entry.records for pair in record.pairs()]
        if not self._full:
            # Some sources tell sizes that are not those of the bytes they send (Exchange): the bytes are counted.
            unsure = UidSet.of(
                uid for uid, to in pairs if uid in there and to in here and _unlike(there[uid], here[to])
            )
            there |= {s.uid: s for s in source.sightings(unsure, full=True)} if unsure else {}
            # Servers cut odd headers up in different ways: where only that differs, the bytes decide.
            odd = UidSet.of(
                to for uid, to in pairs if uid in unsure and there[uid].size_bytes == here[to].size_bytes
            )  # fmt: skip
            destination = self._sessions.destination(self._lease.mailbox)
            here |= {s.uid: s for s in destination.sightings(odd, full=True)} if odd else {}
        for uid, to in pairs:
            original, copy = there.get(uid), here.get(to)
            if copy is None:
                yield _note(uid, "missing", f"UID {to} is no longer in the destination folder", original)
            elif original is not None and (reason := self._difference(original, copy)):
                yield _note(uid, "altered", reason, original)

    @staticmethod
    def _difference(original: Sighting, copy: Sighting) -> str:
        """What the destination changed, in words; "" when nothing that matters."""
        said = []
        if original.internaldate is not None and copy.internaldate != clamp(original.internaldate):
            said.append("internal date changed by the destination")
        if original.digest and copy.digest and original.digest != copy.digest:
            said.append("content differs (SHA-256 of canonical bytes)")
        elif original.size_bytes != copy.size_bytes:
            said.append(f"stored as {copy.size_bytes} bytes instead of {original.size_bytes}")
        return "; ".join(said)

    def _remove_second_copies(
        self, destination: MailDestination, folder: Folder, entries: list[LedgerEntry], status: KnownStatus
    ) -> KnownStatus:
        """Removes what is proved to be a second copy of ours; the folder's status afterwards."""
        pairs: dict[int, int] = {s: d for entry in entries for record in entry.records for s, d in record.pairs()}
        ledger = UidSet.of(pairs.values())
        mine = UidSet.of(pairs[uid] for uid in folder.doubts if uid in pairs)
        extras = arrived(destination, status, folder.destination_uidnext, ledger) if mine else []
        if not extras:
            return status
        keys = {(s.fingerprint, s.size_bytes, s.internaldate) for s in destination.sightings(mine)}
        suspects = UidSet.of(s.uid for s in extras if (s.fingerprint, s.size_bytes, s.internaldate) in keys)
        if not suspects:
            return status
        ours = {s.digest for s in destination.sightings(mine, full=True)}
        proved = UidSet.of(s.uid for s in destination.sightings(suspects, full=True) if s.digest in ours)
        if not proved or not destination.remove(proved):
            return status
        self._tell(DuplicatesRemoved(messages=len(proved)))
        return destination.open(folder.destination_name)


def _seen(folder: Folder, status: KnownStatus) -> str:
    return f"{folder.uidvalidity}:{folder.uidnext}/{status.uidvalidity}:{status.uidnext}:{status.messages}"


def _unlike(original: Sighting, copy: Sighting) -> bool:
    return original.size_bytes != copy.size_bytes or original.fingerprint != copy.fingerprint


def _note(uid: int, what: str, reason: str, seen: Sighting | None) -> Note:
    return Note(
        uid=uid,
        what=what,
        reason=reason,
        message_id=seen.message_id if seen else "",
        internaldate=seen.internaldate if seen else None,
        size_bytes=seen.size_bytes if seen else -1,
    )
