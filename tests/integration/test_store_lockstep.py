"""Tests the real scripts against the model in random lives of imports.

The lives go step by step, with crashes, lost answers, zombies and duplicates. After each step both stores must agree,
and the keys of Redis must be in order.

Wherever an answer may be lost, Redis is called twice and the model once. `MAILHAUL_LOCKSTEP_EXAMPLES` sets the number
of lives.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.model import (
    Audit,
    Endpoint,
    Failure,
    Import,
    Lease,
    LedgerEntry,
    Mailbox,
    Note,
    Settled,
    Tls,
    Unit,
    UnitKind,
)
from shared.model.errors import FolderInUse, LeaseLost, LedgerConflict, StoreError, UsageError
from shared.model.lifecycle import SETTLED, ImportState, MailboxState, Outcome
from shared.model.uids import UidSet, records_of
from shared.store.memory.memory_store import MemoryStore
from tests.contract.store_kit import (
    Clock,
    batch,
    binaries,
    copied,
    everything,
    flat,
    folder_of,
    intent,
    ledger_is_bijection,
    let_go_of,
    other,
    person,
    plan_of,
    readable,
    redis_store,
    request,
    serve,
    sums_agree,
)
from tests.integration.lanes_lockstep import MOST_LANES, attend
from tests.integration.lockstep_draws import (
    ENDS,
    HOLD,
    HOLDERS,
    HOW,
    LIMITS,
    LOST,
    OTHERS,
    PEOPLE,
    SIZES,
    TIMES,
    choice,
)
from tests.integration.people_lockstep import act
from tests.integration.store_keys import keys_are_in_order, let_stand
from tests.integration.told_lockstep import forecast, send, tell
from tests.integration.writers_lockstep import compare_writing, drawn_halves

CLIENT: list[redis.Redis] = []


class Lockstep(RuleBasedStateMachine):
    """A pair of stores with the same life."""

    def __init__(self) -> None:
        super().__init__()
        client = self.client = CLIENT[0]
        client.flushdb()
        self.clock = Clock(client)
        self.real = redis_store(client, lease_seconds=60, limits=LIMITS, most_lanes=MOST_LANES)
        self.model = MemoryStore(clock=self.clock, lease_seconds=60, limits=LIMITS, most_lanes=MOST_LANES)
        self.real.piece = self.model.piece = 1
        self.imports: list[Import] = []
        self.people: list[Mailbox] = []
        #: The (lease of the real store, lease of the model) of each lane.
        self.leases: dict[str, tuple[Lease, Lease]] = {}
        self.zombies: list[tuple[Lease, Lease]] = []
        self.next_uid: dict[str, int] = {}
        self.count = 0

    # -- calling both

    def _one(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            return method(*args, **kwargs)
        except (FolderInUse, LeaseLost, LedgerConflict, StoreError, UsageError) as error:
            return (FolderInUse, error.seconds) if isinstance(error, FolderInUse) else type(error)

    def both(self, name: str, *args: Any, lost: bool = False, **kwargs: Any) -> Any:
        """Calls both stores, with `lost` the real one twice. Splits a pair of leases between the stores."""
        real_args = model_args = args
        if args and isinstance(args[0], tuple) and isinstance(args[0][0], Lease):
            real_args, model_args = (args[0][0], *args[1:]), (args[0][1], *args[1:])
        real = self._one(getattr(self.real, name), real_args, kwargs)
        if lost:
            second = self._one(getattr(self.real, name), real_args, kwargs)
            assert second == real or second in (LeaseLost, 0, False, []), f"{name}: {real!r}, then {second!r}"
        model = self._one(getattr(self.model, name), model_args, kwargs)
        assert real == model, f"{name}: the scripts say {real!r}, the model {model!r}"
        return real

    # -- the request

    @initialize(
        mailboxes=st.integers(1, 4),
        routes=st.integers(1, 2),
        sizes=st.lists(SIZES, min_size=8, max_size=8),
        empty=st.booleans(),
        stands=st.booleans(),
    )
    def begin(self, mailboxes: int, routes: int, sizes: list[int], empty: bool, stands: bool) -> None:
        """Opens the imports and plans all but the last mailbox; some are `empty`, or all, complete and due for a look."""
        sizes = [0] * 8 if stands else [0, 0, *sizes[2:]] if empty else sizes
        third = Endpoint(host="third.example", port=143, tls=Tls.NONE)
        self.imports = [request(), request("b", source=third)][:routes]
        self.people = [person(self.imports[n % routes], n + 1) for n in range(mailboxes)]
        self.people[1:2] = [replace(one, wave="a", priority=1) for one in self.people[1:2]]
        self.people[2:3] = [replace(one, wave="b", wave_by_rule=True) for one in self.people[2:3]]
        for whole in self.imports:
            self.both("open_import", whole, [m for m in self.people if m.import_id == whole.import_id], 14, lost=True)
            ours = [m.mailbox_id for m in self.people if m.import_id == whole.import_id]
            self.both("seal", whole.import_id, {(m, "source"): b"sealed" for m in ours}, lost=True)
            self.both("submit", whole.import_id, lost=True)
        for n, mailbox in enumerate(self.people[:3]):
            pair = self._claim("planner", {"prefer": mailbox.mailbox_id})
            assert pair is not None
            for order, name in enumerate(("INBOX", "Sent")):
                new = sizes[2 * n + order]
                folder = folder_of(mailbox, name, uidnext=new + 1, source_messages=new)
                pieces = enumerate(UidSet.span(1, new).pieces(10))
                parts = tuple(replace(batch(folder, part), band=(n + at) % 3) for at, part in pieces)
                plan = replace(plan_of(mailbox), folder=folder, batches=parts, messages=new, size_bytes=1000 * new)
                self.both("plan_folders", pair, [(plan, order + 1)], lost=True)
            self.both("finish", pair, lost=True)
            self.both("leave", "planner", mailbox.mailbox_id)
            del self.leases["planner"]
        if stands:
            let_stand(self)

    @rule(data=st.data(), what=st.sampled_from(PEOPLE))
    def people_act(self, data: st.DataObject, what: str) -> None:
        act(self, data, what)

    # -- lanes

    def _claim(self, holder: str, arguments: dict[str, str]) -> tuple[Lease, Lease] | None:
        real = self.real.claim(holder, **arguments)
        model = self.model.claim(holder, **arguments)
        assert (real is None) == (model is None), f"claim: {real} against {model}"
        if real is None or model is None:
            return None
        assert readable(real) == readable(model)
        self.leases[holder] = (real, model)
        return real, model

    @precondition(lambda self: len(self.leases) < 4)
    @rule(n=st.integers(0, 3), lost=LOST)
    def claim(self, n: int, lost: bool) -> None:
        """Claims for a free lane, which prefers its last mailbox or not."""
        free = [holder for holder in "abcd" if holder not in self.leases]
        for _ in range(2 if lost else 1):
            self._claim(free[n % len(free)], {})

    @rule(holder=HOLDERS, n=st.integers(0, 3), prefer=st.booleans(), hint=st.booleans(), held=st.booleans(), lost=LOST)
    def claim_anyhow(self, holder: str, n: int, prefer: bool, hint: bool, held: bool, lost: bool) -> None:
        """Claims for any lane: it may have forgotten its lease, or have the name of one that died."""
        mailbox = self.people[n % len(self.people)].mailbox_id
        ready = self.model.ready_units(10)
        if before := self.leases.pop(holder, None):
            self.zombies.append(before)
        arguments = {
            "prefer": mailbox if prefer else "",
            "hint": ready[n % len(ready)].unit_id if hint and ready else "",
            "held": mailbox if held else "",
        }
        for _ in range(2 if lost else 1):
            self._claim(holder, arguments)

    @rule(data=st.data(), what=TIMES)
    def time_goes_by(self, data: st.DataObject, what: str) -> None:
        lost = data.draw(LOST)
        if what == "crash" and self.leases:
            # The lane forgets its lease, but may still send under it much later.
            self.zombies.append(self.leases.pop(data.draw(st.sampled_from(sorted(self.leases)))))
        elif what == "attend":
            attend(self, data, lost)
        elif what == "time":
            self.clock.forward(data.draw(st.sampled_from([0.5, 10.0, 25.0, 61.0])))
        elif what == "reap":
            self.both("reap", data.draw(st.sampled_from([0, 15])), lost=lost)
        elif what == "leave":
            mailbox = self.people[data.draw(st.integers(0, 3)) % len(self.people)]
            self.both("leave", data.draw(HOLDERS), mailbox.mailbox_id)
        elif what == "lead":
            self.both(
                "lead", data.draw(st.sampled_from(["x", "y"])), 30, data.draw(st.sampled_from(["leader", "sender"]))
            )
        elif what == "tell":
            tell(self, data, lost)
        elif what == "forecast":
            forecast(self, data, lost)
        elif what == "send":
            send(self, data, lost)
        elif what == "bury":
            # The death may be certain or not: a lane that lives after all is a zombie from here on.
            names = st.sampled_from([*self.leases, "w", "x"])
            self.both("bury", data.draw(st.lists(names, min_size=1, max_size=2)), lost=lost)

    # -- work

    def _has(self, *kinds: UnitKind) -> bool:
        return any(pair[0].unit.kind in kinds for pair in [*self.leases.values(), *self.zombies[-3:]])

    def _lease(self, data: st.DataObject, *kinds: UnitKind) -> tuple[Lease, Lease] | None:
        """Draws a lane's lease, now and then a zombie's."""
        pool = [self.leases[h] for h in sorted(self.leases)] * 4 + self.zombies[-3:]
        pool = [pair for pair in pool if pair[0].unit.kind in kinds]
        return data.draw(st.sampled_from(pool)) if pool else None

    def _remaining(self, unit: Unit) -> UidSet:
        """Returns the source UIDs of the unit that have neither outcome nor intent."""
        row = self.model._rows.units.get(unit.unit_id)
        if row is None:
            return unit.uids
        done = row.others
        for record in self.model._rows.folders[unit.folder_id].ledger.get(unit.unit_id, ()):
            done |= record.source
        for one in row.intents.values():
            done |= one.uids
        return unit.uids - done

    def _ended(self, pair: tuple[Lease, Lease]) -> None:
        self.leases = {holder: kept for holder, kept in self.leases.items() if kept is not pair}

    @precondition(lambda self: self._has(UnitKind.PLAN))
    @rule(data=st.data(), name=st.sampled_from(["INBOX", "Sent"]), new=SIZES, reset=st.booleans(), lost=LOST)
    def plan(self, data: st.DataObject, name: str, new: int, reset: bool, lost: bool) -> None:
        pair = self._lease(data, UnitKind.PLAN)
        if pair is None:
            return
        folder = folder_of(pair[0].mailbox, name)
        known = self.model.folder(folder.folder_id)
        reset = reset and known is not None and data.draw(st.integers(0, 3)) == 0
        low = 1 if reset or known is None else known.uidnext
        validity, high = (known.uidvalidity if known else 7) + reset, low + new - 1
        deleted, followed = UidSet.span(1, data.draw(st.integers(0, low - 1))).take(3)
        folder = replace(
            folder,
            uidnext=high + 1,
            uidvalidity=validity,
            source_messages=high,
            highestmodseq=2**60 + 1,
            deleted=deleted,
            followed=followed,
        )
        uids = UidSet.span(low, low + new - 1)
        adopted: tuple[Settled, ...] = ()
        if uids and (known is None or reset):
            if reset:
                self.next_uid[folder.folder_id] = 1
            share = uids.take(data.draw(st.integers(0, len(uids))))[0]
            if share:
                found = copied(share, self._destination(folder.folder_id, len(share)))
                adopted = (replace(found, outcome=Outcome.ALREADY_PRESENT),)
                uids -= share
        gone = data.draw(st.integers(0, 3)) == 0
        folder, let_go = let_go_of(self.model, folder, None if reset else known, drawn=gone)
        skipped, revived, changed = choice(data, {} if reset else self.model.skipped(folder.folder_id), uids)
        uids = (uids - changed) | revived
        pieces = uids.pieces(data.draw(st.integers(1, 12)))
        parts = tuple(replace(batch(folder, part), band=data.draw(st.integers(0, 2))) for part in pieces)
        plan = replace(
            plan_of(pair[0].mailbox, name),
            folder=folder,
            batches=parts,
            messages=new,
            size_bytes=1000 * new,
            adopted=adopted,
            reset=reset,
            let_go=let_go,
            skipped=skipped,
            skipped_bytes=1000 * (len(changed) - len(revived)),
        )
        settle = data.draw(st.sampled_from([0.0, 30.0]))
        self.both("plan_folders", pair, [(plan, ["INBOX", "Sent"].index(name) + 1)], lost=lost, settle_seconds=settle)

    def _destination(self, folder: str, n: int) -> int:
        first = self.next_uid.get(folder, 1)
        self.next_uid[folder] = first + n + 1  # leaves room for another client's message
        return first

    @precondition(lambda self: self._has(UnitKind.COPY))
    @rule(data=st.data(), n=st.integers(1, 12), lost=LOST, doubt=st.booleans())
    def intend(self, data: st.DataObject, n: int, lost: bool, doubt: bool) -> None:
        pair = self._lease(data, UnitKind.COPY)
        if pair is None:
            return
        group, _ = self._remaining(pair[0].unit).take(n)
        if not group:
            return
        self.count += 1
        number = f"{pair[0].term}.{self.count}"
        doubts = group if doubt else UidSet()
        written = intent(number, group, self.next_uid.get(pair[0].unit.folder_id, 1))
        self.both("progress", pair, intents=[written], doubts=doubts, lost=lost)

    @precondition(lambda self: self._has(UnitKind.COPY))
    @rule(data=st.data(), lost=LOST, what=ENDS, o=OTHERS)
    def settle(self, data: st.DataObject, lost: bool, what: str, o: Outcome) -> None:
        pair = self._lease(data, UnitKind.COPY)
        row = self.model._rows.units.get(pair[0].unit.unit_id) if pair else None
        if pair is None or row is None or not row.intents:
            return
        one = row.intents[data.draw(st.sampled_from(sorted(row.intents)))]
        folder = pair[0].unit.folder_id
        if what == "withdraw":
            self.both("progress", pair, withdrawn=[one.intent_id], lost=lost)
            return
        share = one.uids if what in ("all", "taken") else one.uids.take(data.draw(st.integers(0, len(one.uids))))[0]
        first = self._destination(folder, len(one.uids))
        if what == "taken" and self.model._rows.folders[folder].taken:
            first = self.model._rows.folders[folder].taken.low
        settled = replace(copied(share, first, one.intent_id, digest=2**48 - first), size_bytes=1000 * len(one.uids))
        notes = tuple(Note(uid=uid, what="altered", reason="x") for uid in list(share)[:1])
        if what == "nothing":
            settled = Settled(intent_id=one.intent_id)
        elif what == "others":
            settled = other(o, one.uids, one.intent_id)
        elif not share:
            settled = Settled(intent_id=one.intent_id)
        else:
            settled = replace(settled, notes=notes)
        self.both("progress", pair, settled=[settled], lost=lost)

    @precondition(lambda self: self._has(UnitKind.COPY))
    @rule(data=st.data(), lost=LOST, o=OTHERS, n=st.integers(1, 30), found=st.booleans())
    def without_intent(self, data: st.DataObject, lost: bool, o: Outcome, n: int, found: bool) -> None:
        pair = self._lease(data, UnitKind.COPY)
        if pair is None:
            return
        group, _ = self._remaining(pair[0].unit).take(n)
        if group:
            first = self._destination(pair[0].unit.folder_id, len(group))
            self.both("progress", pair, settled=[copied(group, first) if found else other(o, group)], lost=lost)

    @precondition(lambda self: self._has(*UnitKind))
    @rule(data=st.data(), lost=LOST, merge=st.booleans(), complete=st.booleans())
    def finish(self, data: st.DataObject, lost: bool, merge: bool, complete: bool) -> None:
        pair = self._lease(data, *UnitKind)
        if pair is None:
            return
        unit = pair[0].unit
        if unit.kind is UnitKind.COPY and complete:
            row = self.model._rows.units.get(unit.unit_id)
            if row is not None:
                self.both("progress", pair, withdrawn=sorted(row.intents), lost=lost)
            left = self._remaining(unit)
            if left and unit.unit_id in self.model._rows.units:
                whole = copied(left, self._destination(unit.folder_id, len(left)))
                self.both("progress", pair, settled=[whole], lost=lost)
        entries = self.model.ledger(unit.folder_id)
        merged = records_of(p for e in entries if e.name == unit.unit_id for r in e.records for p in r.pairs())
        entries = [LedgerEntry(name="", records=tuple(merged), digest=0)] if merge and merged else []
        if self.both("finish", pair, entries, lost=lost) is None:
            self._ended(pair)

    @precondition(lambda self: self._has(*UnitKind))
    @rule(data=st.data(), lost=LOST, how=HOW, delay=st.sampled_from([0, 0, 20]), hold=HOLD, fail=st.booleans())
    def release(self, data: st.DataObject, lost: bool, how: str, delay: float, hold: str, fail: bool) -> None:
        pair = self._lease(data, *UnitKind)
        if pair is None:
            return
        if hold == "destination_account":
            hold = f"{hold}:{self.model.limits_of(pair[0].unit.mailbox_id)[hold]}"
        failure = Failure(code="net", sentence="Lost.", at=self.clock()) if fail or how == "park" else None
        seconds = float(data.draw(st.sampled_from([5, 30]))) if hold else 0.0
        again = float(data.draw(st.sampled_from([0, 20]))) if how == "park" else 0.0
        arguments = {
            "how": how,
            "delay_seconds": delay,
            "failure": failure,
            "hold": hold,
            "hold_seconds": seconds,
            "again_seconds": again,
            "crowded": bool(hold) and data.draw(st.booleans()),
        }
        if self.both("release", pair, lost=lost, **arguments) is None:
            self._ended(pair)

    @precondition(lambda self: self._has(UnitKind.LOOK))
    @rule(data=st.data(), lost=LOST, found=st.booleans())
    def look(self, data: st.DataObject, lost: bool, found: bool) -> None:
        if (pair := self._lease(data, UnitKind.LOOK)) and self.both("looked", pair, found=found, lost=lost) is None:
            self._ended(pair)

    @precondition(lambda self: self._has(UnitKind.COPY))
    @rule(data=st.data(), writers=st.sampled_from([1, 2, 2, 3, 3, 3, 0]), lost=LOST)
    def widen(self, data: st.DataObject, writers: int, lost: bool) -> None:
        if pair := self._lease(data, UnitKind.COPY):
            self.both("widen", pair, writers, lost=lost)

    @precondition(lambda self: self._has(UnitKind.COPY))
    @rule(data=st.data())
    def writing(self, data: st.DataObject) -> None:
        if pair := self._lease(data, UnitKind.COPY):
            compare_writing(self, pair)

    @precondition(lambda self: self._has(UnitKind.COPY))
    @rule(data=st.data(), lost=LOST)
    def split(self, data: st.DataObject, lost: bool) -> None:
        pair = self._lease(data, UnitKind.COPY)
        if pair is None:
            return
        halves = drawn_halves(self, pair[0].unit)
        if self.both("split", pair, halves, lost=lost) is None:
            self._ended(pair)

    @precondition(lambda self: self._has(UnitKind.VERIFY))
    @rule(data=st.data(), lost=LOST, altered=st.integers(0, 3), missing=st.integers(0, 3))
    def audit(self, data: st.DataObject, lost: bool, altered: int, missing: int) -> None:
        pair = self._lease(data, UnitKind.VERIFY)
        folders = self.model.folders(pair[0].unit.mailbox_id) if pair else []
        if pair is None or not folders:
            return
        folder = data.draw(st.sampled_from([folder for folder, _ in folders]))
        digests = {entry.name: 17 for entry in self.model.ledger(folder.folder_id)[:1]}
        notes = (Note(uid=1, what="missing", reason="gone"),)
        audit = Audit(folder_id=folder.folder_id, verified=str(self.clock()), digests=digests, notes=notes)
        audit = replace(audit, altered=altered, missing=missing)
        self.both("audit", pair, [audit], lost=lost)
        self.both("set_flags", pair, folder.folder_id, 2**62 + altered, {"\\Seen": UidSet.span(1, 3)}, lost=lost)
        self.both("note_left_out", pair, altered, missing, lost=lost)

    def _verified(self) -> list[Mailbox]:
        """Returns mailboxes that are verified, or about to be."""
        states = (MailboxState.VERIFYING, MailboxState.COMPLETE)
        return [m for m in self.people if (seen := self.model.mailbox(m.mailbox_id)) and seen.state in states]

    @precondition(lambda self: self._verified())
    @rule(data=st.data(), anyone=st.integers(0, 3), delay=st.sampled_from([0.0, 30.0]), lost=LOST)
    def recheck(self, data: st.DataObject, anyone: int, delay: float, lost: bool) -> None:
        """Calls recheck for the holder of a lost lease, now and then for one that is mistaken."""
        mailbox = data.draw(st.sampled_from(self._verified() if anyone else self.people))
        self.both("recheck", mailbox.mailbox_id, delay, lost=lost)

    # -- invariants after every step

    @invariant()
    def both_say_the_same(self) -> None:
        ids = [whole.import_id for whole in self.imports]
        assert everything(self.real, ids) == everything(self.model, ids)
        assert self.real.overview() == self.model.overview()
        assert self.real.limits() == self.model.limits()
        assert self.real.processes() == self.model.processes()
        assert self.real.notices() == self.model.notices()
        assert self.real.deliveries() == self.model.deliveries()
        assert self.real.undelivered() == self.model.undelivered()
        real, model = self.real.ready_units(100), self.model.ready_units(100)
        assert real == model
        for one in ids:
            sums_agree(self.real, one)
            for name in ("stranded", "waits", "waves", "standings", "standing_tally", "forecasts", "ends"):
                assert getattr(self.real, name)(one) == getattr(self.model, name)(one), name

    @invariant()
    def every_message_has_one_place(self) -> None:
        for mailbox in self.people:
            for folder, tally in self.real.folders(mailbox.mailbox_id):
                held = ledger_is_bijection(self.real, folder.folder_id) | folder.taken_away | folder.accepted
                assert len(held) == tally[Outcome.COPIED] + tally[Outcome.ALREADY_PRESENT]
                assert all(n >= 0 for n in flat(tally).values())

    @invariant()
    def the_keys_are_in_order(self) -> None:
        keys_are_in_order(self.client, self.model, [mailbox.mailbox_id for mailbox in self.people])
        for whole in self.imports:
            found = self.real.import_(whole.import_id)
            assert found is not None
            if found.state is ImportState.RUNNING and not self.model._rows.imports[whole.import_id].sweep:
                _, states = self.real.import_tally(whole.import_id)
                assert set(states) - SETTLED, "everything is settled, and the import does not know"


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    found = [binary for binary in binaries().values() if binary]
    if not found:
        pytest.skip("needs Redis")
    yield from serve(found[0])


def test_the_scripts_and_the_model_live_the_same_lives(client: redis.Redis) -> None:
    CLIENT[:] = [client]
    run_state_machine_as_test(
        Lockstep,
        settings=settings(
            max_examples=int(os.environ.get("MAILHAUL_LOCKSTEP_EXAMPLES", "25")),
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
