"""Verifies one mailbox: the destination is counted and compared with the ledger, folder by folder.

By default each message is identified by the UIDs of the ledger, its size, internal date and header fingerprint: the sum
of marks that copying kept for a batch must be the sum of what the destination now shows. Only where sums differ are both
sides compared message by message. `full` reads every message on both sides and compares SHA-256 of the canonical bytes.

The only thing ever removed is a second copy that is proved to be ours: its source message was once in doubt, it is not in
the ledger, it came after the import began, and its bytes and date are those of the copy that is in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shared.dates import clamp
from shared.events import DuplicatesRemoved, Listener, VerifyMismatch
from shared.fingerprint import MODULUS, mark
from shared.mail import FolderStatus, MailDestination, Sighting
from shared.model import Audit, Folder, Lease, LedgerEntry, Note
from shared.store import WorkStore
from shared.uids import UidSet
from worker.inflight import stop_on
from worker.sessions import Sessions
from worker.settle import arrived


class MailboxVerification:
    """The verification of one mailbox under one lease."""

    def __init__(
        self, lease: Lease, store: WorkStore, sessions: Sessions, *, full: bool, wish: Callable[[], str], tell: Listener
    ) -> None:
        self._lease, self._store, self._sessions = lease, store, sessions
        self._full, self._wish, self._tell = full, wish, tell

    def run(self, folders: list[Folder]) -> None:
        """Compares every folder and closes the unit. Raises what the ports raise, and `ControlRequested`."""
        folders = [folder for folder in folders if folder.destination_uidvalidity]
        destination = self._sessions.destination(self._lease.mailbox) if folders else None
        if destination is not None:
            statuses = destination.statuses([folder.destination_name for folder in folders])
            for folder, status in zip(folders, statuses, strict=True):
                stop_on(self._wish())
                if isinstance(status, Exception):
                    raise status
                seen = f"{folder.uidvalidity}:{folder.uidnext}/{status.uidvalidity}:{status.uidnext}:{status.messages}"
                if seen != folder.verified or self._full:
                    self._folder(destination, folder, seen)
        self._store.finish(self._lease)

    def _folder(self, destination: MailDestination, folder: Folder, seen: str) -> None:
        entries = [entry for entry in self._store.ledger(folder.folder_id) if entry.records]
        status = destination.open(folder.destination_name) if entries else None
        digests: dict[str, int] = {}
        notes: list[Note] = []
        for entry in entries:
            stop_on(self._wish())
            digest, found = self._entry(destination, folder, entry)
            notes += found
            if digest != entry.digest:
                digests[entry.name] = digest
        if status is not None and folder.doubts:
            self._remove_second_copies(destination, folder, entries, status)
            after = destination.statuses([folder.destination_name])[0]
            if isinstance(after, FolderStatus):
                seen = f"{folder.uidvalidity}:{folder.uidnext}/{after.uidvalidity}:{after.uidnext}:{after.messages}"
        altered, missing = (sum(note.what == what for note in notes) for what in ("altered", "missing"))
        for what, n in (("altered", altered), ("missing", missing)):
            if n:
                self._tell(VerifyMismatch(what=what, messages=n))
        audit = Audit(
            folder_id=folder.folder_id,
            verified=seen,
            digests=digests,
            altered=altered,
            missing=missing,
            notes=tuple(notes),
        )
        self._store.audit(self._lease, audit)

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
        if status.uidvalidity != folder.uidvalidity:
            return  # planned anew with the next pass; nothing can be said of the old UIDs
        uids = UidSet.of(uid for record in entry.records for uid in record.source)
        there = {s.uid: s for s in source.sightings(uids, full=self._full)}
        for record in entry.records:
            for uid, to in record.pairs():
                original, copy = there.get(uid), here.get(to)
                if copy is None:
                    yield _note(uid, "missing", f"UID {to} is no longer in the destination folder", original)
                elif original is not None and (reason := self._difference(original, copy)):
                    yield _note(uid, "altered", reason, original)

    def _difference(self, original: Sighting, copy: Sighting) -> str:
        """What the destination changed, in words; "" when nothing that matters."""
        said = []
        if original.internaldate is not None and copy.internaldate != clamp(original.internaldate):
            said.append("internal date changed by the destination")
        if self._full and original.digest != copy.digest:
            said.append("content differs (SHA-256 of canonical bytes)")
        elif original.size_bytes != copy.size_bytes:
            said.append(f"stored as {copy.size_bytes} bytes instead of {original.size_bytes}")
        elif original.fingerprint != copy.fingerprint:
            said.append("header changed by the destination")
        return "; ".join(said)

    def _remove_second_copies(
        self, destination: MailDestination, folder: Folder, entries: list[LedgerEntry], status: FolderStatus
    ) -> None:
        pairs = {s: d for entry in entries for record in entry.records for s, d in record.pairs()}
        ledger = UidSet.of(pairs.values())
        mine = UidSet.of(pairs[uid] for uid in folder.doubts if uid in pairs)
        extras = arrived(destination, status, folder.destination_uidnext, ledger)
        if not mine or not extras:
            return
        keys = {(s.fingerprint, s.size_bytes, s.internaldate) for s in destination.sightings(mine)}
        suspects = UidSet.of(s.uid for s in extras if (s.fingerprint, s.size_bytes, s.internaldate) in keys)
        if not suspects:
            return
        ours = {s.digest for s in destination.sightings(mine, full=True)}
        proved = UidSet.of(s.uid for s in destination.sightings(suspects, full=True) if s.digest in ours)
        if proved and destination.remove(proved):
            self._tell(DuplicatesRemoved(messages=len(proved)))


def _note(uid: int, what: str, reason: str, seen: Sighting | None) -> Note:
    return Note(
        uid=uid,
        what=what,
        reason=reason,
        message_id=seen.message_id if seen else "",
        internaldate=seen.internaldate if seen else None,
        size_bytes=seen.size_bytes if seen else -1,
    )
