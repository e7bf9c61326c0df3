"""The model's part for plans: what a plan of a folder changes, and when it may void the folder that was planned before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from shared.model import FolderPlan, Lease, UnitKind
from shared.model.errors import FolderInUse
from shared.model.lifecycle import Outcome, UnitState, Wish
from shared.model.uids import NO_UIDS, UidSet
from shared.rules.age_bands import BAND
from shared.store.memory.memory_rows import Rows
from shared.store.memory.memory_tables import FolderRow, MailboxRow, UnitRow

#: The least wait for a folder that is in use, ms.
IN_USE_MS = 1_000


def in_use_ms(batches: Sequence[UnitRow], planned_at: int, settle: int, now: int) -> int:
    """Returns how long a plan waits that voids the folder of these batches and was claimed at `planned_at`; all in ms.

    It waits while a lane has something on the wire, and until what other lanes left cannot arrive any more (`settle` after
    they ended) since before the plan was claimed: it would forget their intents, and may have listed the folder too early.
    """
    wait = IN_USE_MS if any(batch.live() for batch in batches) else 0
    for batch in batches:
        for intent in batch.left():
            till = max(batch.ended, round(intent.at * 1000)) + settle
            if till > planned_at:
                wait = max(wait, IN_USE_MS, till - now)
    return wait


def plan_folder(rows: Rows, lease: Lease, plan: FolderPlan, order: int, settle: int) -> None:
    """Enters one planned folder. `settle`: the settle time, ms."""
    row = rows.fence(lease)
    m = rows.mailboxes[row.unit.mailbox_id]
    name = plan.folder.folder_id
    known = name in m.folders
    folder = rows.folders.get(name) or FolderRow(plan.folder)
    call = (lease.term, plan)
    if folder.planned == call:
        return
    chosen = plan.skipped is None or plan.skipped == folder.skipped
    same = folder.folder.uidnext == plan.folder.uidnext and folder.folder.hidden == plan.folder.hidden
    back = [uid for uid in plan.shown_again if (uid, Outcome.VANISHED.value) in folder.notes]
    again = known and not plan.reset and chosen and same and not back
    new = [] if again else rows.new_of(row, folder, plan.adopted, fresh=plan.reset)
    doubts, doubted_at, verified = folder.folder.doubts, folder.folder.doubted_at, folder.folder.verified
    accepted, deleted_too, mixed = folder.folder.accepted, folder.folder.deleted_too, folder.folder.mixed
    if plan.reset or plan.let_go:
        _wait_for_lanes(rows, m, folder, lease.term, settle)
    if plan.reset:
        for unit_id in [*folder.heads, *folder.waiting]:
            rows.drop_unit(unit_id)
        folder = FolderRow(plan.folder)
        doubts, doubted_at, verified, accepted, deleted_too, mixed = NO_UIDS, 0.0, "", NO_UIDS, NO_UIDS, False
    if plan.let_go:
        folder.let_go(len(plan.folder.taken_away))
        doubts, doubted_at = UidSet(), 0.0
    folder.folder = replace(
        plan.folder,
        doubts=doubts,
        doubted_at=doubted_at,
        verified=verified,
        mailbox_id=m.mailbox.mailbox_id,
        accepted=accepted,
        deleted_too=deleted_too,
        mixed=mixed,
    )
    folder.digests.update(plan.digests)
    folder.order, folder.planned = order, call
    if plan.flags is not None:
        folder.flags = dict(plan.flags)
    rows.folders[name] = folder
    if not known:
        m.folders.append(name)
    if plan.withheld is not None:
        more = plan.withheld - folder.counts["withheld"]
        folder.counts.update(withheld=more, messages=more)
    folder.counts["unreadable"] = int(plan.folder.unreadable)
    folder.counts["deleted_at_source"] = len(plan.folder.deleted)
    folder.counts["moved_at_source"] = len(plan.folder.followed)
    if again:
        return
    for uid in back:
        folder.notes.pop((uid, Outcome.VANISHED.value), None)
    folder.counts.update({Outcome.VANISHED: -len(back)})
    folder.counts.update(messages=plan.messages - len(back), size_bytes=plan.size_bytes)
    if plan.skipped is not None:
        before, now = (sum(map(len, sets.values())) for sets in (folder.skipped or {}, plan.skipped))
        folder.counts.update({Outcome.SKIPPED: now - before, "done_bytes": plan.skipped_bytes})
        whole = rows.imports[rows.mailboxes[folder.folder.mailbox_id].mailbox.import_id]
        whole.reach(Outcome.SKIPPED, now - before)
        whole.reach("done_bytes", plan.skipped_bytes)
        folder.skipped = dict(plan.skipped)
    for settled in new:
        rows.settle(row, folder, settled)
    row.others = UidSet()
    if row.unit.unit_id in folder.ledger:
        # The plan unit is gone after planning: the adopted messages stand under a name of their own.
        ours = new and all(settled.outcome is Outcome.COPIED for settled in new)
        adopted = f"{'followed' if ours else 'adopted'}.{plan.folder.uidnext}"
        while adopted in folder.ledger:  # a later plan adopted what the request now wants
            adopted += "+"
        folder.ledger[adopted] = folder.ledger.pop(row.unit.unit_id)
        folder.digests[adopted] = folder.digests.pop(row.unit.unit_id)
    for n, unit in enumerate(plan.batches, start=1):
        if unit.unit_id not in rows.units:
            unit = replace(unit, kind=UnitKind.COPY, mailbox_id=m.mailbox.mailbox_id, folder_id=name, attempts=0)
            rows.queue_batch(folder, rows.add_unit(unit, unit.band * BAND + order * 100_000 + n))
    rows.refresh(m)


def _wait_for_lanes(rows: Rows, m: MailboxRow, folder: FolderRow, term: int, settle: int) -> None:
    """Raises `FolderInUse` while a plan may not void the folder; its batches wait with the plan."""
    now = rows.now()
    batches = [rows.units[u] for u in (*folder.heads, *folder.waiting)]
    for batch in batches:
        if batch.live():
            batch.yields = Wish.PAUSE
    # What was entered since this plan was claimed may not be in what it listed.
    wait = IN_USE_MS if folder.written >= term else 0
    wait = max(wait, in_use_ms(batches, round(m.mailbox.planned_at * 1000), settle, now))
    if wait:
        folder.rests = now + wait
        for name in folder.heads:
            if rows.units[name].unit.state is UnitState.READY:
                rows.make_ready(rows.units[name])
        raise FolderInUse(wait / 1000)
