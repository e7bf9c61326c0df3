"""The steps that follow from changes of the tables (`memory_tables`) of the model in `shared.store.memory.memory_store`.

Plain Python; its callers hold the lock.

Nothing that can be derived is kept: a mailbox's tally is the sum of its folders', an import is settled when its
mailboxes are. So it is a model of the scripts, which keep all of these values and must come to the same ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from shared.content.fingerprint import MODULUS
from shared.model import (
    Import,
    Intent,
    Lease,
    Settled,
    Unit,
    UnitKind,
)
from shared.model.errors import LeaseLost, LedgerConflict
from shared.model.ledger import COUNTED
from shared.model.lifecycle import (
    SETTLED,
    Control,
    IllegalTransition,
    ImportState,
    MailboxState,
    UnitState,
    Wish,
    advance,
)
from shared.model.uids import UidSet
from shared.rules.age_bands import LAST, band_of
from shared.store.memory.memory_looks import Looks
from shared.store.memory.memory_tables import FolderRow, ImportRow, MailboxRow, UnitRow, WaveRow


class Rows(Looks):
    """The tables, and the steps that several methods share."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self.imports: dict[str, ImportRow] = {}
        #: Allowed places, each with its row.
        self.places: dict[str, str] = {}
        self.mailboxes: dict[str, MailboxRow] = {}
        self.folders: dict[str, FolderRow] = {}
        self.units: dict[str, UnitRow] = {}
        #: Unit → when its lease expires; unit → when it is due, ms.
        self.leases: dict[str, int] = {}
        self.delayed: dict[str, int] = {}
        self.terms = 0

    def now(self) -> int:
        """Returns the milliseconds of the store's clock."""
        return round(self._clock() * 1000)

    def next_term(self) -> int:
        """Returns a number that grows with every call."""
        self.terms += 1
        return self.terms

    # -- who may be served

    def may(self, m: MailboxRow) -> bool:
        """Tells whether operators let the mailbox be given work now: run, not settled, submitted, within its hours."""
        whole = self.imports[m.mailbox.import_id].import_
        settled = m.mailbox.state in SETTLED and not m.looking
        if m.mailbox.control is not Control.RUN or whole.control is not Control.RUN or settled:
            return False
        opening = whole.state is ImportState.OPENING and m.mailbox.state is MailboxState.QUEUED
        return not (opening or self.shut(whole) or self.held_back(m))

    def servable(self, m: MailboxRow) -> bool:
        """Tells whether the mailbox may be given work now: as `may`, and its destination is free."""
        return self.may(m) and (bool(m.looking) or self.occupant(m) is None)

    def shut(self, whole: Import | WaveRow) -> bool:
        """Tells whether the hours of the import or wave are over, or have not begun."""
        return bool(whole.window) and not round(whole.opens_at * 1000) <= self.now() < round(whole.shuts_at * 1000)

    def refresh(self, m: MailboxRow) -> None:
        """Enters the mailbox in its queue when it may be served, else takes it out."""
        wanted = bool(m.ready) and self.may(m)
        if m.looking and wanted:
            self.stand(m, "")
            self.due[m.mailbox.mailbox_id] = m.look_again or m.looking
            return
        self.due.pop(m.mailbox.mailbox_id, None)
        holder = self.occupant(m) if wanted else None
        self.behind(m, holder, self.imports[holder.mailbox.import_id].import_.name if holder else "")
        self.stand(m, self.place_of(m) if wanted and not holder else "")

    # -- units

    def add_unit(self, unit: Unit, order: int, intents: Sequence[Intent] = ()) -> UnitRow:
        """Adds a unit that waits for its turn."""
        unit = replace(unit, state=UnitState.WAITING, band=band_of(order))
        row = UnitRow(unit, order, messages=len(unit.uids), intents={i.intent_id: i for i in intents})
        self.units[unit.unit_id] = row
        self.mailboxes[unit.mailbox_id].open.add(unit.unit_id)
        return row

    def make_ready(self, row: UnitRow) -> None:
        """Lets the unit be claimed from now on; a batch of a folder that rests, when that is over."""
        m, unit_id = self.mailboxes[row.unit.mailbox_id], row.unit.unit_id
        folder = self.folders.get(row.unit.folder_id)
        row.holder = ""
        if folder and folder.rests > self.now():
            row.set(state=UnitState.DELAYED)
            m.ready.pop(unit_id, None)
            self.delayed[unit_id] = folder.rests
        else:
            row.set(state=UnitState.READY)
            m.ready[unit_id] = row.order
        self.refresh(m)

    def drop_unit(self, unit_id: str) -> None:
        """Deletes a unit that is finished, or replaced by others; a worker that still holds it is fenced off."""
        row = self.units.pop(unit_id)
        m = self.mailboxes[row.unit.mailbox_id]
        m.open.discard(unit_id)
        m.ready.pop(unit_id, None)
        self.leases.pop(unit_id, None)
        self.delayed.pop(unit_id, None)

    def forgive(self, row: UnitRow) -> None:
        """Takes the attempt off the count, which an operator may have set to 0 while a lane was at work."""
        row.set(attempts=max(0, row.unit.attempts - 1))

    def take_back(self, row: UnitRow) -> None:
        """Voids the lease: under a new term the store refuses whatever the old holder still sends.

        An attempt that made progress is not counted.
        """
        if row.done > row.began:
            self.forgive(row)
        del self.leases[row.unit.unit_id]
        row.note_end(self.now())
        row.term = self.next_term()
        self.make_ready(row)

    def wake(self) -> None:
        """Makes the delayed units ready that are due."""
        now = self.now()
        for unit_id, due in sorted(self.delayed.items(), key=lambda item: (item[1], item[0])):
            if due <= now:
                del self.delayed[unit_id]
                self.make_ready(self.units[unit_id])

    def queue_batch(self, folder: FolderRow, row: UnitRow) -> None:
        """Makes the batch ready while the folder has fewer heads than writers, else lets it wait.

        A batch waits behind those of its age band and of younger ones, and the heads go on in its band, so that they do
        not keep the batch waiting.
        """
        if len(folder.heads) < folder.writers:
            folder.waiting.append(row.unit.unit_id)
            self.fill_heads(folder)
            return
        band = row.unit.band
        younger = [u for u in folder.waiting if self.units[u].unit.band <= band]
        older = [u for u in folder.waiting if self.units[u].unit.band > band]
        folder.waiting = deque([*younger, row.unit.unit_id, *older])
        m = self.mailboxes[row.unit.mailbox_id]
        for name in folder.heads:
            head = self.units[name]
            if head.unit.band > band:
                head.order = row.order
                head.set(band=band)
                if name in m.ready:
                    m.ready[name] = row.order

    def fill_heads(self, folder: FolderRow) -> None:
        """Makes batches that wait ready while there is room. A folder that is drained has one writer again."""
        while folder.waiting and len(folder.heads) < folder.writers:
            folder.heads.append(folder.waiting.popleft())
            self.make_ready(self.units[folder.heads[-1]])
        if not folder.heads:
            folder.writers, folder.alone = 1, False

    def fold_heads(self, folder: FolderRow) -> None:
        """Puts the heads of a folder with one writer back among its waiting batches, except those that a lane is at.

        One head stays, so that the folder's next writer is alone.
        """
        for name in reversed(folder.heads) if folder.alone else ():
            row = self.units[name]
            if len(folder.heads) > 1 and row.unit.state is not UnitState.LEASED:
                folder.heads = [head for head in folder.heads if head != name]
                self.mailboxes[row.unit.mailbox_id].ready.pop(name, None)
                self.delayed.pop(name, None)
                row.set(state=UnitState.WAITING)
                row.holder = ""
                folder.waiting.appendleft(name)

    def next_batch(self, folder: FolderRow, unit_id: str) -> None:
        """Replaces this head of the folder, which is gone, by the first of the batches that wait."""
        folder.heads = [head for head in folder.heads if head != unit_id]
        self.fill_heads(folder)

    def fence(self, lease: Lease) -> UnitRow:
        """Returns the lease's unit. Raises `LeaseLost` when another worker may hold it."""
        row = self.units.get(lease.unit.unit_id)
        right = (UnitState.LEASED, lease.term, lease.holder)
        if row is None or (row.unit.state, row.term, row.holder) != right:
            raise LeaseLost("another worker holds this now")
        row.used = True
        return row

    def at_work(self) -> Iterator[str]:
        return (self.units[unit_id].lane_of for unit_id in self.leases)

    # -- mailboxes and imports

    def move(self, m: MailboxRow, event: str) -> bool:
        """Moves the mailbox along an edge of its state machine; returns False when there is none."""
        before = m.mailbox.state
        try:
            m.set(state=MailboxState(advance("mailbox", before, event)))
        except IllegalTransition:
            return False
        if event in ("again", "replan"):
            m.set(compared=0)
        if before is not m.mailbox.state:
            m.settling = 0
        if before is MailboxState.PARKED is not m.mailbox.state:
            m.set(again_at=0.0)
        if before is MailboxState.COMPLETE is not m.mailbox.state:
            self.end_look(m)
        if event == "verified":
            self.end_pass(m)
        if m.mailbox.state in SETTLED and before is not m.mailbox.state:
            self.leave_destination(m)
        return True

    def wish(self, m: MailboxRow, row: UnitRow | None = None) -> Wish:
        """Returns what is wanted of a lane at work at this unit of the mailbox, or what an operator wants of the mailbox."""
        whole = self.imports[m.mailbox.import_id].import_
        words = {m.mailbox.control, whole.control}
        if Control.CANCEL in words or m.mailbox.state is MailboxState.CANCELLED:
            return Wish.CANCEL
        if Control.PAUSE in words or m.mailbox.state is MailboxState.PARKED or self.shut(whole):
            return Wish.PAUSE
        if self.held_back(m):
            return Wish.PAUSE
        return row.yields if row else Wish.RUN

    def queue_plan(self, m: MailboxRow) -> None:
        """Gives a queued mailbox a plan unit, and removes its verification."""
        mailbox_id = m.mailbox.mailbox_id
        if f"{mailbox_id}.verify" in m.open:
            self.drop_unit(f"{mailbox_id}.verify")
        row = self.units.get(f"{mailbox_id}.plan")
        if row is None:
            row = self.add_unit(Unit(unit_id=f"{mailbox_id}.plan", kind=UnitKind.PLAN, mailbox_id=mailbox_id), 0)
        row.set(attempts=0)
        if row.unit.state is UnitState.LEASED:
            self.move(m, "plan_claimed")  # a lane is at it already
        else:
            self.delayed.pop(row.unit.unit_id, None)
            self.make_ready(row)

    def drain(self, m: MailboxRow) -> None:
        """Moves the mailbox on to its verification when none of its units is open."""
        if not m.open and self.move(m, "drained"):
            mailbox_id = m.mailbox.mailbox_id
            unit = Unit(unit_id=f"{mailbox_id}.verify", kind=UnitKind.VERIFY, mailbox_id=mailbox_id)
            self.make_ready(self.add_unit(unit, LAST))

    def get_on(self, m: MailboxRow) -> None:
        """Notes that the mailbox's last failure is over since now, unless that is noted already."""
        if m.mailbox.failure and not m.mailbox.over_at:
            m.set(over_at=self.now() / 1000)

    def settle_import(self, whole: ImportRow) -> None:
        """Finishes the import when every mailbox is settled."""
        settled = all(self.mailboxes[m].mailbox.state in SETTLED for m in whole.rows)
        if settled and whole.import_.state is ImportState.RUNNING:
            whole.set(state=ImportState.FINISHED, finished_at=self.now() / 1000)
            # Passwords are kept for the retention time since an operator last started the import: passes that begin by
            # themselves do not prolong it. An import of which anything stands needs its passwords.
            if not whole.standing:
                whole.expires = whole.expires or self.now() + whole.retention_ms

    def may_go_on(self, m: MailboxRow) -> bool:
        """Tells whether a parked mailbox may go on by itself.

        It may when no operator paused or cancelled it, and its passwords are there.
        """
        whole = self.imports[m.mailbox.import_id]
        return m.mailbox.control is whole.import_.control is Control.RUN and bool(whole.credentials)

    def go_on(self, m: MailboxRow) -> None:
        """Lets a parked mailbox go on by itself."""
        self.move(m, "again")
        self.queue_plan(m)
        self.reopen(self.imports[m.mailbox.import_id])
        self.refresh(m)

    def reopen(self, whole: ImportRow) -> None:
        """Lets a finished import run again, since there is something to do."""
        if whole.import_.state is ImportState.FINISHED:
            again = ImportState(advance("import", ImportState.FINISHED, "reopened"))
            whole.set(state=again, finished_at=0.0, archived_at=0.0)

    # -- the ledger

    def new_of(
        self, row: UnitRow, folder: FolderRow, settled: Sequence[Settled], *, fresh: bool = False
    ) -> list[Settled]:
        """Returns what was not entered before.

        Raises `LedgerConflict` when a destination UID would be entered twice.
        """
        new = [s for s in settled if not self._entered(row, folder, s)]
        taken = UidSet() if fresh else folder.taken
        for s in new:
            for record in s.records:
                if twice := taken & record.destination:
                    raise LedgerConflict(f"destination UID {twice} is in the ledger already")
                taken |= record.destination
        return new

    def _entered(self, row: UnitRow, folder: FolderRow, s: Settled) -> bool:
        if s.intent_id:
            return s.intent_id not in row.intents
        known = folder.ledger.get(row.unit.unit_id, ())
        others = [uids for uids in s.others.values() if uids]
        if not (s.records or others):
            return False
        return all(r in known for r in s.records) and not any(uids - row.others for uids in others)

    def settle(self, row: UnitRow, folder: FolderRow, s: Settled) -> None:
        """Enters the outcomes of some messages, which `new_of` has checked."""
        name = row.unit.unit_id
        copied = sum(len(record.source) for record in s.records)
        whole = self.imports[self.mailboxes[row.unit.mailbox_id].mailbox.import_id]
        if s.records:
            folder.ledger[name] = folder.ledger.get(name, ()) + s.records
            folder.digests[name] = (folder.digests.get(name, 0) + s.digest) % MODULUS
            folder.counts[s.outcome] += copied
            whole.reach(s.outcome, copied)
        for record in s.records:
            folder.taken |= record.destination
        for outcome, uids in s.others.items():
            folder.counts[outcome] += len(uids)
            whole.reach(outcome, len(uids))
            row.others |= uids
        done = copied + sum(map(len, s.others.values()))
        row.done += done
        if done:
            folder.counts["done_bytes"] += s.size_bytes
            whole.reach("done_bytes", s.size_bytes)
            whole.set(last_record_at=self.now() / 1000)
        for note in s.notes:
            if note.what in COUNTED and (note.uid, note.what) not in folder.notes:
                folder.counts[COUNTED[note.what]] += 1
            folder.notes[note.uid, note.what] = note
        row.intents.pop(s.intent_id, None)
