"""Groups between their intent and their record: the order of effects that keeps every message exactly once.

Order is important: the intent is in the store before a byte is sent; the record follows the answer; records and the next
intents share one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from shared.errors import ControlRequested, FolderChanged, LeaseLost, MailError, OverQuota
from shared.events import GroupSettled, Listener
from shared.fingerprint import MODULUS
from shared.lifecycle import Control
from shared.mail import Appended, KnownStatus
from shared.model import Intent, Lease, Note, Settled
from shared.rates import Due
from shared.store import WorkStore
from shared.uids import Record, UidSet
from worker.decide import Sent, settled_group

#: Given a group without APPENDUIDs and its intent: source UID → destination UID of what can be seen.
FindUids = Callable[[Intent, Sequence[Sent], UidSet], dict[int, int]]


def stop_on(word: str) -> None:
    """Raises what a person's wish, or a lost lease, means for work under way."""
    if word == "lost":
        raise LeaseLost("the lease ran out, or another worker holds this unit")
    if word != Control.RUN:
        raise ControlRequested(word)


@dataclass
class InFlight:
    """The groups of one batch under one lease."""

    #: The right to write.
    lease: Lease
    #: Where intents and records go.
    store: WorkStore
    #: The destination folder as it was when opened.
    status: KnownStatus
    #: Told of what happened.
    tell: Listener
    #: Used when the destination does not say which UIDs it gave (RFC 4315 missing).
    find_uids: FindUids

    #: Copies of what is sent next get this UID or a higher one.
    uidnext: int = field(init=False)
    #: Everything of this batch that the ledger has, or will have with the next flush.
    records: list[Record] = field(init=False)
    #: Sum of the marks of everything that is in `records`, as the ledger has it.
    digest: int = field(init=False)
    #: Groups that were refused as a whole or in part, with the reason: to be tried in smaller ones.
    refused: list[tuple[list[Sent], MailError]] = field(init=False, default_factory=list)
    #: Messages that the server took with OK and does not show.
    unseen: list[Sent] = field(init=False, default_factory=list)
    #: Messages that the destination took.
    taken: int = field(init=False, default=0)
    #: Whether anything was entered: an attempt with progress is not counted.
    progressed: bool = field(init=False, default=False)
    #: What is owed for what was moved, as the store said last: to be waited for before more is.
    due: Due | None = field(init=False, default=None)
    _pending: list[Settled] = field(init=False, default_factory=list)
    _flying: dict[str, tuple[Intent, list[Sent]]] = field(init=False, default_factory=dict)
    _count: int = field(init=False, default=0)
    #: Destination UIDs of what was entered.
    _given: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.uidnext = self.status.uidnext
        self.records = list(self.lease.records)
        self.digest = self.lease.digest

    def intend(self, group: list[Sent], *, moved: bool = True) -> str:
        """Writes the intent for `group`, with the records that are due. `moved`: its bytes go over the line, and are charged
        to the rates. Raises `ControlRequested` when a person said stop: then there is no intent, and nothing may be
        appended."""
        self._count += 1
        intent = Intent(
            intent_id=f"{self.lease.term}.{self._count}",
            uids=UidSet.of(sent.uid for sent in group),
            destination_uidvalidity=self.status.uidvalidity or 0,
            destination_uidnext=self.uidnext,
            size_bytes=sum(sent.size_bytes for sent in group) if moved else 0,
        )
        self._tell_store([intent])
        self._flying[intent.intent_id] = (intent, group)
        return intent.intent_id

    def note_sent(self, token: str, note: Note) -> None:
        """Adds to what is said of a message that was sent alone, when its answer comes."""
        group = self._flying[token][1]
        group[0] = replace(group[0], notes=(*group[0].notes, note))

    def stored(self, answer: Appended) -> list[tuple[Sent, int]]:
        """Which messages an answer says were stored, and under which destination UIDs; [] where it does not say."""
        _, group = self._flying[str(answer.token)]
        return list(zip((group[n] for n in answer.stored), map(int, answer.uids or ()), strict=False))

    def enter(self, answer: Appended) -> None:
        """What one answer means for the ledger. Raises the error of a refusal that concerns more than the messages."""
        intent, group = self._flying.pop(str(answer.token))
        stored = [group[n] for n in answer.stored]
        if answer.uidvalidity is not None and not self.status.same_uids(answer.uidvalidity):
            raise FolderChanged(
                "destination", "APPENDUID names another UIDVALIDITY: the folder was made anew meanwhile"
            )
        given = answer.uids or ()
        if len(set(given)) < len(given) or not self._given.isdisjoint(given):
            answer = replace(answer, uids=None)  # a number that was given to another message is nobody's
        if stored and answer.uids is None:
            pairs = self.find_uids(intent, stored, self.entered)
            self.unseen += [sent for sent in stored if sent.uid not in pairs]
            stored = [sent for sent in stored if sent.uid in pairs]
            uids = [pairs[sent.uid] for sent in stored]
        else:
            uids = list(map(int, answer.uids or ()))
        self._given.update(uids)
        if uids:
            self.uidnext = max(self.uidnext, max(uids) + 1)
        self.taken += len(stored)
        self.add(settled_group(intent.intent_id, stored, uids))
        refused: dict[int, tuple[list[Sent], MailError]] = {}
        for position, error in answer.refused.items():
            if not isinstance(error, MailError):
                raise error
            refused.setdefault(id(error), ([], error))[0].append(group[position])
        self.refused += refused.values()

    def stop_when_full(self) -> None:
        """Raises the refusal of a group for want of room: there is none for what follows either."""
        for _, error in self.refused:
            if isinstance(error, OverQuota):
                raise error

    def add(self, settled: Settled) -> None:
        """To be entered with the next round trip."""
        self._pending.append(settled)
        self.records.extend(settled.records)
        self.digest = (self.digest + settled.digest) % MODULUS

    @property
    def entered(self) -> UidSet:
        """Destination UIDs that are on their way into the ledger."""
        ranges = [f"{a}:{b}" for s in self._pending for r in s.records for a, b in r.destination.ranges]
        return UidSet.parse(",".join(ranges))

    def flush(self) -> None:
        """Enters everything that was answered."""
        if self._pending:
            self._tell_store([])

    def ask(self) -> Due | None:
        """What is owed by now; everything that was answered is entered with the question."""
        self._tell_store([])
        return self.due

    def take(self) -> list[Settled]:
        """What was answered and is still to be entered; the caller does that, and calls `note`."""
        settled, self._pending = self._pending, []
        return settled

    def _tell_store(self, intents: list[Intent]) -> None:
        settled = self.take()
        said = self.store.progress(self.lease, settled=settled, intents=intents)
        self.note(settled)
        self.due = said.due
        if intents:
            stop_on(said.word)

    def note(self, settled: Sequence[Settled]) -> None:
        """The store has these: tells who listens."""
        for entry in settled:
            copied = sum(len(record.source) for record in entry.records)
            if copied:
                self.tell(GroupSettled(outcome=entry.outcome, messages=copied, size_bytes=entry.size_bytes))
            for outcome, uids in entry.others.items():
                self.tell(GroupSettled(outcome=outcome, messages=len(uids), size_bytes=0))
            self.progressed |= bool(copied or entry.others)

    def adopt(self, records: Sequence[Record], digest: int) -> None:
        """What the ledger has of this batch after looking (`worker.settle`)."""
        self.records, self.digest = list(records), digest
        self.progressed = True
