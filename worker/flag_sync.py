"""Copies flag changes made at the source since the last pass: by CONDSTORE (RFC 7162) where the source has it,
otherwise by comparison with the flags that were kept."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator

from shared.errors import AnswerUnreadable
from shared.mail import MailDestination, MailSource
from shared.model import Folder, Lease
from shared.store import WorkStore
from shared.uids import Uid, UidSet
from worker.decide import kept_flags


class FlagSync:
    """Carries flags under one lease, between two signed-in sessions with the source folder open."""

    def __init__(self, lease: Lease, store: WorkStore, source: MailSource, destination: MailDestination) -> None:
        self._lease, self._store, self._source, self._destination = lease, store, source, destination

    def keep(self, folder: Folder) -> None:
        """Keeps the present flags for a later pass to compare with; used where the source has no CONDSTORE."""
        self._store.set_flags(self._lease, folder.folder_id, 0, self._now(folder))

    def _now(self, folder: Folder) -> dict[str, UidSet]:
        seen: dict[str, list[int]] = defaultdict(list)
        for uid, flags in self._read(UidSet.span(1, max(1, folder.uidnext - 1))):
            seen[" ".join(sorted(flags))].append(uid)
        return {flags: UidSet.of(uids) for flags, uids in seen.items()}

    def _read(self, uids: UidSet, changed_since: int | None = None) -> Iterator[tuple[Uid, tuple[str, ...]]]:
        # One message with unreadable flags does not hold back those of the others; copying that message tells what is
        # wrong.
        with contextlib.suppress(AnswerUnreadable):
            yield from self._source.flags(uids, changed_since=changed_since)

    def carry(self, folder: Folder, modseq: int, before: Folder, changed_since: int | None) -> None:
        """Sets those flags at the destination that changed at the source since the last pass. `changed_since` is the
        mod-sequence of that pass, None without CONDSTORE; `modseq` is the present one."""
        old = UidSet.span(1, before.uidnext - 1)
        seen: dict[str, UidSet] | None = None
        changed: dict[str, list[int]] = defaultdict(list)
        if changed_since is not None:
            for uid, flags in self._read(old, changed_since):
                changed[" ".join(sorted(flags))].append(uid)
        else:
            seen = self._now(folder)
            kept = self._store.flags(folder.folder_id)
            for text, uids in seen.items():
                if kept and (differ := (uids & old) - kept.get(text, UidSet())):
                    changed[text].extend(differ)
        if changed:
            self._set_flags(folder, changed)
        self._store.set_flags(self._lease, folder.folder_id, modseq, seen)

    def _set_flags(self, folder: Folder, changed: dict[str, list[int]]) -> None:
        to = {
            s: d
            for entry in self._store.ledger(folder.folder_id)
            for record in entry.records
            for s, d in record.pairs()
        }
        permanent = self._destination.open(folder.destination_name).permanent_flags
        changes = []
        for text, uids in changed.items():
            known = UidSet.of(to[uid] for uid in uids if uid in to)  # type: ignore[index]
            if known:
                changes.append((known, kept_flags(text.split(), permanent)[0]))
        self._destination.store_flags(changes)
