"""Follows deletions at the source: removes the copies of messages that are no longer there, where the operator asked for it.

Only copies that we made, that stand where we put them, and whose flags are still those that the source showed last:
whatever a user touched at the destination stays. Nothing is removed from a mailbox of which anything is still to come.
What is about to be removed is stored first (`Folder.deleted_too`), so that a later holder knows why a copy is gone, and
removes what is still there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from shared.mail import FlagChange, MailDestination
from shared.model import Folder, Lease, Options, Tally
from shared.model.choices import DeletionsChoice
from shared.model.errors import FolderRefused, ServerRefused
from shared.model.events import DeletionsFollowed, Listener
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.runtime.logs import get_logger
from shared.store import WorkStore
from worker.decisions.permanent_flags import kept_flags
from worker.following.departures import without_marks

_log = get_logger("mailhaul.worker")
_DELETED = "\\deleted"
_REFUSED = (FolderRefused, ServerRefused)


class DeletionsFollowing:
    """The following of deletions in one verification. Not reused."""

    def __init__(
        self,
        lease: Lease,
        store: WorkStore,
        destination: MailDestination,
        tell: Listener,
        check: Callable[[], object] = lambda: None,
    ) -> None:
        """Takes `check`, which raises where the operator wants the lane to stop."""
        self._lease, self._store, self._destination, self._tell, self._check = lease, store, destination, tell, check
        #: Folder → the digests of ledger entries, by name, without the marks of the copies that were removed.
        self.digests: dict[str, dict[str, int]] = {}

    def run(self, folders: Sequence[tuple[Folder, Tally]], options: Options) -> dict[str, Folder]:
        """Removes the copies, and returns those folders that changed, by id. Raises what the ports raise.

        It removes none where more than the cap would go, where the source shows no message at all any more, where a
        message of the mailbox has no copy yet (it may be one that was moved), where other imports bring mail into the
        same destination, or where the server cannot expunge by UID.
        """
        if options.deletions != DeletionsChoice.FOLLOW or not any(_is_open(folder) for folder, _ in folders):
            return {}
        reason = self._why_not(folders)
        if not reason:
            open_ = [(folder, tally) for folder, tally in folders if _is_open(folder)]
            found = {folder.folder_id: self._copies(folder, tally) for folder, tally in open_}
            begun = {folder.folder_id: set(folder.deleted_too) for folder, _ in open_}
            number = sum(len(pairs.keys() - begun[name]) for name, pairs in found.items())
            if number <= options.deletions_cap:
                return {f.folder_id: self._remove(f, tally) for f, tally in open_ if found[f.folder_id]}
            _log.warning("deletions_not_followed", reason="cap", messages=number, cap=options.deletions_cap)
            return {}
        _log.warning("deletions_not_followed", reason=reason)
        return {}

    def _why_not(self, folders: Sequence[tuple[Folder, Tally]]) -> str:
        if self._lease.neighbours:
            return "neighbours"
        if not any(folder.source_messages for folder, _ in folders):
            return "source_empty"
        for folder, tally in folders:
            if tally.pending or tally.withheld or tally[Outcome.REFUSED] or tally[Outcome.FAILED] or folder.unreadable:
                return "without_copy"
        return "" if "UIDPLUS" in self._destination.capabilities else "no_uidplus"

    def _copies(self, folder: Folder, tally: Tally) -> dict[int, int]:
        """Returns source UID → UID of the copies of ours that nobody touched since, of messages that were deleted."""
        self._check()
        ledger = [(entry.name, record) for entry in self._store.ledger(folder.folder_id) for record in entry.records]
        present = sum(len(record.source) for name, record in ledger if name.startswith("adopted."))
        if folder.mixed or tally[Outcome.ALREADY_PRESENT] > present:
            # What another writer brought while we copied stands in the ledger among our copies.
            return {}
        gone = folder.deleted - folder.accepted - folder.followed
        ours = (record for name, record in ledger if not name.startswith("adopted."))
        pairs = {int(uid): int(to) for record in ours for uid, to in record.pairs() if uid in gone}
        untouched: dict[int, int] = {}
        with contextlib.suppress(*_REFUSED):
            opened = self._destination.open(folder.destination_name) if pairs else None
            if opened is not None and opened.same_uids(folder.destination_uidvalidity):
                flags = {int(to): _set(told) for to, told in self._destination.flags(UidSet.of(pairs.values()))}
                for text, uids in self._store.flags(folder.folder_id).items():
                    given = _set(kept_flags(tuple(text.split()), opened.permanent_flags)[0])
                    for uid, to in pairs.items():
                        # A holder that died while it removed a copy may have marked it.
                        marked = {given, given | {_DELETED}} if uid in folder.deleted_too else {given}
                        if uid in uids and flags.get(to) in marked:
                            untouched[uid] = to
        return untouched

    def _remove(self, folder: Folder, tally: Tally) -> Folder:
        """Removes the copies in one folder, as they are now, and returns the folder."""
        pairs = self._copies(folder, tally)  # opens it
        if not pairs:
            return folder
        before, uids = folder.deleted_too, UidSet.of(pairs.values())
        stood = {int(seen.uid): seen for seen in self._destination.sightings(uids)}
        self._store.set_deleted_too(self._lease, folder.folder_id, before | UidSet.of(pairs))
        try:
            self._destination.remove(uids)
        except _REFUSED as error:
            _log.warning("deletions_not_followed", reason=str(error))
            there = self._destination.existing(uids)
            with contextlib.suppress(*_REFUSED):
                self._destination.store_flags([FlagChange(uids=there, remove=("\\Deleted",))])
            pairs = {uid: to for uid, to in pairs.items() if to not in there}
            self._store.set_deleted_too(self._lease, folder.folder_id, before | UidSet.of(pairs))
        self.digests[folder.folder_id] = without_marks(
            self._store.ledger(folder.folder_id), {uid: stood[to] for uid, to in pairs.items() if to in stood}
        )
        self._tell(DeletionsFollowed(messages=len(pairs)))
        return replace(folder, deleted_too=before | UidSet.of(pairs))


def _is_open(folder: Folder) -> bool:
    """Tells whether there may be a copy to remove; what is done is looked at again only while it was not seen to be."""
    if folder.unreadable or folder.gone_at_source or not folder.destination_uidvalidity:
        return False
    return bool(
        folder.deleted - folder.accepted - folder.followed - (folder.deleted_too if folder.verified else UidSet())
    )


def _set(flags: Sequence[str]) -> frozenset[str]:
    """Returns the flags as they are compared: in whatever case, without what a server says by itself."""
    return frozenset(flag.lower() for flag in flags) - {"\\recent"}
