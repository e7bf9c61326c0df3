"""The model's part for what workers do under a lease: `shared.store.WorkStore` in plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from shared.model import (
    Audit,
    Failure,
    Folder,
    FolderPlan,
    Intent,
    Lease,
    LedgerEntry,
    Moving,
    ProgressReply,
    Settled,
    Unit,
    UnitKind,
)
from shared.model.errors import LeaseLost, StoreError
from shared.model.lanes import NOTHING_MEASURED, Measured, Reason
from shared.model.ledger import AUDITED
from shared.model.lifecycle import Control, Disposition, MailboxState, UnitState, Wish
from shared.model.sides import Side
from shared.model.uids import NO_UIDS, UidSet
from shared.rules.standing import LOOK_HOLD
from shared.store import SCOPES
from shared.store.memory.memory_identity import Identity
from shared.store.memory.memory_lanes import CROWDED_MS
from shared.store.memory.memory_plans import plan_folder
from shared.store.memory.memory_readings import atomic
from shared.store.memory.memory_tables import FolderRow
from shared.store.memory.memory_yields import give_way, share_out


class MemoryWork(Identity):
    """Progress, the ledger, plans, verification."""

    @atomic
    def attend(
        self,
        worker: str,
        leases: Sequence[Lease],
        *,
        extend: bool,
        beat: int = 0,
        measured: Mapping[str, Measured] = NOTHING_MEASURED,
    ) -> list[Wish]:
        rows, now = self._rows, self._rows.now()
        self._workers[worker] = now
        words: list[Wish] = []
        for lease in leases:
            try:
                row = rows.fence(lease)
            except LeaseLost:
                words.append(Wish.LOST)
                continue
            m = rows.mailboxes[row.unit.mailbox_id]
            if extend:
                expiry = now + int(self._lease_seconds * 1000)
                rows.leases[lease.unit.unit_id] = expiry
                for name in self._scopes(m):
                    self._permits.setdefault(name, {})[lease.holder] = expiry
            words.append(rows.wish(m, row))
        self._add_measured(worker, beat, measured)
        for n, lease in enumerate(leases):
            if words[n] is Wish.RUN and lease.unit.kind is UnitKind.COPY:
                for name in self._scopes(rows.mailboxes[rows.units[lease.unit.unit_id].unit.mailbox_id]):
                    found = self._let_in(name)[1]
                    if found is not None and self._too_many(name, lease.holder, found):
                        words[n] = Wish.LEAVE
        give_way(rows, lambda m: any(self._holds.get(name, 0) > now for name in self._scopes(m)), leases, words)
        share_out(rows, leases, words)
        return words

    @atomic
    def leave(self, holder: str, mailbox_id: str) -> None:
        if m := self._rows.mailboxes.get(mailbox_id):
            self._free(holder, m)

    @atomic
    def progress(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        intents: Sequence[Intent] = (),
        withdrawn: Iterable[str] = (),
        doubts: UidSet = NO_UIDS,
    ) -> ProgressReply:
        rows = self._rows
        row = rows.fence(lease)
        folder = rows.folders.get(row.unit.folder_id)
        if folder is None:
            raise StoreError("the state store refused progress: only batches have any")
        new = rows.new_of(row, folder, settled)
        for intent in intents:
            if intent.intent_id in row.intents and row.intents[intent.intent_id].uids != intent.uids:
                raise StoreError(f"the state store refused progress: intent {intent.intent_id} stands for others")
        if new:
            rows.get_on(rows.mailboxes[row.unit.mailbox_id])
            folder.written = rows.terms
        for one in new:
            rows.settle(row, folder, one)
        if doubts:
            known = folder.folder.doubts | doubts
            folder.folder = replace(folder.folder, doubts=known, doubted_at=rows.now() / 1000)
        for intent_id in withdrawn:
            row.intents.pop(intent_id, None)
        m = rows.mailboxes[row.unit.mailbox_id]
        word = rows.wish(m, row)
        if word is not Wish.RUN:
            return ProgressReply(word=word)
        if intents:  # an empty folder may have got another UIDVALIDITY since it was planned
            uidvalidity = intents[0].destination_uidvalidity
            folder.folder = replace(folder.folder, destination_uidvalidity=uidvalidity)
        new_intents = [intent for intent in intents if intent.intent_id not in row.intents]
        for intent in new_intents:
            row.intents[intent.intent_id] = replace(intent, at=rows.now() / 1000)
        moved = sum(intent.size_bytes for intent in new_intents), sum(len(intent.uids) for intent in new_intents)
        return ProgressReply(word=word, due=self._owed_after(m, *moved))

    @atomic
    def finish(self, lease: Lease, records: Sequence[LedgerEntry] = ()) -> None:
        rows = self._rows
        row = rows.fence(lease)
        unit = row.unit
        if row.intents or (unit.kind is UnitKind.COPY and row.done < row.messages):
            raise StoreError(f"the state store refused finish: intents or messages of {unit.unit_id} are open")
        if unit.kind is UnitKind.LOOK:
            raise StoreError(f"the state store refused finish: ILLEGAL {unit.unit_id} is a look")
        m = rows.mailboxes[unit.mailbox_id]
        folder = rows.folders.get(unit.folder_id)
        rows.drop_unit(unit.unit_id)
        # A plan writes no message. So it does not show that what stopped a copy, such as a full mailbox, is over.
        if unit.kind is not UnitKind.PLAN or not (m.mailbox.failure and m.mailbox.failure.folder):
            rows.get_on(m)
        if folder:
            if records:
                folder.ledger[unit.unit_id] = tuple(records[0].records)
                if records[0].checked:
                    folder.checked.add(unit.unit_id)
            rows.next_batch(folder, unit.unit_id)
        if unit.kind is UnitKind.PLAN:
            rows.move(m, "planned")
        if unit.kind is UnitKind.VERIFY and rows.move(m, "verified"):
            self._shared = {place: at for place, at in self._shared.items() if place[0] != unit.mailbox_id}
            m.set(failure=None)
        rows.drain(m)
        rows.refresh(m)
        rows.settle_import(rows.imports[m.mailbox.import_id])

    def looked(self, lease: Lease, *, found: bool) -> None:
        raise NotImplementedError

    def follow(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        records: Sequence[LedgerEntry] = (),
        prefer: str = "",
        claim: bool = True,
        found: bool | None = None,
    ) -> Lease | None:
        if settled:
            self.progress(lease, settled=settled)
        if found is None:
            self.finish(lease, records)
        else:
            self.looked(lease, found=found)
        return self.claim(lease.holder, prefer=prefer, held=lease.mailbox.mailbox_id) if claim else None

    @atomic
    def release(
        self,
        lease: Lease,
        *,
        how: Disposition,
        delay_seconds: float = 0,
        failure: Failure | None = None,
        hold: str = "",
        hold_seconds: float = 0,
        again_seconds: float = 0,
        crowded: bool = False,
    ) -> None:
        rows, now = self._rows, self._rows.now()
        row = rows.fence(lease)
        m = rows.mailboxes[row.unit.mailbox_id]
        del rows.leases[row.unit.unit_id]
        row.note_end(now)
        if how != Disposition.AGAIN:
            rows.forgive(row)
        if crowded and hold:
            self._free(lease.holder, m)
            if others := len(self._lanes_at(hold)):
                self._narrow_lanes(hold, others, Reason.REFUSED)
                failure, hold, delay_seconds = None, "", min(delay_seconds, CROWDED_MS / 1000)
        if failure:
            m.set(failure=failure)
            m.failures.appendleft(failure)
        scope, _, key = hold.partition(":")
        if row.unit.kind is UnitKind.LOOK and scope == LOOK_HOLD:
            rows.look_holds[key] = max(rows.look_holds.get(key, 0), now + int(hold_seconds * 1000))
        elif hold:
            why = failure.detail or failure.sentence if failure else ""
            self._hold(hold, hold_seconds, m.mailbox.import_id, why)
        if row.unit.kind is UnitKind.LOOK:
            rows.put_off_late(lease.claimed_at)
            if delay_seconds > 0:
                m.look_again = now + int(delay_seconds * 1000)
        if delay_seconds > 0:
            row.set(state=UnitState.DELAYED)
            row.holder = ""
            rows.delayed[row.unit.unit_id] = now + int(delay_seconds * 1000)
        else:
            rows.make_ready(row)
        if row.unit.kind is UnitKind.COPY:
            rows.fold_heads(rows.folders[row.unit.folder_id])
        if how in (Disposition.DOUBT, Disposition.LATE):
            m.settling = now + int(delay_seconds * 1000)
        if how == Disposition.LATE:
            rows.leave_destination(m)
        elif how == Disposition.PARK:
            rows.move(m, "park")
            side, stopped, _ = failure.code.partition("_logins_stopped") if failure else ("", "", "")
            if stopped and self._book.lets_in(m.mailbox.import_id, m.mailbox.mailbox_id, Side(side)):
                again_seconds = 0.001
            m.set(again_at=(now + int(again_seconds * 1000)) / 1000 if again_seconds else 0.0)
            rows.settle_import(rows.imports[m.mailbox.import_id])
        elif (
            how == Disposition.REPLAN
            and rows.move(m, "replan")
            and row.unit.kind is not UnitKind.PLAN
            and f"{m.mailbox.mailbox_id}.plan" not in rows.delayed
        ):
            rows.queue_plan(m)
        rows.refresh(m)

    def _hold(self, name: str, seconds: float, import_id: str, why: str) -> None:
        now = self._rows.now()
        until = now + int(seconds * 1000)
        lanes = len(self._lanes_at(name))
        if self._holds.get(name, 0) <= now < until and lanes > 1 and lanes * 2 > self._let_in(name)[0]:
            self._narrow_lanes(name, lanes // 2, Reason.ASKED)
        if until > self._holds.get(name, 0):
            self._holds[name], self._whys[name] = until, (import_id, why)

    @atomic
    def split(self, lease: Lease, halves: Sequence[tuple[Unit, Sequence[Intent]]]) -> None:
        rows = self._rows
        row = rows.fence(lease)
        if row.done + sum(len(unit.uids) for unit, _ in halves) != row.messages:
            raise StoreError("the state store refused split: the halves do not hold what is left")
        m, folder = rows.mailboxes[row.unit.mailbox_id], rows.folders[row.unit.folder_id]
        rows.drop_unit(row.unit.unit_id)
        for unit, intents in reversed(halves):
            unit = replace(unit, kind=UnitKind.COPY, mailbox_id=row.unit.mailbox_id, folder_id=row.unit.folder_id)
            rows.add_unit(unit, row.order, intents).ended = row.ended
            folder.waiting.appendleft(unit.unit_id)
        rows.next_batch(folder, row.unit.unit_id)
        rows.drain(m)
        rows.refresh(m)

    @atomic
    def recheck(self, mailbox_id: str, delay_seconds: float) -> bool:
        rows = self._rows
        m = rows.mailboxes.get(mailbox_id)
        events = {MailboxState.COMPLETE: "again", MailboxState.VERIFYING: "replan"}
        if m is None or m.mailbox.state not in events:
            return False
        whole = rows.imports[m.mailbox.import_id]
        self._expire(whole)
        if not whole.credentials or whole.import_.control is Control.CANCEL:
            return False
        rows.move(m, events[m.mailbox.state])
        rows.queue_plan(m)
        row = rows.units[f"{mailbox_id}.plan"]
        if delay_seconds > 0 and row.unit.state is UnitState.READY:
            row.set(state=UnitState.DELAYED)
            m.ready.pop(row.unit.unit_id, None)
            rows.delayed[row.unit.unit_id] = rows.now() + int(delay_seconds * 1000)
        whole.expires = None
        rows.reopen(whole)
        rows.refresh(m)
        return True

    @atomic
    def plan_folders(
        self, lease: Lease, plans: Sequence[tuple[FolderPlan, int]], *, settle_seconds: float = 0.0
    ) -> None:
        self._rows.fence(lease)
        for plan, order in plans:
            plan_folder(self._rows, lease, plan, order, int(settle_seconds * 1000))

    @atomic
    def folder(self, folder_id: str) -> Folder | None:
        folder = self._rows.folders.get(folder_id)
        return folder.shown() if folder else None

    @atomic
    def ledger(self, folder_id: str) -> list[LedgerEntry]:
        folder = self._rows.folders.get(folder_id)
        if folder is None:
            return []
        return [
            LedgerEntry(name=name, records=records, digest=folder.digests.get(name, 0), checked=name in folder.checked)
            for name, records in folder.ledger.items()
        ]

    @atomic
    def audit(self, lease: Lease, audits: Sequence[Audit]) -> None:
        self._rows.fence(lease)
        for audit in audits:
            self._audit(audit)

    @atomic
    def compared(self, lease: Lease, messages: int) -> None:
        self._rows.mailboxes[self._rows.fence(lease).unit.mailbox_id].set(compared=messages)

    def _audit(self, audit: Audit) -> None:
        folder = self._rows.folders[audit.folder_id]
        folder.digests.update(audit.digests)
        folder.checked |= set(audit.checked) & set(folder.ledger)
        counts = {what: getattr(audit, what) for what in AUDITED}
        if any(folder.counts[what] for what in counts):
            folder.notes = {key: note for key, note in folder.notes.items() if key[1] not in counts}
        folder.counts.update({what: number - folder.counts[what] for what, number in counts.items()})
        for what in ("undone", "keywords_lost"):
            folder.counts[what] += sum(n.what == what and (n.uid, n.what) not in folder.notes for n in audit.notes)
        folder.notes.update({(note.uid, note.what): note for note in audit.notes})
        folder.folder = replace(folder.folder, verified=audit.verified)

    @atomic
    def set_flags(self, lease: Lease, folder_id: str, highestmodseq: int, seen: Mapping[str, UidSet]) -> None:
        self._rows.fence(lease)
        empty = Folder(folder_id=folder_id, mailbox_id="", source_name=b"", destination_name=b"", display="")
        folder = self._rows.folders.setdefault(folder_id, FolderRow(empty))
        folder.folder = replace(folder.folder, highestmodseq=highestmodseq)
        folder.flags = dict(seen)

    @atomic
    def set_moving(self, lease: Lease, folder_id: str, moving: Sequence[Moving]) -> None:
        self._rows.fence(lease)
        self._rows.folders[folder_id].moving = tuple(moving)

    @atomic
    def set_deleted_too(self, lease: Lease, folder_id: str, uids: UidSet) -> None:
        self._rows.fence(lease)
        row = self._rows.folders[folder_id]
        row.folder = replace(row.folder, deleted_too=uids, verified="")

    @atomic
    def note_mixed(self, lease: Lease, folder_id: str) -> None:
        self._rows.fence(lease)
        row = self._rows.folders[folder_id]
        row.folder = replace(row.folder, mixed=True)

    @atomic
    def note_left_out(self, lease: Lease, other_folders: int, public_folders: int) -> None:
        m = self._rows.mailboxes[self._rows.fence(lease).unit.mailbox_id]
        m.set(other_folders=other_folders, public_folders=public_folders)

    @atomic
    def flags(self, folder_id: str) -> dict[str, UidSet]:
        folder = self._rows.folders.get(folder_id)
        return dict(folder.flags) if folder else {}

    @atomic
    def skipped(self, folder_id: str) -> dict[str, UidSet]:
        folder = self._rows.folders.get(folder_id)
        return dict(folder.skipped or {}) if folder else {}

    @atomic
    def limits_of(self, mailbox_id: str) -> dict[str, str]:
        m = self._rows.mailboxes.get(mailbox_id)
        return dict(m.scopes) if m else dict.fromkeys(SCOPES, "")
