"""The groups between their intent and their record: the order of effects that keeps every message exactly once.

The order is important: the intent is in the store before a byte is sent, the record follows the answer, and records and
the next intents share one round trip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from shared.content.fingerprint import MODULUS
from shared.mail import Appended, KnownStatus
from shared.model import Intent, Lease, Note, Settled
from shared.model.errors import ControlRequested, FolderChanged, LeaseLost, MailError, OverQuota
from shared.model.events import GroupSettled, Listener
from shared.model.lifecycle import Wish
from shared.model.rates import Due
from shared.model.sides import Side
from shared.model.uids import Record, UidSet
from shared.store import WorkStore
from shared.wording.phrases import Phrase
from worker.decisions.ledger_entries import settled_group
from worker.decisions.sent import Sent

LEASE_RAN_OUT_OR_UNIT_TAKEN_OVER: Final = Phrase(
    "lease_ran_out_or_unit_taken_over", "the lease ran out, or another worker holds this unit"
)
APPENDUID_NAMES_ANOTHER_UIDVALIDITY: Final = Phrase(
    "appenduid_names_another_uidvalidity", "APPENDUID names another UIDVALIDITY: the folder was made anew meanwhile"
)

#: A function from an intent and its group, answered without APPENDUIDs, to source UID → destination UID of what can be
#: seen.
FindUids = Callable[[Intent, Sequence[Sent], UidSet], dict[int, int]]

_One = TypeVar("_One")


def stop_on(wish: Wish) -> None:
    """Raises the error that a wish other than to go on stands for: a lost lease, or what the operator wants."""
    if wish is Wish.LOST:
        raise LeaseLost(LEASE_RAN_OUT_OR_UNIT_TAKEN_OVER.says())
    if wish is not Wish.RUN:
        raise ControlRequested(wish)


def announce(settled: Iterable[Settled], tell: Listener) -> bool:
    """Reports entries that the store now has. Returns whether they bring any message to an outcome."""
    progressed = False
    for entry in settled:
        copied = sum(len(record.source) for record in entry.records)
        if copied:
            tell(GroupSettled(outcome=entry.outcome, messages=copied, size_bytes=entry.size_bytes))
        for outcome, uids in entry.others.items():
            tell(GroupSettled(outcome=outcome, messages=len(uids), size_bytes=0))
        progressed |= bool(copied or entry.others)
    return progressed


def while_wanted(wish: Callable[[], Wish], read: Iterable[_One]) -> Iterator[_One]:
    """Yields what is read, and raises as `stop_on` before each item: for reading that may take hours."""
    for one in read:
        stop_on(wish())
        yield one


@dataclass
class InFlight:
    """The groups of one batch under one lease."""

    #: The lease, which is the right to write.
    lease: Lease
    #: The store that takes intents and records.
    store: WorkStore
    #: The destination folder as it was when opened.
    status: KnownStatus
    #: The listener for events.
    tell: Listener
    #: Finds the UIDs when the destination does not say which it gave (RFC 4315 missing).
    find_uids: FindUids

    #: The lowest UID that a copy of what is sent next can get.
    uidnext: int = field(init=False)
    #: Every record of this batch that the ledger has, or will have with the next flush.
    records: list[Record] = field(init=False)
    #: The sum of the marks of everything in `records`, as the ledger has it.
    digest: int = field(init=False)
    #: Groups that were refused as a whole or in part, with the reason; they are tried again in smaller groups.
    refused: list[tuple[list[Sent], MailError]] = field(init=False, default_factory=list)
    #: Messages that the server took with OK and does not show.
    unseen: list[Sent] = field(init=False, default_factory=list)
    #: Number of messages that the destination took.
    taken: int = field(init=False, default=0)
    #: Whether anything was entered: an attempt with progress is not counted.
    progressed: bool = field(init=False, default=False)
    #: The debt that the store last stated for the moved bytes; it is waited for before more is moved.
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
        """Writes the intent for `group`, with the records that are due.

        `moved`: its bytes go over the line, and are charged to the rates. Raises `ControlRequested` when an operator
        said stop: then there is no intent, and nothing may be appended.
        """
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

    @property
    def unanswered(self) -> int:
        """The number of groups of which no answer was entered yet."""
        return len(self._flying)

    def note_sent(self, token: str, note: Note) -> None:
        """Adds a note to a message that was sent alone; it is entered when the answer comes."""
        group = self._flying[token][1]
        group[0] = replace(group[0], notes=(*group[0].notes, note))

    def stored(self, answer: Appended) -> list[tuple[Sent, int]]:
        """Returns the messages that an answer says were stored, with their destination UIDs; [] where it does not say."""
        _, group = self._flying[str(answer.token)]
        return list(zip((group[n] for n in answer.stored), map(int, answer.uids or ()), strict=False))

    def enter(self, answer: Appended) -> None:
        """Enters what one answer means for the ledger.

        Raises the error of a refusal that concerns more than the messages.
        """
        intent, group = self._flying.pop(str(answer.token))
        stored = [group[n] for n in answer.stored]
        if answer.uidvalidity is not None and not self.status.same_uids(answer.uidvalidity):
            raise FolderChanged(Side.DESTINATION, APPENDUID_NAMES_ANOTHER_UIDVALIDITY.says())
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
        """Raises the refusal of a group for want of room: there is no room for what follows either."""
        for _, error in self.refused:
            if isinstance(error, OverQuota):
                raise error

    def add(self, settled: Settled) -> None:
        """Adds an entry that goes to the ledger with the next round trip."""
        self._pending.append(settled)
        self.records.extend(settled.records)
        self.digest = (self.digest + settled.digest) % MODULUS

    @property
    def entered(self) -> UidSet:
        """The destination UIDs that are on their way into the ledger."""
        ranges = [f"{a}:{b}" for s in self._pending for r in s.records for a, b in r.destination.ranges]
        return UidSet.parse(",".join(ranges))

    def flush(self) -> None:
        """Enters everything that was answered."""
        if self._pending:
            self._tell_store([])

    def ask(self) -> Due | None:
        """Returns what is owed by now; everything that was answered is entered with the question."""
        self._tell_store([])
        return self.due

    def take(self) -> list[Settled]:
        """Removes and returns the entries that are still to go to the ledger; the caller enters them and calls `note`."""
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
        """Reports entries that the store now has to the listener."""
        self.progressed |= announce(settled, self.tell)

    def adopt(self, records: Sequence[Record], digest: int) -> None:
        """Takes over what the ledger has of this batch after looking (`worker.copying.recovery`)."""
        self.records, self.digest = list(records), digest
        self.progressed = True
