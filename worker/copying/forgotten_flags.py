"""Sets the flags that the destination forgot when messages were appended with them (Exchange forgets \\Flagged).

A server that kept a flag once is believed from then on: that costs one FETCH for each flag and worker process. Where it
forgets a flag, each batch sets it by STORE before it is closed; a batch whose worker died before that is claimed again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from shared.mail import FlagChange, KnownStatus, MailDestination
from shared.model import Lease
from shared.model.errors import FolderRefused, ServerRefused
from shared.model.uids import Record, UidSet
from shared.runtime.logs import get_logger
from shared.store import WorkStore

_log = get_logger("mailhaul.worker")

#: Most copies that are looked at for a flag of which it is unknown whether the server keeps it.
SAMPLE: Final = 20


class ForgottenFlags:
    """The system flags of one batch's copies. Not reused."""

    def __init__(self, lease: Lease, store: WorkStore, destination: MailDestination) -> None:
        self._lease, self._store, self._destination = lease, store, destination
        self._memory = destination.kept_flags
        #: Flags of this batch's messages that the server is not known to keep, in small letters.
        self._open: frozenset[str] = frozenset()

    def sent(self, flags: Iterable[str]) -> None:
        """Notes that a message goes with these flags."""
        self._open |= self._memory.open(flags)

    def see_to(self, status: KnownStatus, records: Iterable[Record]) -> None:
        """Looks whether the batch's copies have their flags, and sets what the server forgot. The folder is open.

        A server that refuses this holds nothing back.
        """
        # An earlier holder of the batch may have sent what this one did not, and died before it saw to the flags.
        if self._lease.records and self._memory.forgotten:
            self._open |= self._memory.forgotten
        if not self._open - self._memory.kept:
            return
        copies = self._copies(records)
        settable = {flag.lower() for flag in status.permanent_flags}
        try:
            forgotten = {flag for flag in sorted(copies) if self._forgets(flag, copies[flag])}
            self._destination.store_flags(
                FlagChange(uids=copies[flag], add=(flag,))
                for flag in sorted(forgotten)
                if not settable or flag in settable
            )
        except (ServerRefused, FolderRefused) as error:
            _log.warning("flags_not_completed", messages=sum(map(len, copies.values())), reason=str(error))

    def _copies(self, records: Iterable[Record]) -> dict[str, UidSet]:
        """Returns flag → destination UIDs of the copies that were sent with it."""
        to = {int(s): int(d) for record in records for s, d in record.pairs()}
        found: defaultdict[str, set[int]] = defaultdict(set)
        for text, uids in self._store.flags(self._lease.unit.folder_id).items():
            for flag in {one.lower() for one in text.split()} & self._open:
                found[flag] |= {to[uid] for uid in uids if uid in to}
        return {flag: UidSet.of(uids) for flag, uids in found.items() if uids}

    def _forgets(self, flag: str, copies: UidSet) -> bool:
        if flag in self._memory.forgotten:
            return True
        some = UidSet.of(list(copies)[-SAMPLE:])
        shown = [{one.lower() for one in flags} for _, flags in self._destination.flags(some)]
        if any(flag in flags for flags in shown):
            self._memory.keeps(flag)
        elif shown:
            self._memory.forgets(flag)
        return flag in self._memory.forgotten
