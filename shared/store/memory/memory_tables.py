"""The tables of the model in `shared.store.memory.memory_store`: what it keeps of imports, waves, mailboxes, folders and units."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from shared.model import (
    Failure,
    Folder,
    Import,
    Intent,
    Mailbox,
    Moving,
    Note,
    SwitchMarks,
    Unit,
)
from shared.model.ledger import AUDITED
from shared.model.lifecycle import Control, UnitState, Wish
from shared.model.uids import Record, UidSet, without_sources
from shared.rules.standing import Standing


@dataclass(slots=True)
class UnitRow:
    """A unit that is not finished."""

    unit: Unit
    order: int
    messages: int = 0
    #: Messages that got an outcome, and how many of them had one when the unit was claimed.
    done: int = 0
    began: int = 0
    term: int = 0
    holder: str = ""
    #: When the last lease ended that left an intent, ms.
    ended: int = 0
    #: Whether the holder made a call under this term.
    used: bool = False
    #: The wish that makes the holder give way: to a mailbox that was moved, a plan, or an import that has less than its share.
    yields: Wish = Wish.RUN
    #: The line that it was given to when it was claimed.
    lane_of: str = ""
    others: UidSet = UidSet()
    intents: dict[str, Intent] = field(default_factory=dict)

    def live(self) -> list[Intent]:
        """Returns the open intents of the lane that is at work at the unit, without those that earlier holders left."""
        own = f"{self.term}."
        leased = self.unit.state is UnitState.LEASED
        return [one for one in self.intents.values() if leased and one.intent_id.startswith(own)]

    def left(self) -> list[Intent]:
        """Returns the open intents that earlier holders left."""
        live = self.live()
        return [one for one in self.intents.values() if one not in live]

    def note_end(self, now: int) -> None:
        """Notes that the lease ends. What its holder had on the wire may arrive for the settle time from now on.

        A holder that had nothing there leaves the time of the one before it.
        """
        if self.live():
            self.ended = now

    def set(self, **changes: Any) -> None:
        """Replaces fields of the unit."""
        self.unit = replace(self.unit, **changes)


@dataclass(slots=True)
class FolderRow:
    """A planned folder and its ledger."""

    folder: Folder
    order: int = 0
    #: The call that planned the folder last.
    planned: object = None
    counts: Counter[str] = field(default_factory=Counter)
    #: The batches that may be leased, at most so many as the folder has writers.
    heads: list[str] = field(default_factory=list)
    writers: int = 1
    #: Whether it has one writer until it is drained, whoever widens it.
    alone: bool = False
    #: The last term that was given when a lane last entered what it wrote.
    written: int = 0
    #: Until when its batches wait for a plan that voids it, ms.
    rests: int = 0
    waiting: deque[str] = field(default_factory=deque)
    ledger: dict[str, tuple[Record, ...]] = field(default_factory=dict)
    digests: dict[str, int] = field(default_factory=dict)
    #: The ledger's entries whose messages were seen at the destination.
    checked: set[str] = field(default_factory=set)
    taken: UidSet = UidSet()
    notes: dict[tuple[int, str], Note] = field(default_factory=dict)
    flags: dict[str, UidSet] = field(default_factory=dict)
    moving: tuple[Moving, ...] = ()
    #: Source UIDs that the request left out, by reason.
    skipped: dict[str, UidSet] | None = None

    def strike(self, gone: UidSet) -> int:
        """Takes these source UIDs out of the ledger, so that they can be copied anew.

        Returns how many of them were adopted.
        """
        adopted = 0
        for name, records in list(self.ledger.items()):
            kept = without_sources(records, gone)
            if lost := sum(len(record.source) for record in records) - sum(len(record.source) for record in kept):
                adopted += lost if name.startswith("adopted.") else 0
                self.ledger[name] = kept
                if not kept:
                    del self.ledger[name], self.digests[name]
                    self.checked.discard(name)
        return adopted

    def let_go(self, messages: int) -> None:
        """Forgets all destination UIDs: the user removed the folder there, with so many messages."""
        self.ledger, self.digests, self.checked, self.taken = {}, {}, set(), UidSet()
        self.counts.update({what: (messages if what == "removed" else 0) - self.counts[what] for what in AUDITED})
        self.notes = {key: note for key, note in self.notes.items() if key[1] not in AUDITED}

    def shown(self) -> Folder:
        """Returns the folder with the numbers that follow from its ledger."""
        return replace(self.folder, unchecked=len(self.ledger) - len(self.checked), moving=self.moving)


@dataclass(slots=True)
class MailboxRow:
    """A row of the manifest."""

    mailbox: Mailbox
    route: str
    #: Scope → key.
    scopes: dict[str, str]
    folders: list[str] = field(default_factory=list)
    open: set[str] = field(default_factory=set)
    #: Units that may be claimed, by order.
    ready: dict[str, int] = field(default_factory=dict)
    failures: deque[Failure] = field(default_factory=lambda: deque(maxlen=50))
    #: The service that the mailbox had.
    served: int = 0
    #: The place in which it is queued; "" for none.
    stands: str = ""
    #: When an operator moved it, ms.
    moved: int = 0
    #: Until when the mailbox waits for mail that may still arrive, ms.
    settling: int = 0
    #: The numbers of its destination folders just before it was switched.
    marks: SwitchMarks | None = None
    #: Since when its look is due, ms; 0 for none. Its messages when a pass last ended.
    looking: int = 0
    seen: int = -1
    #: When a look that failed is tried again, ms; 0 for none.
    look_again: int = 0
    #: The keys of the mailbox's accounts (`shared.model.ids.account_key`).
    destination_key: str = ""
    source_key: str = ""

    def set(self, **changes: Any) -> None:
        """Replaces fields of the mailbox. A new failure is not over."""
        if "failure" in changes:
            changes.setdefault("over_at", 0.0)
        self.mailbox = replace(self.mailbox, **changes)


@dataclass(slots=True)
class WaveRow:
    """A wave, and how much it was served."""

    control: Control = Control.RUN
    #: When it begins, ms; and whether its mailboxes wait for that.
    starts: int = 0
    starting: bool = False
    window: str = ""
    opens_at: float = 0.0
    shuts_at: float = 0.0
    opening: bool = False
    weight: int = 1
    order: int = 0
    served: int = 0


class SweepKind(StrEnum):
    """The ways in which the mailboxes of an import or a wave follow a change of it."""

    #: They enter their queues, or leave them.
    REFRESH = "refresh"
    #: They run, whatever an operator said of single ones.
    RUN = "run"
    CANCEL = "cancel"
    #: Their looks are planned, or end.
    LOOK = "look"


@dataclass(slots=True)
class Sweep:
    """A change of an import (`wave` "") or a wave that its mailboxes follow in pieces."""

    kind: SweepKind
    wave: str
    #: When it began, ms.
    began: int
    #: The number of mailboxes that have followed.
    done: int = 0


@dataclass(slots=True)
class ImportRow:
    """An import."""

    import_: Import
    retention_ms: int
    rows: dict[str, int] = field(default_factory=dict)
    #: The number of messages that ever came to each outcome, and their bytes.
    ever: Counter[str] = field(default_factory=Counter)
    credentials: dict[tuple[str, str], bytes] = field(default_factory=dict)
    #: Its waves; "" for what is without one.
    waves: dict[str, WaveRow] = field(default_factory=dict)
    #: The bounds of its looks by wave, where anything stands: "" for the whole import, None for a wave that stays out.
    standing: dict[str, Standing | None] = field(default_factory=dict)
    #: The looks that ended, and those of them that found something.
    looks: int = 0
    looks_found: int = 0
    #: Forecasts that are kept, and ends: field → value.
    forecasts: dict[str, str] = field(default_factory=dict)
    #: Whether the next `submit` begins a pass.
    fresh: bool = False
    #: Whether the import waits for its hours to begin.
    opening: bool = False
    #: The change that its mailboxes have yet to follow.
    sweep: Sweep | None = None
    #: When the credentials are forgotten, ms; None while no time is set.
    expires: int | None = None
    #: Wave → the row of its cutover, and the notes beside it.
    cutovers: dict[str, str] = field(default_factory=dict)
    cutover_notes: dict[str, dict[str, str]] = field(default_factory=dict)

    def set(self, **changes: Any) -> None:
        """Replaces fields of the import."""
        self.import_ = replace(self.import_, **changes)

    def reach(self, what: str, n: int) -> None:
        """Counts messages that came to an outcome; what is later taken off again stays counted."""
        if n > 0:
            self.ever[what] += n
