"""The nouns that the store hands to workers: units, leases, intents, plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from shared.model.folders import Folder
from shared.model.ledger import Settled
from shared.model.lifecycle import UnitState, Wish
from shared.model.rates import Due
from shared.model.requests import Mailbox
from shared.model.uids import NO_UIDS, Record, UidSet
from shared.nouns import dataclass


class UnitKind(StrEnum):
    """The kinds of units."""

    PLAN = "plan"
    COPY = "copy"
    VERIFY = "verify"
    LOOK = "look"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A piece of work that a worker may claim: a mailbox's plan, one batch, a mailbox's verification, or a look at it."""

    #: Stable: planning twice makes the same ids.
    unit_id: str
    #: The kind of the unit.
    kind: UnitKind
    #: The mailbox.
    mailbox_id: str
    #: The folder of a batch; "" for other kinds.
    folder_id: str = ""
    #: A batch's source UIDs, under `Folder.uidvalidity`.
    uids: UidSet = UidSet()
    #: Bytes of a batch, as the source says.
    size_bytes: int = 0
    #: Age band of a batch's messages (`shared.rules.age_bands`), 0 for the youngest: the lower it is, the earlier it is claimed.
    band: int = 0
    #: Its state.
    state: UnitState = UnitState.WAITING
    #: The number of claims that did not finish it; throttles and pauses do not count.
    attempts: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """The note of messages that are about to be appended, stored before a byte is sent."""

    #: Number within the unit's term, ascending.
    intent_id: str
    #: Source UIDs of the group.
    uids: UidSet
    #: UIDVALIDITY of the destination folder.
    destination_uidvalidity: int
    #: UIDNEXT of the destination folder: copies of this group have this UID or a higher one.
    destination_uidnext: int
    #: When the intent was written, by the store's clock, seconds since the epoch.
    at: float = 0.0
    #: Bytes of the group, as they are charged to the rates (`shared.model.rates`).
    size_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbour:
    """Another mailbox, of this or another import, that was planned into the same destination mailbox."""

    #: The mailbox.
    mailbox_id: str
    #: Whether its mail comes from the same source account: then its ledger holds for the same source UIDs here.
    same_source: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The time-bounded right to work on one unit."""

    #: The unit, as it stood when claimed.
    unit: Unit
    #: The holder: worker process and lane.
    holder: str
    #: The number that grows with every claim; the store refuses an older one.
    term: int
    #: The end of the lease by the local monotonic clock, seconds: nothing may be begun after it.
    deadline: float
    #: When the unit was claimed, by the store's clock, seconds since the epoch.
    claimed_at: float = 0.0
    #: The mailbox, as it stood when claimed.
    mailbox: Mailbox
    #: The folder of a batch; None for other units.
    folder: Folder | None = None
    #: The batch's records in the ledger so far.
    records: tuple[Record, ...] = ()
    #: Source UIDs of this batch that got an outcome without a copy.
    others: UidSet = UidSet()
    #: Digest of the batch so far.
    digest: int = 0
    #: Intents that an earlier holder left open: the worker looks for their copies before it appends again.
    intents: tuple[Intent, ...] = ()
    #: The debt of a batch's accounts or hosts: the worker waits for it before it moves anything.
    due: Due | None = None
    #: The highest range of destination UIDs in the folder's ledger; (0, 0) for none.
    last_taken: tuple[int, int] = (0, 0)
    #: The other mailboxes that were planned into the destination mailbox, as far as the store knows.
    neighbours: tuple[Neighbour, ...] = ()
    #: The number of batches of the folder that may be at work at once, and of those that are or may be claimed now.
    writers: int = 1
    heads: int = 1
    #: Whether the folder had several writers, and has one until it is drained: others may have left intents.
    alone: bool = False
    #: Messages of a batch's folder that have no outcome.
    folder_pending: int = 0
    #: Whether the store was started again since the mailbox was planned: records of what stands there may be lost.
    restarted: bool = False

    @property
    def remaining(self) -> UidSet:
        """The source UIDs of the batch that had no outcome when it was claimed."""
        done = self.others
        for record in self.records:
            done |= record.source
        return self.unit.uids - done


@dataclass(frozen=True, kw_only=True, slots=True)
class Writing:
    """The mail that other lanes than the asking one bring into a folder at one moment."""

    #: Destination UIDs in the folder's ledger.
    taken: UidSet
    #: Open intents of lanes that are at work.
    live: tuple[Intent, ...]
    #: Open intents that earlier holders left to batches of the folder.
    left: tuple[Intent, ...]

    @property
    def beginning(self) -> int | None:
        """Returns the lowest destination UID that an open intent may have brought; None where none is open."""
        return min((intent.destination_uidnext for intent in (*self.live, *self.left)), default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressReply:
    """The store's answer to a worker's progress."""

    #: The wish for the lane. When it is not `Wish.RUN`, no new intent was written and nothing may be appended.
    word: Wish
    #: The debt now, the new intents included: the worker waits for it before it moves more.
    due: Due | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stranded:
    """The part of an import that waits for leases of silent workers to expire."""

    #: Units under leases of silent workers.
    units: int = 0
    #: Messages without an outcome in the folders of these units: other batches of a folder may wait for them.
    messages: int = 0
    #: The time until the last of these leases expires, seconds.
    seconds: float = 0.0


class WaitKind(StrEnum):
    """The kinds of what an import waits for."""

    #: Its hours.
    WINDOW = "window"
    #: Mail that was sent before and may still arrive.
    SETTLE = "settle"
    #: Room in full mailboxes.
    ROOM = "room"
    #: The destination mailbox, which another mailbox has.
    DESTINATION = "destination"
    #: The same, and the other mailbox is paused.
    DESTINATION_PAUSED = "destination_paused"
    #: The state store, which takes no writes.
    STORE = "store"
    #: A worker: none is running.
    WORKERS = "workers"
    #: A server that does not answer.
    SOURCE_SERVER = "source_server"
    DESTINATION_SERVER = "destination_server"
    #: A rate that is set and used up.
    RATE = "rate"
    #: A wave that has not begun, is paused, or is outside of its hours.
    WAVE_START = "wave_start"
    WAVE_PAUSED = "wave_paused"
    WAVE_HOURS = "wave_hours"
    #: A scope (`Scope`) that a server asked to leave alone.
    SOURCE_ACCOUNT = "source_account"
    SOURCE_HOST = "source_host"
    DESTINATION_ACCOUNT = "destination_account"
    DESTINATION_HOST = "destination_host"

    @property
    def is_of_account(self) -> bool:
        """Tells whether it is about one account of several."""
        return self in (WaitKind.SOURCE_ACCOUNT, WaitKind.DESTINATION_ACCOUNT)

    @property
    def is_of_wave(self) -> bool:
        """Tells whether it is about a wave."""
        return self in (WaitKind.WAVE_START, WaitKind.WAVE_PAUSED, WaitKind.WAVE_HOURS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """A wait of an import that ends by itself and is no failure."""

    #: The kind of what it waits for.
    what: WaitKind
    #: The host ("mail.example.org:993" of a server that does not answer), the account ("imaps://host:993/login"), or
    #: the destination login, or the wave; "" for other
    #: waits.
    key: str = ""
    #: The end of the wait, or the next try, by the store's clock, seconds since the epoch; 0 where it is not known yet.
    until: float = 0.0
    #: The beginning of the wait, seconds since the epoch; 0 where it is not known.
    since: float = 0.0
    #: The reason: the hours as given, the server's words, or the holder of the destination (`Mailbox.behind`).
    why: str = ""
    #: The number of mailboxes that are known to wait for this; 0 where it concerns all that go there.
    mailboxes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The shared state in numbers, for the coordinator."""

    #: Mailboxes that could be served now, if a lane were free.
    ready_mailboxes: int
    #: Units that a lane could claim now.
    ready_units: int
    #: Units that wait until they are due.
    delayed_units: int
    #: Units under a lease.
    leased_units: int
    #: Worker processes that sent a heartbeat in the last 30 s.
    workers: int
    #: Imports by state.
    imports: Mapping[str, int] = field(default_factory=dict)
    #: Scopes on hold → until when, seconds since the epoch.
    holds: Mapping[str, float] = field(default_factory=dict)
    #: Mailboxes that wait for their destination, since another mailbox has it.
    behind: int = 0
    #: Scopes that owe more (`shared.model.rates`) than a lane waits for with its connection open → until when, seconds since
    #: the epoch.
    owing: Mapping[str, float] = field(default_factory=dict)
    #: Complete mailboxes whose look is due, and that may be looked at now.
    looks_due: int = 0
    #: Since when the first of them is due, seconds since the epoch; 0 for none.
    looks_due_since: float = 0.0
    #: Lanes of these workers that have a unit under a lease.
    busy_lanes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderPlan:
    """A folder as it enters the store: its new snapshot, and what there is to do."""

    #: The folder with the snapshot's numbers.
    folder: Folder
    #: Batches of UIDs that have no outcome yet.
    batches: tuple[Unit, ...] = ()
    #: Messages that the snapshot adds.
    messages: int = 0
    #: Bytes of these messages.
    size_bytes: int = 0
    #: The messages that were found at the destination already.
    adopted: tuple[Settled, ...] = ()
    #: All source UIDs of the folder that the request leaves out, by reason; None: no change since the last pass.
    skipped: Mapping[str, UidSet] | None = None
    #: Bytes of messages that are skipped now and were not before, less the bytes of those that are no longer skipped.
    skipped_bytes: int = 0
    #: Messages that the source counts and does not show now; None: no change since the last pass.
    withheld: int | None = None
    #: Source UIDs of the messages that were called vanished, and that the snapshot adds once more: their notes go.
    shown_again: UidSet = NO_UIDS
    #: Flags → UIDs of all messages as the source showed them last; None: no change since the last pass.
    flags: Mapping[str, UidSet] | None = None
    #: Whether the ledger so far is void (UIDVALIDITY changed on a side): it is forgotten, with its counts.
    reset: bool = False
    #: Whether the user removed the destination folder: the ledger's destination UIDs are forgotten, its counts stay, and
    #: all of `Folder.taken_away` counts as removed.
    let_go: bool = False
    #: Digests of ledger entries of which copies were moved away, by name: without the marks of these.
    digests: Mapping[str, int] = field(default_factory=dict)
