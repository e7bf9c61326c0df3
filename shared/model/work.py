"""What is handed to workers: units, leases, intents, plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.lifecycle import Control, UnitState
from shared.model.folders import Folder
from shared.model.ledger import Settled
from shared.model.requests import Mailbox
from shared.rates import Due
from shared.uids import Record, UidSet


class UnitKind(StrEnum):
    """What a worker may claim."""

    PLAN = "plan"
    COPY = "copy"
    VERIFY = "verify"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """What a worker may claim: a mailbox's plan, one batch, or a mailbox's verification."""

    #: Stable: planning twice makes the same ids.
    unit_id: str
    #: What it is.
    kind: UnitKind
    #: The mailbox.
    mailbox_id: str
    #: The folder of a batch; "" for the others.
    folder_id: str = ""
    #: A batch's source UIDs, under `Folder.uidvalidity`.
    uids: UidSet = UidSet()
    #: Bytes of a batch, as the source says.
    size_bytes: int = 0
    #: Where it stands.
    state: UnitState = UnitState.WAITING
    #: How often it was claimed without being finished; throttles and pauses do not count.
    attempts: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What is about to be appended, written down before a byte is sent."""

    #: Number within the unit's term, ascending.
    intent_id: str
    #: Source UIDs of the group.
    uids: UidSet
    #: UIDVALIDITY of the destination folder.
    destination_uidvalidity: int
    #: UIDNEXT of the destination folder: copies of this group have this UID or a higher one.
    destination_uidnext: int
    #: When it was written, by the store's clock, seconds since the epoch.
    at: float = 0.0
    #: Bytes of the group, as they are charged to the rates (`shared.rates`).
    size_bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbour:
    """Another mailbox, of this or another import, that was planned into the same destination mailbox."""

    #: Which.
    mailbox_id: str
    #: Whether its mail comes from the same source account: then what its ledger says of a source UID holds here too.
    same_source: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """The time-bounded right to work on one unit."""

    #: The unit, as it stood when claimed.
    unit: Unit
    #: Who holds it: worker process and lane.
    holder: str
    #: Grows with every claim; a script refuses an older one.
    term: int
    #: By the local monotonic clock, seconds: nothing may be begun after this.
    deadline: float
    #: When it was claimed, by the store's clock, seconds since the epoch.
    claimed_at: float = 0.0
    #: The mailbox, as it stood when claimed.
    mailbox: Mailbox
    #: The folder of a batch.
    folder: Folder | None = None
    #: What the ledger has of this batch already.
    records: tuple[Record, ...] = ()
    #: Source UIDs of this batch with another outcome.
    others: UidSet = UidSet()
    #: Digest of the batch so far.
    digest: int = 0
    #: Intents that an earlier holder left behind: look before you append.
    intents: tuple[Intent, ...] = ()
    #: What a batch's accounts or hosts owe: to be waited for before anything is moved.
    due: Due | None = None
    #: The last of the ranges of destination UIDs that the folder's ledger has; (0, 0) for none.
    last_taken: tuple[int, int] = (0, 0)
    #: Who else put mail into the destination mailbox, as far as the store knows.
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """What the store says to a worker's progress."""

    #: When it is not `Control.RUN`, no new intent was written and nothing may be appended.
    word: Control
    #: What is owed now, the new intents included: to be waited for before more is moved.
    due: Due | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stranded:
    """What of an import waits for leases of workers that are silent."""

    #: Units under such a lease.
    units: int = 0
    #: Messages without an outcome in their folders: one batch of a folder at a time.
    messages: int = 0
    #: Until the last of these leases has run out, seconds.
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """Something that an import waits for, and that is over by itself: no failure."""

    #: "window" (its hours), "room" (full mailboxes), "destination" (another has the destination mailbox; "destination_paused"
    #: where that one is paused), "store" (the state store takes no writes), "workers" (none is running), "source_server" or
    #: "destination_server" (it does not answer), "rate" (one that is set is used up), or the scope that a server asked to leave
    #: alone: "source_account" …
    what: str
    #: Which host ("mail.example.org:993" of a server that does not answer), which account ("imaps://host:993/login"), or
    #: which destination login; "" for the others.
    key: str = ""
    #: Until when, or when it is tried next, by the store's clock, seconds since the epoch; 0 where nobody knows yet.
    until: float = 0.0
    #: Since when, seconds since the epoch; 0 where nobody knows.
    since: float = 0.0
    #: Why: the hours as given, what the server said, or who has the destination (`Mailbox.behind`).
    why: str = ""
    #: Mailboxes of which this is known; 0 where it is about all that go there.
    mailboxes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The shared state in numbers, for the coordinator."""

    #: Mailboxes that could be served now, if a lane were free.
    ready_mailboxes: int
    #: Units that a lane could claim now.
    ready_units: int
    #: Units that wait for a moment.
    delayed_units: int
    #: Units under a lease.
    leased_units: int
    #: Worker processes heard of in the last 30 s.
    workers: int
    #: Imports by state.
    imports: Mapping[str, int] = field(default_factory=dict)
    #: Scopes on hold, with the moment until which, seconds since the epoch.
    holds: Mapping[str, float] = field(default_factory=dict)
    #: Mailboxes that wait for their destination, since another mailbox has it.
    behind: int = 0
    #: Scopes that owe so much (`shared.rates`) that nobody waits with a connection open, with the moment until which.
    owing: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderPlan:
    """One folder as it enters the store: its new snapshot and what there is to do."""

    #: The folder with the snapshot's numbers.
    folder: Folder
    #: Batches of UIDs that have no outcome yet.
    batches: tuple[Unit, ...] = ()
    #: Messages that the snapshot adds.
    messages: int = 0
    #: Their bytes.
    size_bytes: int = 0
    #: What was found at the destination already.
    adopted: tuple[Settled, ...] = ()
    #: All source UIDs of the folder that the request leaves out, by reason; None: as in the last pass.
    skipped: Mapping[str, UidSet] | None = None
    #: Bytes of what is now skipped and was not before, less those of what was and is no longer.
    skipped_bytes: int = 0
    #: Messages that the source counts and does not show, now; None: as in the last pass.
    withheld: int | None = None
    #: The ledger so far is void (UIDVALIDITY changed on a side): forget it, and its counts.
    reset: bool = False
