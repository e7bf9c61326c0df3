"""The lanes that copy into one folder beside each other, as the lane at one of its batches sees them.

How that stays exact: docs/decisions/7-several-writers.md. The pace of the destination decides when a folder gets more
writers than one (`worker.decisions.shares`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from shared.mail import MailDestination
from shared.model import Lease, Writing
from shared.model.protocols import protocol_of
from shared.model.uids import NO_UIDS, UidSet
from shared.runtime.logs import get_logger
from shared.store.ports.folder_writers import WriterStore
from worker.decisions.closing import Divided
from worker.decisions.shares import Widening

#: The messages that are asked for ahead of the decision who copies them, and their bytes as the average of the batch has it.
COMING_MESSAGES: Final = 100
COMING_BYTES: Final = 1 << 20

_log = get_logger("mailhaul.worker")


class FolderWriters:
    """The writers of the folder of one batch under one lease. Not reused."""

    def __init__(
        self,
        lease: Lease,
        store: WriterStore,
        rules: Widening,
        *,
        ring: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes `ring`, which calls one lane more: one for each writer, since a worker may hold a bell that no lane of it hears."""
        self._lease, self._store, self._rules, self._ring, self._clock = lease, store, rules, ring, clock
        self._writers = lease.writers
        #: Whether other lanes may write into the folder now. Once they may, they may until this batch ends.
        self.shared = lease.writers > 1 or lease.heads > 1
        #: The most messages of a group now, so that answers come often enough to measure by; 0: as ever.
        self.group_messages = self._shared_group = rules.slow_group if self.shared else 0
        #: Whether an answer named no UIDs: then only one lane can tell which copies are its own.
        self.untold = False
        #: When the last answer came that another group followed, and the seconds and messages between such an answer and the next.
        self._last: float | None = None
        self._busy, self._taken = 0.0, 0
        #: The part that comes next if the pace allows it.
        self._rest = NO_UIDS

    @property
    def asks(self) -> bool:
        """Tells whether the store is asked what other lanes have on the wire, or left there before the folder was narrowed."""
        return self.shared or self._lease.alone

    @property
    def fill_gaps(self) -> bool:
        """Tells whether UIDs between those of this lane's copies are other lanes', and no stranger's."""
        return self.asks

    def writing(self) -> Writing:
        """Returns what other lanes write; the folder was opened before."""
        return self._store.writing(self._lease)

    def _may_widen(self, destination: MailDestination) -> bool:
        return (
            self._rules.most > 1
            and not self.shared
            and "UIDPLUS" in destination.capabilities
            and not protocol_of(self._lease.mailbox.source.endpoint).one_session
        )

    def first_part(self, remaining: UidSet, destination: MailDestination) -> UidSet:
        """Returns what is copied before the pace is looked at: the source is asked ahead for this and no more."""
        if not self._may_widen(destination):
            return remaining
        fresh = self._lease.last_taken == (0, 0)
        first = self._rules.probe(len(remaining), self._lease.folder_pending, fresh=fresh)
        return remaining.take(first)[0] if first else remaining

    def parts(self, remaining: UidSet, destination: MailDestination, alone: Callable[[], bool]) -> Iterator[UidSet]:
        """Yields the parts in which a batch is copied, and widens the folder where its pace asks for that.

        `alone` tells whether something other than the pace demands one writer. Raises `Divided` when the rest of the
        batch is to be shared out.
        """
        rules, may, pending = self._rules, self._may_widen(destination), self._lease.folder_pending
        here = self.first_part(remaining, destination)
        self._rest = rest = remaining - here
        self.group_messages = rules.probe_group if rest else self._shared_group
        yield here
        self._rest = NO_UIDS
        self.group_messages = self._shared_group
        pending -= len(here)
        writers = rules.writers(pending, self._pace()) if may else 1
        if writers > 1 and pending > rules.share_messages and not (self.untold or alone()):
            self._widen(writers)
            if len(shares := rules.shares(rest, pending, self._writers)) > 1:
                raise Divided(shares, lanes=self._writers)
            for _ in range(self._writers):
                self._ring()
        if rest:
            yield rest

    @property
    def has_rest(self) -> bool:
        """Tells whether the batch goes on after the part at hand, in this lane or in several."""
        return bool(self._rest)

    def coming(self) -> UidSet:
        """Returns what the source may be asked for while the pace is looked at: the first messages of the next part.

        They are few, since they come for nothing where the pace makes them other lanes' work.
        """
        unit = self._lease.unit
        if not unit.size_bytes:
            return NO_UIDS
        return self._rest.take(min(COMING_MESSAGES, COMING_BYTES * len(unit.uids) // unit.size_bytes))[0]

    def answered(self, messages: int, *, followed: bool, waited: bool) -> None:
        """Notes that the destination took so many messages just now.

        `followed`: another group is on its way already. What comes after an answer that no group followed took a round trip, too,
        and says nothing of the pace; nor does a group of which a literal `waited`, as it does once.
        """
        now = self._clock()
        if self._last is not None and not waited:
            self._taken += messages
            self._busy += now - self._last
        self._last = now if followed else None

    def _pace(self) -> float:
        """Returns the seconds a message while the destination had work; 0 where there were too few answers to tell."""
        return self._busy / self._taken if self._taken else 0.0

    def _widen(self, writers: int) -> None:
        # Before the store is told: the others may begin before its answer comes.
        self.shared = True
        self._writers = self._store.widen(self._lease, writers)
        _log.info("folder_widened", writers=self._writers)

    def narrow(self) -> None:
        """Lets the folder have one writer until it is done: the server's answers do not tell the lanes' copies apart."""
        _log.warning("folder_narrowed")
        self._writers = self._store.widen(self._lease, 0)
