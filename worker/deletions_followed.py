"""Follows deletions at the source: removes the copies of messages that are no longer there, where the operator asked for it.

Only copies that we made, that stand where we put them, and whose flags are still those that the source showed last:
whatever a user touched at the destination stays. What is about to be removed is stored first (`Folder.deleted_too`), so
that a later holder knows why a copy is gone, and removes what is still there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from shared.errors import FolderRefused, ServerRefused
from shared.events import DeletionsFollowed, Listener
from shared.mail import MailDestination
from shared.model import Folder, Lease, Options
from shared.store import WorkStore
from shared.uids import UidSet
from worker.decide import kept_flags

_log = structlog.get_logger("mailhaul.worker")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Copies:
    """The copies of one folder that may be removed."""

    #: The folder.
    folder: Folder
    #: Source UID → destination UID.
    pairs: dict[int, int]

    @property
    def new(self) -> UidSet:
        """The source UIDs of those that no pass was about to remove before."""
        return UidSet.of(self.pairs) - self.folder.deleted_too


class DeletionsFollowing:
    """The following of deletions in one verification. Not reused."""

    def __init__(self, lease: Lease, store: WorkStore, destination: MailDestination, tell: Listener) -> None:
        self._lease, self._store, self._destination, self._tell = lease, store, destination, tell

    def run(self, folders: Sequence[Folder], options: Options) -> dict[str, Folder]:
        """Removes the copies, and returns those folders that changed, by id. Raises what the ports raise.

        It removes none where more than the cap would go, where the source shows no message at all any more, where
        other imports bring mail into the same destination, or where the server cannot expunge by UID.
        """
        if options.deletions != "follow" or self._lease.neighbours:
            return {}
        deleted = [folder for folder in folders if folder.deleted]
        if not deleted or not any(folder.source_messages for folder in folders):
            return {}
        if "UIDPLUS" not in self._destination.capabilities:
            _log.warning("deletions_not_followed", reason="the destination has no UIDPLUS")
            return {}
        found = [copies for folder in deleted if (copies := self._copies(folder)).pairs]
        number = sum(len(copies.new) for copies in found)
        if number > options.deletions_cap:
            _log.warning("deletions_not_followed", reason="cap", messages=number, cap=options.deletions_cap)
            found = [replace(one, pairs={u: to for u, to in one.pairs.items() if u not in one.new}) for one in found]
        return {one.folder.folder_id: self._remove(one) for one in found if one.pairs}

    def _copies(self, folder: Folder) -> _Copies:
        """Returns the copies of ours that nobody touched since, of messages that were deleted at the source."""
        ledger = self._store.ledger(folder.folder_id)
        records = (r for entry in ledger if not entry.name.startswith("adopted.") for r in entry.records)
        gone = folder.deleted - folder.accepted - folder.followed
        pairs = {int(uid): int(to) for record in records for uid, to in record.pairs() if uid in gone}
        untouched: dict[int, int] = {}
        with contextlib.suppress(FolderRefused, ServerRefused):
            opened = self._destination.open(folder.destination_name) if pairs else None
            if opened is not None and opened.same_uids(folder.destination_uidvalidity):
                flags = {int(to): _set(told) for to, told in self._destination.flags(UidSet.of(pairs.values()))}
                for text, uids in self._store.flags(folder.folder_id).items():
                    given = _set(kept_flags(tuple(text.split()), opened.permanent_flags)[0])
                    untouched |= {uid: to for uid, to in pairs.items() if uid in uids and flags.get(to) == given}
        return _Copies(folder=folder, pairs=untouched)

    def _remove(self, copies: _Copies) -> Folder:
        folder = replace(copies.folder, deleted_too=copies.folder.deleted_too | copies.new)
        if copies.new:
            self._store.set_deleted_too(self._lease, folder.folder_id, folder.deleted_too)
        self._destination.open(folder.destination_name)
        self._destination.remove(UidSet.of(copies.pairs.values()))
        self._tell(DeletionsFollowed(messages=len(copies.pairs)))
        return folder


def _set(flags: Sequence[str]) -> frozenset[str]:
    """Returns the flags as they are compared: in whatever case, without what a server says by itself."""
    return frozenset(flag.lower() for flag in flags) - {"\\recent"}
