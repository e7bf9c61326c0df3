"""The model's part that hands out work: which mailbox is served next, and which lane may connect where."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from shared.content.maildrop import Known
from shared.model import Lease, UnitKind
from shared.model.lifecycle import MailboxState, UnitState, Wish
from shared.model.rates import PATIENCE_SECONDS, RATES, Due, Meter, charged, drained, most_of, seconds_due
from shared.model.sides import Scope
from shared.rules.age_bands import band_of
from shared.rules.batching import USUAL_WORTH, Worth
from shared.store import SCOPES
from shared.store.memory.memory_lanes import MemoryLanes
from shared.store.memory.memory_looks import LATE_MS, NEXT_LATE_MS
from shared.store.memory.memory_readings import atomic, tally
from shared.store.memory.memory_tables import MailboxRow, UnitRow

#: The number of mailboxes of a queue, or of those whose look is due, that one claim looks at.
SCAN = 2000

#: The scopes that all mailboxes of a route share.
HOSTS = (Scope.SOURCE_HOST, Scope.DESTINATION_HOST)

#: The time for which a mailbox that was moved is urgent at most, ms.
URGENT_MS = 60_000

#: The cost of a claim beside the bytes that it moves.
CLAIM_BYTES = 65536


class Claims(MemoryLanes):
    """Leases, connection permits, fairness."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        lease_seconds: float = 60,
        limits: Mapping[str, int] | None = None,
        most_lanes: Mapping[str, int] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        rates: Mapping[str, int] | None = None,
        worth: Worth = USUAL_WORTH,
    ) -> None:
        super().__init__(clock, limits or {}, most_lanes or {})
        self._rates = dict(rates or {})
        self._owing: dict[str, float] = {}
        self._meters: dict[tuple[str, str], Meter] = {}
        self._worth = worth
        self._monotonic = monotonic
        self._lease_seconds = lease_seconds
        self._maildrops: dict[str, Known] = {}
        #: (mailbox, message) → where a copy of a shared message stands; while a unit brings it, that unit and since
        #: when.
        self._shared: dict[tuple[str, int], bytes | tuple[str, float]] = {}
        #: "scope:key" → until when no lane is let in, ms; and the import that was told so, with the server's words.
        self._holds: dict[str, int] = {}
        self._whys: dict[str, tuple[str, str]] = {}
        self._workers: dict[str, int] = {}
        #: Post (leader, sender) → who has it, the term, until (ms).
        self._posts: dict[str, tuple[str, int, int]] = {}

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
        row.yields, row.lane_of = Wish.RUN, f"{m.mailbox.import_id}:{m.mailbox.wave}"
        rows.leases[row.unit.unit_id] = expiry
        if held and held != m.mailbox.mailbox_id and held in rows.mailboxes:
            self._free(holder, rows.mailboxes[held])
        for name in self._scopes(m):
            self._permits.setdefault(name, {})[holder] = expiry
        if row.unit.kind is UnitKind.LOOK:
            rows.looker = holder
        else:
            rows.charge(m, CLAIM_BYTES + row.unit.size_bytes, fairly=fairly)
        rows.urgent.pop(m.mailbox.mailbox_id, None)
        if m.mailbox.failure and m.mailbox.failure.code == "rate_waiting":
            m.set(failure=None)
        if row.unit.kind is not UnitKind.LOOK:
            rows.take_destination(m)
        if row.unit.kind is UnitKind.PLAN:
            rows.move(m, "plan_claimed")
            m.set(planned_at=now / 1000)
        whole = rows.imports[m.mailbox.import_id]
        if row.unit.kind is UnitKind.COPY and not whole.import_.first_claim_at:
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
            due=self._owed_now(m) if row.unit.kind is UnitKind.COPY else None,
            last_taken=folder.taken.ranges[-1] if folder and folder.taken else (0, 0),
            neighbours=rows.neighbours(m),
            writers=folder.writers if folder else 1,
            heads=len(folder.heads) if folder else 1,
            alone=folder.alone if folder else False,
            folder_pending=tally([folder.counts]).pending if folder and row.unit.kind is UnitKind.COPY else 0,
        )

    def _give_back(self, holder: str) -> None:
        """Takes back the lease that the holder still has while it claims.

        That lease never reached it, since the answer was lost. Unless something was done under it, the attempt is not
        counted.
        """
        for unit_id in [u for u in self._rows.leases if self._rows.units[u].holder == holder]:
            row = self._rows.units[unit_id]
            if not row.used:
                self._rows.forgive(row)
            self._rows.take_back(row)

    def _choose(self, holder: str, prefer: str, hint: str) -> tuple[MailboxRow, UnitRow | None, bool] | None:
        rows = self._rows
        if first := self._urgent(holder) or self._late_look(holder):
            return first, None, False
        near = self._nearest(holder, prefer, hint)
        recent = near is not None and not band_of(min(near[0].ready.values()))
        crowds = near is not None and rows.crowds(near[0])
        if near and recent and not crowds:
            return near
        fair = self._fairest(holder)
        # The lane that is near to a mailbox's archive leaves it for the recent mail of another, and that of an import with
        # more than its share for a mailbox of another import.
        if near and not (
            fair and ((not recent and rows.goes_before(fair, near[0])) or (crowds and rows.crowded_out(fair, near[0])))
        ):
            return near
        if fair:
            return fair, None, True
        late = self._look(holder, None)
        return (late, None, False) if late else None

    def _nearest(self, holder: str, prefer: str, hint: str) -> tuple[MailboxRow, UnitRow | None, bool] | None:
        rows = self._rows
        m = rows.mailboxes.get(prefer)
        if m and m.ready and rows.servable(m) and self._admits(m, holder):
            return m, None, False
        row = rows.units.get(hint)
        if row and row.unit.state is UnitState.READY and row.unit.kind is not UnitKind.LOOK:
            m = rows.mailboxes[row.unit.mailbox_id]
            first = row.unit.band <= band_of(min(m.ready.values()))
            if first and rows.servable(m) and self._admits(m, holder) and self._is_worth(m, holder):
                return m, row, False
        return None

    def _fairest(self, holder: str) -> MailboxRow | None:
        rows = self._rows
        full: set[str] = set()  # routes of which a host is full or on hold: their other mailboxes are skipped
        for m in self._by_fairness():
            if m.route in full:
                continue
            if not rows.servable(m):
                rows.refresh(m)
            elif self._admits(m, holder):
                if self._is_worth(m, holder):
                    return m
            elif not self._admits(m, holder, HOSTS):
                full.add(m.route)
        return None

    def _look(self, holder: str, till: int | None) -> MailboxRow | None:
        """Returns the mailbox whose look has been due longest, of those that were by `till` (ms).

        A route of which a host is full or on hold is skipped, and so is one whose source did not answer a look just now.
        """
        rows, left = self._rows, SCAN
        for route in rows.due_by_route().values():
            for m in map(rows.mailboxes.__getitem__, route):
                if till is not None and rows.due[m.mailbox.mailbox_id] > till:
                    break
                if not left:
                    return None
                left -= 1
                if not rows.may(m) or not m.ready:
                    rows.refresh(m)
                elif rows.look_holds.get(m.scopes[Scope.SOURCE_HOST], 0) > rows.now():
                    break
                elif self._admits(m, holder):
                    return m
                elif not self._admits(m, holder, HOSTS):
                    break
        return None

    def _late_look(self, holder: str) -> MailboxRow | None:
        """Returns a mailbox whose look is late: one lane at a time serves these first, and half of its time at most."""
        rows = self._rows
        at_it = any(
            rows.units[u].holder == rows.looker and rows.units[u].unit.kind is UnitKind.LOOK for u in rows.leases
        )
        if at_it or rows.late_at > rows.now():
            return None
        found = self._look(holder, rows.now() - LATE_MS)
        if found is None and rows.due:
            rows.late_at = rows.now() + NEXT_LATE_MS
        return found

    def _is_worth(self, m: MailboxRow, holder: str) -> bool:
        """Tells whether one more lane at the mailbox is worth its logins."""
        lanes = self._permits.get(f"destination_account:{m.scopes[Scope.DESTINATION_ACCOUNT]}", {})
        if not lanes or holder in lanes or m.mailbox.state is not MailboxState.COPYING:
            return True
        left = self._tally([m.mailbox.mailbox_id])
        by_time = 1 + sum(self._rows.folders[name].writers - 1 for name in m.folders)
        return len(lanes) < max(by_time, self._worth.lanes(left.pending, left.size_bytes - left.done_bytes))

    def _by_fairness(self, *, by_shares: bool = True) -> Iterator[MailboxRow]:
        for _, queue in list(self._rows.in_order(by_shares=by_shares)):
            for mailbox_id in sorted(queue, key=lambda m: (queue[m], m))[:SCAN]:
                yield self._rows.mailboxes[mailbox_id]

    def _urgent(self, holder: str) -> MailboxRow | None:
        """Returns a mailbox that was moved, and that is to be at work within seconds."""
        rows = self._rows
        for mailbox_id in sorted(rows.urgent, key=lambda m: (rows.urgent[m], m))[:20]:
            m = rows.mailboxes[mailbox_id]
            if rows.now() - m.moved > URGENT_MS or not m.ready or not rows.servable(m):
                del rows.urgent[mailbox_id]
            elif self._admits(m, holder) and self._is_worth(m, holder):
                return m
        return None

    def _admits(self, m: MailboxRow, holder: str, scopes: Sequence[str] = SCOPES) -> bool:
        """Tells whether these scopes let the holder in.

        They do when there is no hold, and a free connection or one that the holder has already.
        """
        now = self._rows.now()
        for scope, name in zip(SCOPES, self._scopes(m), strict=True):
            if scope not in scopes:
                continue
            if self._holds.get(name, 0) > now:
                return False
            is_in = holder in self._permits.get(name, {})
            most, found = self._let_in(name)
            lanes = self._lanes_at(name) if not is_in or found is not None else self._permits[name]
            if not is_in and len(lanes) >= most:
                return False
            if is_in and found is not None and self._too_many(name, holder, most):
                return False
            if scopes == SCOPES and m.mailbox.state is MailboxState.COPYING:
                due = self._owed(m, (scope,))
                if due and not (due.seconds <= PATIENCE_SECONDS and holder in lanes):
                    return False
        return True

    def _owed_now(self, m: MailboxRow) -> Due | None:
        """Returns what the mailbox owes. Removes from `_owing` the scopes whose debt a lane can wait for."""
        for scope in SCOPES:
            due = self._owed(m, (scope,))
            if due is None or due.seconds <= PATIENCE_SECONDS:
                self._owing.pop(f"{scope}:{m.scopes[scope]}", None)
        return self._owed(m)

    def _owed_after(self, m: MailboxRow, size_bytes: int, messages: int) -> Due | None:
        """Charges a group. Returns the longest debt after it, and enters in `_owing` debts that no lane waits for."""
        found = [(scope, self._owed(m, (scope,), size_bytes, messages)) for scope in SCOPES]
        for scope, due in found:
            if due and due.seconds > PATIENCE_SECONDS:
                self._owing[f"{scope}:{m.scopes[scope]}"] = due.until
        return max((due for _, due in found if due), key=lambda due: due.seconds, default=None)

    def _owed(
        self, m: MailboxRow, scopes: Sequence[str] = SCOPES, size_bytes: int = 0, messages: int = 0
    ) -> Due | None:
        """Charges the mailbox's accounts and hosts; with nothing to charge, only looks.

        Returns the debt that takes longest, or None.
        """
        now, longest = self._rows.now() / 1000, None
        for scope in scopes:
            for rate in RATES:
                name, key = f"{scope}.{rate}", m.scopes[scope]
                most = most_of(name, key, self._limits, self._usual, self._rates.get(name, 0))
                if not most:
                    continue
                meter = self._meters.get((name, key), Meter())
                if size_bytes or messages:
                    meter = self._meters[name, key] = charged(rate, meter, most, now, size_bytes, messages)
                wait = math.ceil(round(seconds_due(rate, meter, most, now) * 1000, 3)) / 1000
                if wait > (longest.seconds if longest else 0):
                    used = int(drained(rate, meter, most, now).level + 0.5)
                    longest = Due(name=name, seconds=wait, until=round(now + wait, 3), used=used, most=most)
        return longest

    def _free(self, holder: str, m: MailboxRow) -> None:
        for name in self._scopes(m):
            self._permits.get(name, {}).pop(holder, None)
