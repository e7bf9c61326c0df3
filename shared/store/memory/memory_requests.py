"""The model's half that the producer writes and every process reads: `shared.store.RequestStore` in plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import cast

from shared.model import (
    Import,
    Mailbox,
    Note,
    SwitchMarks,
    Unit,
    UnitKind,
    Wave,
    account_key,
    route_id,
)
from shared.model.errors import StoreError, StoreRestarted, UnderWay
from shared.model.lifecycle import SETTLED, Control, ImportState, MailboxState, Outcome, UnitState, advance
from shared.model.sides import Scope, Side
from shared.model.uids import UidSet
from shared.model.waves import is_set
from shared.rules.standing import Standing
from shared.store import other_options
from shared.store.memory.memory_readings import atomic
from shared.store.memory.memory_sweeps import MemorySweeps
from shared.store.memory.memory_tables import ImportRow, MailboxRow, SweepKind, WaveRow
from shared.store.ports.at_once import ChangedStore

#: The time for which a mailbox that was moved waits for a free lane before one gives way, ms.
GIVE_WAY_MS = 500
#: The way in which mailboxes follow an operator's word about their import or wave.
_KINDS = {Control.RUN: SweepKind.RUN, Control.PAUSE: SweepKind.REFRESH, Control.CANCEL: SweepKind.CANCEL}


class MemoryRequests(MemorySweeps):
    """The tables' imports and mailboxes: opens, pauses, resumes, cancels and retries them."""

    # -- requests

    @atomic
    def open_import(self, import_: Import, mailboxes: Sequence[Mailbox], retention_days: float) -> int:
        self._end_sweep(import_.import_id)
        rows = self._rows
        whole = rows.imports.get(import_.import_id)
        if whole is None:
            fresh = replace(import_, state=ImportState.OPENING, control=Control.RUN, passes=0, finished_at=0.0)
            whole = rows.imports[import_.import_id] = ImportRow(replace(fresh, created_at=rows.now() / 1000), 0)
            whole.fresh = True
            whole.waves[""] = WaveRow()
        else:
            if self._under_way(whole):
                old, new = asdict(whole.import_.options), asdict(import_.options)
                if differ := sorted(n for n in new if new[n] != old[n] and not n.endswith("_sign_in")):
                    raise other_options(differ)
            whole.fresh = whole.fresh or whole.import_.state is ImportState.FINISHED
            whole.set(
                state=ImportState(advance("import", whole.import_.state, "again")),
                name=import_.name,
                source=import_.source,
                destination=import_.destination,
                options=import_.options,
            )
        whole.retention_ms = int(retention_days * 86400) * 1000
        whole.expires = None
        return sum(self._open_mailbox(whole, mailbox) for mailbox in mailboxes)

    def _under_way(self, whole: ImportRow) -> bool:
        """Tells whether any mailbox of the import is under way.

        In an import that is only being opened a queued mailbox is not: no lane was given it yet.
        """
        idle = {*SETTLED, *([MailboxState.QUEUED] if whole.import_.state is ImportState.OPENING else [])}
        return any(self._rows.mailboxes[m].mailbox.state not in idle for m in whole.rows)

    def _open_mailbox(self, whole: ImportRow, mailbox: Mailbox) -> bool:
        rows, import_ = self._rows, whole.import_
        m = rows.mailboxes.get(mailbox.mailbox_id)
        whole.rows[mailbox.mailbox_id] = mailbox.row
        if new := m is None:
            fresh = replace(mailbox, import_id=import_.import_id, wave="", wave_by_rule=False, priority=0, group="")
            m = rows.mailboxes[mailbox.mailbox_id] = MailboxRow(fresh, "", {})
            opened = True
        else:
            alone = m.mailbox.state is MailboxState.CANCELLED and m.mailbox.control is Control.CANCEL
            # What a person cancelled by itself before the start of its import stays so, whatever else is changed.
            opened = not (alone and whole.import_.state is ImportState.OPENING and not import_.passes) and rows.move(
                m, "again"
            )
        m.set(row=mailbox.row)
        exact = import_.options.case_sensitive_logins
        there = replace(mailbox.destination, endpoint=import_.destination)
        m.destination_key = account_key(there, case_sensitive=exact)
        m.source_key = account_key(mailbox.source, case_sensitive=exact)
        if opened:
            m.set(state=MailboxState.QUEUED, control=Control.RUN, failure=None, after_look=False)
        if m.mailbox.state is MailboxState.QUEUED:
            self._address(m, mailbox, import_)
        if opened:
            self._place(whole, m, mailbox, new=new)
            rows.queue_plan(m)
        return opened

    def _place(self, whole: ImportRow, m: MailboxRow, mailbox: Mailbox, *, new: bool) -> None:
        """Sets the wave and the priority that the row gives; what it leaves open, or to a rule, stays."""
        if mailbox.wave and (new or not mailbox.wave_by_rule):
            self._set_wave(whole, m, mailbox.wave)
        if mailbox.priority:
            self._set_priority(m, mailbox.priority)

    @staticmethod
    def _set_wave(whole: ImportRow, m: MailboxRow, wave: str) -> None:
        whole.waves.setdefault(wave, WaveRow())
        if m.mailbox.wave != wave:
            m.set(wave=wave)
            m.served = 0

    @staticmethod
    def _set_priority(m: MailboxRow, priority: int) -> None:
        if m.mailbox.priority != priority:
            m.set(priority=priority)
            m.served = 0

    @atomic
    def waves(self, import_id: str) -> list[Wave]:
        whole = self._rows.imports.get(import_id)
        if whole is None:
            return []
        states = Counter((m.wave, m.state) for m in (self._rows.mailboxes[one].mailbox for one in whole.rows))
        waves = [
            Wave(
                name=name,
                control=row.control,
                starts_at=row.starts / 1000,
                window=row.window,
                opens_at=row.opens_at,
                shuts_at=row.shuts_at,
                weight=row.weight,
                order=row.order,
                mailboxes={state: states[name, state] for state in MailboxState if name and states[name, state]},
            )
            for name, row in whole.waves.items()
        ]
        return sorted((wave for wave in waves if wave.name or is_set(wave)), key=lambda wave: wave.order)

    @atomic
    def set_wave(
        self,
        import_id: str,
        name: str,
        *,
        starts_at: float | None = None,
        weight: int | None = None,
        order: int | None = None,
    ) -> bool:
        self._end_sweep(import_id)
        whole = self._rows.imports.get(import_id)
        if whole is None:
            return False
        row = whole.waves.setdefault(name, WaveRow())
        row.weight = row.weight if weight is None else weight
        row.order = row.order if order is None else order
        if starts_at is not None:
            row.starts = round(starts_at * 1000)
            row.starting = row.starts > self._rows.now()
            if name:
                self._change(whole, SweepKind.REFRESH, name)
        return True

    @atomic
    def move(self, import_id: str, mailbox_id: str, *, wave: str | None = None, priority: int | None = None) -> bool:
        self._end_sweep(import_id)
        rows = self._rows
        whole = rows.imports.get(import_id)
        if whole is None or mailbox_id not in whole.rows:
            return False
        m = rows.mailboxes[mailbox_id]
        if wave is not None:
            self._set_wave(whole, m, wave)
        if priority is not None:
            self._set_priority(m, priority)
        rows.plan_look(m)
        rows.refresh(m)
        rows.urgent.pop(mailbox_id, None)
        if (m.stands or mailbox_id in rows.due) and not any(
            rows.units[u].unit.state is UnitState.LEASED for u in m.open
        ):
            m.moved = rows.now()
            rows.urgent[mailbox_id] = rows.now() + GIVE_WAY_MS
        return True

    @staticmethod
    def _address(m: MailboxRow, mailbox: Mailbox, import_: Import) -> None:
        """Sets the mailbox's accounts, profile, route and scopes."""
        m.set(source=mailbox.source, destination=mailbox.destination, profile=mailbox.profile, group=mailbox.group)
        m.route = route_id(mailbox.source.endpoint, import_.destination)
        m.scopes = {
            Scope.SOURCE_ACCOUNT: f"{mailbox.source.endpoint.url}/{mailbox.source.login}",
            Scope.SOURCE_HOST: mailbox.source.endpoint.host,
            Scope.DESTINATION_ACCOUNT: f"{import_.destination.url}/{mailbox.destination.login}",
            Scope.DESTINATION_HOST: import_.destination.host,
        }

    #: The name of the present life: another one after a test let the store be started again.
    present_life: str = "1"

    def life(self) -> str:
        return self.present_life

    @atomic
    def submit(self, import_id: str, *, since: str = "") -> None:
        rows = self._rows
        if since and since != self.life():
            raise StoreRestarted(f"the state store was started again while {import_id} was written")
        self._end_sweep(import_id)
        whole = rows.imports.get(import_id)
        if whole is None:
            raise StoreError(f"the state store refused submit: there is no import {import_id}")
        if whole.import_.state is not ImportState.OPENING:
            return
        whole.set(state=ImportState.RUNNING, control=Control.RUN, finished_at=0.0, archived_at=0.0)
        if whole.fresh:
            whole.set(passes=whole.import_.passes + 1, first_claim_at=0.0, last_record_at=0.0)
            whole.fresh = False
        self._change(whole, SweepKind.REFRESH)

    @atomic
    def mark_switch(self, mailbox_id: str, marks: SwitchMarks) -> bool:
        row = self._rows.mailboxes.get(mailbox_id)
        if row is not None:
            row.marks = marks
        return row is not None

    @atomic
    def control(self, import_id: str, mailbox_id: str | None, word: Control, *, wave: str = "") -> int:
        self._end_sweep(import_id)
        rows = self._rows
        whole = rows.imports.get(import_id)
        if whole is None or (mailbox_id and mailbox_id not in whole.rows) or (wave and wave not in whole.waves):
            return 0
        if mailbox_id:
            m = rows.mailboxes[mailbox_id]
            m.set(control=word)
            concerns = rows.move(m, "cancel") if word is Control.CANCEL else m.mailbox.state not in SETTLED
            rows.refresh(m)
            rows.settle_import(whole)
            return int(concerns)
        if wave:
            # While a wave is being cancelled nothing of it is begun.
            whole.waves[wave].control = Control.RUN if word is Control.RUN else Control.PAUSE
        else:
            whole.set(control=word)
        if word is Control.CANCEL:
            self._set_standing(whole, wave, None)
        ends = {MailboxState.COMPLETE} if word is Control.CANCEL else SETTLED
        every = [rows.mailboxes[m].mailbox for m in whole.rows]
        concerned = sum(one.state not in ends for one in every if wave in ("", one.wave))
        self._change(whole, _KINDS[word], wave)
        return concerned

    def _set_standing(self, whole: ImportRow, wave: str, standing: Standing | None) -> None:
        raise NotImplementedError

    @atomic
    def retry(self, import_id: str, mailbox_id: str, batches: Sequence[tuple[Unit, Sequence[Note]]]) -> bool:
        self._end_sweep(import_id)
        rows = self._rows
        whole = rows.imports.get(import_id)
        if whole is None or mailbox_id not in whole.rows:
            return False
        m = rows.mailboxes[mailbox_id]
        settled = m.mailbox.state in SETTLED
        moved = rows.move(m, "again")
        if not moved and not batches:
            return False
        m.set(failure=None, control=Control.RUN, after_look=False)
        queued = [self._retry_batch(m, unit, notes, settled) for unit, notes in batches]
        for unit_id in m.open:
            rows.units[unit_id].set(attempts=0)
        if not moved and any(queued) and m.mailbox.state is MailboxState.VERIFYING:
            rows.move(m, "replan")
        if m.mailbox.state is MailboxState.QUEUED:
            rows.queue_plan(m)
        whole.expires = None
        rows.reopen(whole)
        if whole.import_.control is Control.CANCEL:
            whole.set(control=Control.RUN)
        rows.refresh(m)
        return True

    @atomic
    def accept_missing(self, import_id: str, mailbox_id: str, folder_id: str, uids: UidSet) -> int:
        rows = self._rows
        m, folder = rows.mailboxes.get(mailbox_id), rows.folders.get(folder_id)
        if m is None or folder is None or m.mailbox.import_id != import_id or m.mailbox.state not in SETTLED:
            return 0
        if folder.folder.mailbox_id != mailbox_id:
            return 0
        given = UidSet.of(uid for uid in uids if (uid, "missing") in folder.notes)
        for uid in given:
            folder.notes[uid, "accepted"] = replace(folder.notes.pop((uid, "missing")), what="accepted")
        folder.counts["missing"] -= len(given)
        folder.folder = replace(folder.folder, accepted=folder.folder.accepted | given)
        return len(given)

    def _retry_batch(self, m: MailboxRow, unit: Unit, notes: Sequence[Note], settled: bool) -> bool:
        rows = self._rows
        folder = rows.folders[unit.folder_id]
        wanted = (Outcome.REFUSED, Outcome.FAILED, "missing") if settled else (Outcome.REFUSED, Outcome.FAILED)
        given = [n for n in notes if n.what in wanted and (n.uid, n.what) in folder.notes]
        for note in given:
            del folder.notes[note.uid, note.what]
        if not given or unit.unit_id in rows.units:
            return False
        folder.counts.subtract(note.what for note in given)
        if gone := UidSet.of(note.uid for note in given if note.what == "missing"):
            adopted = folder.strike(gone)
            copied = min(len(gone) - adopted, folder.counts[Outcome.COPIED])
            folder.counts.subtract({Outcome.COPIED: copied, Outcome.ALREADY_PRESENT: len(gone) - copied})
        folder.counts["done_bytes"] -= unit.size_bytes
        unit = replace(unit, kind=UnitKind.COPY, mailbox_id=m.mailbox.mailbox_id, attempts=0)
        row = rows.add_unit(unit, folder.order * 100_000)
        row.messages = len(given)
        rows.queue_batch(folder, row)
        return True

    @atomic
    def close(self, import_id: str) -> bool:
        self._end_sweep(import_id)
        rows = self._rows
        whole = rows.imports.get(import_id)
        if whole is None:
            return False
        if whole.import_.state is ImportState.RUNNING:
            raise UnderWay(f"the state store refused close: import {import_id} is under way")
        for mailbox_id in whole.rows:
            self._remove(mailbox_id)
        rows.forget_lines(import_id)
        del rows.imports[import_id]
        return True

    @atomic
    def archive(self, import_id: str, *, away: bool) -> bool:
        whole = self._rows.imports.get(import_id)
        if whole is None or away == bool(whole.import_.archived_at):
            return False
        states = {self._rows.mailboxes[m].mailbox.state for m in whole.rows}
        busy = not states.isdisjoint((MailboxState.PLANNING, MailboxState.COPYING, MailboxState.VERIFYING))
        if away and (busy or whole.import_.state is ImportState.RUNNING):
            raise UnderWay(f"the state store refused archive: import {import_id} is under way")
        whole.set(archived_at=self._rows.now() / 1000 if away else 0.0)
        return True

    @atomic
    def erase(self, import_id: str, mailbox_id: str) -> bool:
        self._end_sweep(import_id)
        rows = self._rows
        whole, m = rows.imports.get(import_id), rows.mailboxes.get(mailbox_id)
        if whole is None or m is None or mailbox_id not in whole.rows:
            return False
        held = any(rows.units[u].unit.state is UnitState.LEASED for u in m.open)
        unstarted = whole.import_.state is ImportState.OPENING and not whole.import_.passes
        idle = {*SETTLED, *([MailboxState.QUEUED] if unstarted else [])}
        if held or m.mailbox.state not in idle:
            raise UnderWay(f"the state store refused erase: mailbox {mailbox_id} is under way")
        del whole.rows[mailbox_id]
        for notes in whole.cutover_notes.values():
            notes.pop(mailbox_id, None)
        for side in Side:
            whole.credentials.pop((mailbox_id, side), None)
        self._remove(mailbox_id)
        rows.settle_import(whole)
        return True

    def _remove(self, mailbox_id: str) -> None:
        rows = self._rows
        m = rows.mailboxes[mailbox_id]
        rows.end_look(m)
        for unit_id in list(m.open):
            rows.drop_unit(unit_id)
        for folder_id in m.folders:
            del rows.folders[folder_id]
        rows.stand(m, "")
        rows.due.pop(mailbox_id, None)
        rows.urgent.pop(mailbox_id, None)
        del rows.mailboxes[mailbox_id]
        if rows.destinations.get(m.destination_key) == mailbox_id:
            rows.free_destination(m.destination_key)

    @atomic
    def at_once(self, import_ids: Sequence[str], write: Callable[[ChangedStore], None]) -> None:
        write(cast("ChangedStore", self))

    @atomic
    def set_limit(self, scope: str, most: int | None) -> None:
        if most is None:
            self._limits.pop(scope, None)
        else:
            self._limits[scope] = most

    @atomic
    def limits(self) -> dict[str, int]:
        return dict(self._limits)

    @atomic
    def set_usual(self, limits: Mapping[str, int]) -> None:
        self._usual.update(limits)

    @atomic
    def usual(self) -> dict[str, int]:
        return dict(self._usual)
