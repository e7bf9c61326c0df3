"""Carries flag changes made at the source since the last pass to the destination.

It goes by CONDSTORE (RFC 7162) where the source has it, otherwise by comparison with the flags that were kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.mail import MailDestination, MailSource
from shared.model import Folder, FolderPlan, Lease, Settled
from shared.model.errors import AnswerUnreadable, FolderRefused, ServerRefused
from shared.model.uids import UidSet
from shared.runtime.logs import get_logger
from shared.store import WorkStore
from worker.copying.flag_completion import complete_flags
from worker.decisions.flag_changes import FlagsSeen, flag_changes, later, translated
from worker.decisions.permanent_flags import settable_flags

_log = get_logger("mailhaul.worker")


class FlagSync:
    """Carries flags under one lease, between two signed-in sessions with the source folder open."""

    def __init__(self, lease: Lease, store: WorkStore, source: MailSource, destination: MailDestination) -> None:
        self._lease, self._store, self._source, self._destination = lease, store, source, destination

    def read(self, uids: UidSet, changed_since: int | None = None) -> dict[str, UidSet]:
        """Returns flags → UIDs as the source shows them now.

        They are those of all these messages, or of those that changed since a mod-sequence.
        """
        seen = FlagsSeen()
        # One message with unreadable flags does not hold back those of the others; copying that message tells what is
        # wrong.
        with contextlib.suppress(AnswerUnreadable):
            for uid, flags in self._source.flags(uids, changed_since=changed_since):
                seen.add(uid, flags)
        return seen.by_flags()

    def known(self, plan: FolderPlan, low: int, *, fresh: bool) -> dict[str, UidSet]:
        """Returns the flags of all messages of a folder that was listed from UID `low` on.

        They are those that the listing told, beside those that were kept before. The source is asked where its listing
        told none.
        """
        told = dict(plan.flags or {})
        if not told:
            with contextlib.suppress(ServerRefused):  # flags that a server refuses hold no message back
                told = self.read(UidSet.span(low, max(low, plan.folder.uidnext - 1)))
        return told if fresh else later(self._store.flags(plan.folder.folder_id), told)

    def carry(self, folder: Folder, modseq: int, before: Folder, changed_since: int | None) -> None:
        """Sets and clears those flags at the destination that were set and cleared at the source since the last pass.

        `changed_since` is the mod-sequence of that pass, None without CONDSTORE; `modseq` is the present one.
        """
        old = UidSet.span(1, before.uidnext - 1)
        kept = self._store.flags(folder.folder_id)
        now = self.read(old, changed_since)
        if kept or changed_since is not None:
            self._change(folder, kept, now, old)
        self._store.set_flags(self._lease, folder.folder_id, modseq, later(kept, now))

    def complete(
        self, folder: Folder, recognised: Sequence[Settled], now: Mapping[str, UidSet], followed: UidSet
    ) -> None:
        """Sets those flags of copies found at the destination that the source shows and they lack; clears none.

        It is unknown which flags such a copy was given: who read or flagged the message at the source since wants to see that, and
        what else the copy has may be the work of people at the destination. Of the copies `followed` another import of
        ours knows it: what they lack, people cleared. A destination that refuses all this holds nothing back.
        """
        to = {
            int(s): int(d)
            for one in recognised
            for record in one.records
            for s, d in record.pairs()
            if d not in followed
        }
        want = {to[uid]: text.split() for text, uids in now.items() if text for uid in uids if uid in to}
        if not want:
            return
        try:
            permanent = self._destination.open(folder.destination_name).permanent_flags
            complete_flags(self._destination, permanent, want)
        except (ServerRefused, FolderRefused) as error:
            _log.warning("flags_not_completed", messages=len(want), reason=str(error))

    def _change(self, folder: Folder, kept: dict[str, UidSet], now: dict[str, UidSet], old: UidSet) -> None:
        changes = list(flag_changes(kept, now, old))
        if not changes:
            return
        ledger = self._store.ledger(folder.folder_id)
        to = {int(s): int(d) for entry in ledger for record in entry.records for s, d in record.pairs()}
        known = translated(changes, to)
        permanent = self._destination.open(folder.destination_name).permanent_flags if known else frozenset()
        self._destination.store_flags(
            replace(change, add=settable_flags(change.add, permanent), remove=settable_flags(change.remove, permanent))
            for change in known
        )
