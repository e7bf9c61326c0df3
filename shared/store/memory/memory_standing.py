"""The model's methods about imports that stand (`shared.rules.standing`), and about looks at their mailboxes."""

from __future__ import annotations

from shared.model import Lease
from shared.model.lifecycle import ImportState
from shared.rules.standing import Standing, StandingTally
from shared.store.memory.memory_readings import atomic
from shared.store.memory.memory_tables import ImportRow, SweepKind
from shared.store.memory.memory_waits import MemoryWaits


class MemoryStanding(MemoryWaits):
    """The imports and waves that stand."""

    @atomic
    def set_standing(self, import_id: str, wave: str, standing: Standing | None) -> bool:
        self._end_sweep(import_id)
        whole = self._rows.imports.get(import_id)
        if whole is None or (wave and wave not in whole.waves):
            return False
        self._set_standing(whole, wave, standing)
        self._change(whole, SweepKind.LOOK, wave)
        return True

    def _set_standing(self, whole: ImportRow, wave: str, standing: Standing | None) -> None:
        rows, stood = self._rows, bool(whole.standing)
        if standing is not None:
            whole.standing[wave] = standing
            whole.set(archived_at=0.0)
        elif not wave:
            whole.standing.clear()
        elif "" in whole.standing:
            whole.standing[wave] = None
        else:
            whole.standing.pop(wave, None)
        self._expire(whole)
        if whole.standing:
            whole.expires = None
        elif stood and whole.import_.state is ImportState.FINISHED:
            whole.expires = rows.now() + whole.retention_ms

    @atomic
    def standings(self, import_id: str) -> dict[str, Standing | None]:
        whole = self._rows.imports.get(import_id)
        return dict(whole.standing) if whole else {}

    @atomic
    def standing_tally(self, import_id: str) -> StandingTally:
        rows, whole = self._rows, self._rows.imports.get(import_id)
        if whole is None:
            return StandingTally()
        later = [rows.looks[m] for m in whole.rows if m in rows.looks]
        due = [rows.mailboxes[m].looking for m in whole.rows if rows.mailboxes[m].looking]
        return StandingTally(
            mailboxes=len(later) + len(due),
            due=len(due),
            due_since=min(due, default=0) / 1000,
            next_at=min(later, default=0) / 1000,
            looks=whole.looks,
            found=whole.looks_found,
        )

    @atomic
    def note_unplanned(self, lease: Lease, digests: bytes) -> None:
        self._rows.mailboxes[self._rows.fence(lease).unit.mailbox_id].set(unplanned=digests)

    @atomic
    def looked(self, lease: Lease, *, found: bool) -> None:
        rows, now = self._rows, self._rows.now()
        m = rows.mailboxes[rows.fence(lease).unit.mailbox_id]
        whole = rows.imports[m.mailbox.import_id]
        whole.looks += 1
        rows.put_off_late(lease.claimed_at)
        m.set(failure=None)
        if found and rows.standing_of(m.mailbox) is not None:
            whole.looks_found += 1
            rows.move(m, "again")
            m.set(after_look=True)
            rows.queue_plan(m)
            rows.reopen(whole)
        else:
            if not found:
                m.set(looked_at=now / 1000, synced_at=lease.claimed_at)
            rows.end_look(m)
            rows.plan_look(m)
        rows.refresh(m)
