"""The store in plain Python: the model that the scripts of `shared.store.redis` are held against, and that tests use.

It keeps nothing over a restart and knows one process only. What its methods promise stands in `shared.store`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from shared.errors import LeaseLost, StoreError
from shared.lifecycle import Control, ImportState, MailboxState, Outcome, UnitState, advance
from shared.maildrop import Known
from shared.model import (
    Audit,
    Failure,
    Folder,
    FolderPlan,
    Intent,
    Lease,
    LedgerEntry,
    Settled,
    Stranded,
    Unit,
    UnitKind,
)
from shared.plan import USUAL_WORTH, Worth
from shared.store import SCOPES, SILENT_SECONDS, Overview, process_of
from shared.store.memory_requests import atomic
from shared.store.memory_rows import FolderRow, MailboxRow, UnitRow, tally
from shared.store.memory_sign_ins import SignIns
from shared.uids import NO_UIDS, UidSet

#: How many mailboxes one claim looks at.
SCAN = 2000

#: What a claim costs beside the bytes it moves.
CLAIM_BYTES = 65536


class MemoryStore(SignIns):
    """`shared.store.Store` in memory. `clock` is the store's own, seconds since the epoch. Thread-safe."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        lease_seconds: float = 60,
        limits: Mapping[str, int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        worth: Worth = USUAL_WORTH,
    ) -> None:
        super().__init__(clock)
        self._worth = worth
        self._monotonic = monotonic
        self._lease_seconds = lease_seconds
        self._defaults = {scope: (limits or {}).get(scope, 4 if "account" in scope else 32) for scope in SCOPES}
        self._maildrops: dict[str, Known] = {}
        self._holds: dict[str, int] = {}
        self._workers: dict[str, int] = {}
        self._leader: tuple[str, int, int] = ("", 0, 0)

    # -- claiming

    @atomic
    def claim(self, holder: str, *, prefer: str = "", hint: str = "", held: str = "") -> Lease | None:
        rows = self._rows
        asked = self._monotonic()
        self._give_back(holder)
        rows.wake()
        chosen = self._choose(holder, prefer, hint)
        if chosen is None:
            return None
        m, row, fairly = chosen
        row = row or rows.units[min(m.ready, key=lambda u: (m.ready[u], u))]
        now = rows.now()
        expiry = now + int(self._lease_seconds * 1000)
        del m.ready[row.unit.unit_id]
        row.set(state=UnitState.LEASED, attempts=row.unit.attempts + 1)
        row.holder, row.term, row.used, row.began = holder, rows.next_term(), False, row.done
        rows.leases[row.unit.unit_id] = expiry
        if held and held != m.mailbox.mailbox_id and held in rows.mailboxes:
            self._free(holder, rows.mailboxes[held])
        for name in self._scopes(m):
            self._permits.setdefault(name, {})[holder] = expiry
        self._charge(m, CLAIM_BYTES + row.unit.size_bytes, fairly=fairly)
        if row.unit.kind is UnitKind.PLAN:
            rows.move(m, "plan_claimed")
        whole = rows.imports[m.mailbox.import_id]
        if row.unit.kind is UnitKind.COPY and not whole.request.first_claim_at:
            whole.set(first_claim_at=now / 1000)
        rows.refresh(m)
        folder = rows.folders.get(row.unit.folder_id)
        name = row.unit.unit_id
        return Lease(
            unit=row.unit,
            holder=holder,
            term=row.term,
            deadline=asked + self._lease_seconds,
            claimed_at=now / 1000,
            mailbox=self._mailbox(m.mailbox.mailbox_id),
            folder=folder.shown() if folder else None,
            records=folder.ledger.get(name, ()) if folder else (),
            others=row.others,
            digest=folder.digests.get(name, 0) if folder else 0,
            intents=tuple(sorted(row.intents.values(), key=lambda i: (i.at, i.uids.ranges))),
        )

    def _give_back(self, holder: str) -> None:
        """A lease that the holder still has while it claims never reached it: the answer was lost. Unless something was
        done under it, that attempt was none."""
        for unit_id in [u for u in self._rows.leases if self._rows.units[u].holder == holder]:
            row = self._rows.units[unit_id]
            if not row.used:
                self._rows.forgive(row)
            self._rows.take_back(row)

    def _choose(self, holder: str, prefer: str, hint: str) -> tuple[MailboxRow, UnitRow | None, bool] | None:
        rows = self._rows
        m = rows.mailboxes.get(prefer)
        if m and m.ready and rows.may(m) and self._admits(m, holder):
            return m, None, False
        row = rows.units.get(hint)
        if row and row.unit.state is UnitState.READY:
            m = rows.mailboxes[row.unit.mailbox_id]
            if rows.may(m) and self._admits(m, holder) and self._is_worth(m, holder):
                return m, row, False
        full: set[str] = set()  # routes of which a host says no: whoever stands behind is not looked at
        for m in self._by_fairness():
            if m.route in full:
                continue
            if not rows.may(m):
                rows.refresh(m)
            elif self._admits(m, holder):
                if self._is_worth(m, holder):
                    return m, None, True
            elif not self._admits(m, holder, ("source_host", "destination_host")):
                full.add(m.route)
        return None

    def _is_worth(self, m: MailboxRow, holder: str) -> bool:
        """Whether one lane more at the mailbox is worth its logins."""
        lanes = self._permits.get(f"destination_account:{m.scopes['destination_account']}", {})
        if not lanes or holder in lanes or m.mailbox.state is not MailboxState.COPYING:
            return True
        left = self._tally([m.mailbox.mailbox_id])
        return len(lanes) < self._worth.lanes(left.pending, left.size_bytes - left.done_bytes)

    def _by_fairness(self) -> Iterator[MailboxRow]:
        rows = self._rows
        for route in sorted(rows.routes, key=lambda r: (rows.routes[r], r)):
            queue = rows.queues[route]
            for mailbox_id in sorted(queue, key=lambda m: (queue[m], m))[:SCAN]:
                yield rows.mailboxes[mailbox_id]

    def _charge(self, m: MailboxRow, cost: int, *, fairly: bool) -> None:
        rows = self._rows
        queue = rows.queues[m.route]
        start = queue.get(m.mailbox.mailbox_id, m.served)
        if fairly:
            rows.last[m.route] = max(rows.last[m.route], start)
            rows.last[""] = max(rows.last[""], rows.routes[m.route])
        rows.routes[m.route] += cost
        m.served = start + cost
        if m.mailbox.mailbox_id in queue:
            queue[m.mailbox.mailbox_id] = m.served

    @staticmethod
    def _scopes(m: MailboxRow) -> list[str]:
        return [f"{scope}:{m.scopes[scope]}" for scope in SCOPES]

    def _admits(self, m: MailboxRow, holder: str, scopes: Sequence[str] = SCOPES) -> bool:
        """Whether these scopes let this holder in: no hold, and a connection left or held already."""
        now = self._rows.now()
        for scope, name in zip(SCOPES, self._scopes(m), strict=True):
            if scope not in scopes:
                continue
            if self._holds.get(name, 0) > now:
                return False
            lanes = self._permits.get(name, {})
            if holder not in lanes:
                for lane in [lane for lane, until in lanes.items() if until <= now]:
                    del lanes[lane]
                if len(lanes) >= self._most(scope, name):
                    return False
        return True

    def _most(self, scope: str, name: str) -> int:
        if name in self._limits:
            return self._limits[name]
        server = "/".join(name.split("/")[:3]) if scope.endswith("account") else name
        found = [limits[key] for limits, key in ((self._limits, scope), (self._usual, server)) if key in limits]
        return min(found, default=self._defaults[scope])

    def _free(self, holder: str, m: MailboxRow) -> None:
        for name in self._scopes(m):
            self._permits.get(name, {}).pop(holder, None)

    # -- work under a lease

    @atomic
    def attend(self, worker: str, leases: Sequence[Lease], *, extend: bool) -> list[str]:
        rows, now = self._rows, self._rows.now()
        self._workers[worker] = now
        words: list[str] = []
        for lease in leases:
            try:
                row = rows.fence(lease)
            except LeaseLost:
                words.append("lost")
                continue
            m = rows.mailboxes[row.unit.mailbox_id]
            if extend:
                expiry = now + int(self._lease_seconds * 1000)
                rows.leases[lease.unit.unit_id] = expiry
                for name in self._scopes(m):
                    self._permits.setdefault(name, {})[lease.holder] = expiry
            words.append(rows.wish(m))
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
    ) -> Control:
        rows = self._rows
        row = rows.fence(lease)
        folder = rows.folders.get(row.unit.folder_id)
        if folder is None:
            raise StoreError("the state store refused progress: only batches have any")
        new = rows.new_of(row, folder, settled)
        for intent in intents:
            if intent.intent_id in row.intents and row.intents[intent.intent_id].uids != intent.uids:
                raise StoreError(f"the state store refused progress: intent {intent.intent_id} stands for others")
        for one in new:
            rows.settle(row, folder, one)
        folder.folder = replace(folder.folder, doubts=folder.folder.doubts | doubts)
        for intent_id in withdrawn:
            row.intents.pop(intent_id, None)
        word = rows.wish(rows.mailboxes[row.unit.mailbox_id])
        if word is Control.RUN:
            for intent in intents:
                row.intents.setdefault(intent.intent_id, replace(intent, at=rows.now() / 1000))
        return word

    @atomic
    def finish(self, lease: Lease, records: Sequence[LedgerEntry] = ()) -> None:
        rows = self._rows
        row = rows.fence(lease)
        unit = row.unit
        if row.intents or (unit.kind is UnitKind.COPY and row.done < row.messages):
            raise StoreError(f"the state store refused finish: intents or messages of {unit.unit_id} are open")
        m = rows.mailboxes[unit.mailbox_id]
        folder = rows.folders.get(unit.folder_id)
        rows.drop_unit(unit.unit_id)
        if folder:
            if records:
                folder.ledger[unit.unit_id] = tuple(records[0].records)
                if records[0].checked:
                    folder.checked.add(unit.unit_id)
            rows.next_batch(folder)
        if unit.kind is UnitKind.PLAN:
            rows.move(m, "planned")
        if unit.kind is UnitKind.VERIFY and rows.move(m, "verified"):
            m.set(failure=None)
        rows.drain(m)
        rows.refresh(m)
        rows.settle_import(rows.imports[m.mailbox.import_id])

    def follow(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        records: Sequence[LedgerEntry] = (),
        prefer: str = "",
        claim: bool = True,
    ) -> Lease | None:
        if settled:
            self.progress(lease, settled=settled)
        self.finish(lease, records)
        return self.claim(lease.holder, prefer=prefer, held=lease.mailbox.mailbox_id) if claim else None

    @atomic
    def release(
        self,
        lease: Lease,
        *,
        how: str,
        delay_seconds: float = 0,
        failure: Failure | None = None,
        hold: str = "",
        hold_seconds: float = 0,
    ) -> None:
        rows, now = self._rows, self._rows.now()
        row = rows.fence(lease)
        m = rows.mailboxes[row.unit.mailbox_id]
        del rows.leases[row.unit.unit_id]
        if how != "again":
            rows.forgive(row)
        if failure:
            m.set(failure=failure)
            m.failures.appendleft(failure)
        if hold:
            self._holds[hold] = max(self._holds.get(hold, 0), now + int(hold_seconds * 1000))
        if delay_seconds > 0:
            row.set(state=UnitState.DELAYED)
            row.holder = ""
            rows.delayed[row.unit.unit_id] = now + int(delay_seconds * 1000)
        else:
            rows.make_ready(row)
        if how == "park":
            rows.move(m, "park")
            rows.settle_import(rows.imports[m.mailbox.import_id])
        elif how == "replan" and rows.move(m, "replan") and row.unit.kind is not UnitKind.PLAN:
            rows.queue_plan(m)
        rows.refresh(m)

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
            rows.add_unit(unit, row.order, intents)
            folder.waiting.appendleft(unit.unit_id)
        rows.next_batch(folder)
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
        if not whole.credentials or whole.request.control is Control.CANCEL:
            return False
        rows.move(m, events[m.mailbox.state])
        rows.queue_plan(m)
        row = rows.units[f"{mailbox_id}.plan"]
        if delay_seconds > 0 and row.unit.state is UnitState.READY:
            row.set(state=UnitState.DELAYED)
            m.ready.pop(row.unit.unit_id, None)
            rows.delayed[row.unit.unit_id] = rows.now() + int(delay_seconds * 1000)
        whole.expires = None
        if whole.request.state is ImportState.FINISHED:
            whole.set(state=ImportState(advance("import", ImportState.FINISHED, "reopened")), finished_at=0.0)
        rows.refresh(m)
        return True

    @atomic
    def plan_folders(self, lease: Lease, plans: Sequence[tuple[FolderPlan, int]]) -> None:
        self._rows.fence(lease)
        for plan, order in plans:
            self._plan_folder(lease, plan, order)

    def _plan_folder(self, lease: Lease, plan: FolderPlan, order: int) -> None:
        rows = self._rows
        row = rows.fence(lease)
        m = rows.mailboxes[row.unit.mailbox_id]
        name = plan.folder.folder_id
        known = name in m.folders
        folder = rows.folders.get(name) or FolderRow(plan.folder)
        call = (lease.term, plan)
        if folder.planned == call:
            return
        chosen = plan.skipped is None or plan.skipped == folder.skipped
        again = known and not plan.reset and chosen and folder.folder.uidnext == plan.folder.uidnext
        new = [] if again else rows.new_of(row, folder, plan.adopted, fresh=plan.reset)
        doubts, verified = folder.folder.doubts, folder.folder.verified
        if plan.reset:
            for unit_id in [folder.head, *folder.waiting]:
                if unit_id:
                    rows.drop_unit(unit_id)
            folder = FolderRow(plan.folder)
            doubts, verified = UidSet(), ""
        folder.folder = replace(plan.folder, doubts=doubts, verified=verified, mailbox_id=m.mailbox.mailbox_id)
        folder.order, folder.planned = order, call
        rows.folders[name] = folder
        if not known:
            m.folders.append(name)
        if again:
            return
        folder.counts.update(messages=plan.messages, size_bytes=plan.size_bytes)
        if plan.skipped is not None:
            before, now = (sum(map(len, sets.values())) for sets in (folder.skipped or {}, plan.skipped))
            folder.counts.update({Outcome.SKIPPED: now - before, "done_bytes": plan.skipped_bytes})
            folder.skipped = dict(plan.skipped)
        for settled in new:
            rows.settle(row, folder, settled)
        row.others = UidSet()
        if row.unit.unit_id in folder.ledger:
            # The plan unit is gone after planning: what was adopted stands under a name of its own.
            adopted = f"adopted.{plan.folder.uidnext}"
            while adopted in folder.ledger:  # of what is wanted after all
                adopted += "+"
            folder.ledger[adopted] = folder.ledger.pop(row.unit.unit_id)
            folder.digests[adopted] = folder.digests.pop(row.unit.unit_id)
        for n, unit in enumerate(plan.batches, start=1):
            if unit.unit_id not in rows.units:
                unit = replace(unit, kind=UnitKind.COPY, mailbox_id=m.mailbox.mailbox_id, folder_id=name, attempts=0)
                rows.queue_batch(folder, rows.add_unit(unit, order * 100_000 + n))
        rows.refresh(m)

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

    def _audit(self, audit: Audit) -> None:
        folder = self._rows.folders[audit.folder_id]
        folder.digests.update(audit.digests)
        folder.checked |= set(audit.checked) & set(folder.ledger)
        folder.counts.update(
            altered=audit.altered - folder.counts["altered"], missing=audit.missing - folder.counts["missing"]
        )
        folder.notes.update({(note.uid, note.what): note for note in audit.notes})
        folder.folder = replace(folder.folder, verified=audit.verified)

    @atomic
    def maildrop(self, mailbox_id: str) -> Known:
        return self._maildrops.get(mailbox_id, Known(generation=1))

    @atomic
    def number_maildrop(self, mailbox_id: str, before: Known, digests: bytes, *, renew: bool) -> Known:
        known = self._maildrops.get(mailbox_id, Known(generation=1))
        if known == before and renew:
            known = Known(generation=known.generation + 1, digests=digests)
        elif known == before:
            known = Known(generation=known.generation, digests=known.digests + digests)
        self._maildrops[mailbox_id] = known
        return known

    @atomic
    def set_flags(self, lease: Lease, folder_id: str, highestmodseq: int, seen: Mapping[str, UidSet] | None) -> None:
        self._rows.fence(lease)
        empty = Folder(folder_id=folder_id, mailbox_id="", source_name=b"", destination_name=b"", display="")
        folder = self._rows.folders.setdefault(folder_id, FolderRow(empty))
        folder.folder = replace(folder.folder, highestmodseq=highestmodseq)
        if seen is not None:
            folder.flags = dict(seen)

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

    # -- coordination

    @atomic
    def lead(self, holder: str, ttl_seconds: float) -> int:
        now = self._rows.now()
        leader, term, until = self._leader
        if until > now and leader != holder:
            return 0
        if until <= now:
            term = self._rows.next_term()
        self._leader = (holder, term, now + int(ttl_seconds * 1000))
        return term

    @atomic
    def reap(self, grace_seconds: float) -> list[str]:
        rows, now = self._rows, self._rows.now()
        over = sorted((until, u) for u, until in rows.leases.items() if until <= now - int(grace_seconds * 1000))
        for _, unit_id in over:
            rows.take_back(rows.units[unit_id])
        rows.wake()
        return [unit_id for _, unit_id in over]

    @atomic
    def processes(self) -> list[str]:
        rows = self._rows
        lanes = {process_of(rows.units[u].holder) for u in rows.leases}
        return sorted((lanes | set(self._workers) | {self._leader[0]}) - {""})

    @atomic
    def bury(self, processes: Sequence[str]) -> list[str]:
        rows, taken = self._rows, []
        for process in processes:
            self._workers.pop(process, None)
        for _, unit_id in sorted((until, u) for u, until in rows.leases.items()):
            row = rows.units[unit_id]
            if process_of(row.holder) in processes:
                self._free(row.holder, rows.mailboxes[row.unit.mailbox_id])
                rows.take_back(row)
                taken.append(unit_id)
        if self._leader[0] in processes:
            self._leader = ("", 0, 0)
        return taken

    @atomic
    def stranded(self, import_id: str) -> Stranded:
        rows, now = self._rows, self._rows.now()
        units = messages = left = 0
        for unit_id, until in rows.leases.items():
            row = rows.units[unit_id]
            heard = max(until - int(self._lease_seconds * 1000), self._workers.get(process_of(row.holder), 0))
            if (
                rows.mailboxes[row.unit.mailbox_id].mailbox.import_id == import_id
                and heard <= now - SILENT_SECONDS * 1000
            ):
                units, left = units + 1, max(left, until - now)
                folder = rows.folders.get(row.unit.folder_id)
                messages += tally([folder.counts]).pending if folder else 0
        return Stranded(units=units, messages=messages, seconds=left / 1000)

    @atomic
    def overview(self) -> Overview:
        rows, now = self._rows, self._rows.now()
        ready = [rows.mailboxes[m] for queue in rows.queues.values() for m in queue]
        states = Counter(whole.request.state for whole in rows.imports.values())
        return Overview(
            ready_mailboxes=len(ready),
            ready_units=sum(len(m.ready) for m in ready),
            delayed_units=len(rows.delayed),
            leased_units=len(rows.leases),
            workers=sum(heard >= now - 30_000 for heard in self._workers.values()),
            imports={state: states[state] for state in ImportState},
            holds={name: until / 1000 for name, until in self._holds.items() if until > now},
        )

    @atomic
    def ready_mailboxes(self) -> dict[str, float]:
        return {m: float(place) for queue in self._rows.queues.values() for m, place in queue.items()}

    @atomic
    def ready_units(self, count: int) -> list[Unit]:
        rows = self._rows
        found: list[Unit] = []
        for m in self._by_fairness():
            found += [rows.units[u].unit for u in sorted(m.ready, key=lambda u: (m.ready[u], u))[:4]]
        return found[:count]
