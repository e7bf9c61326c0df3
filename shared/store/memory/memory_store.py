"""The store in plain Python: the model that the scripts of `shared.store.redis.redis_store` are compared with, and that tests use.

It keeps nothing over a restart and knows one process only. Its methods are described in `shared.store`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from shared.model import Overview, Stranded, Unit
from shared.model.lifecycle import ImportState
from shared.store import SILENT_SECONDS, process_of
from shared.store.memory.memory_reach import MemoryReach
from shared.store.memory.memory_readings import atomic, tally
from shared.store.memory.memory_standing import MemoryStanding


class MemoryStore(MemoryStanding, MemoryReach):
    """`shared.store.Store` in memory. `clock` is the store's own, seconds since the epoch. Thread-safe."""

    #: The answer of `refusing`: memory takes every write unless a test says otherwise.
    refusal: str = ""

    @atomic
    def lead(self, holder: str, ttl_seconds: float, post: str = "leader") -> int:
        now = self._rows.now()
        leader, term, until = self._posts.get(post, ("", 0, 0))
        if until > now and leader != holder:
            return 0
        if until <= now:
            term = self._rows.next_term()
        self._posts[post] = (holder, term, now + int(ttl_seconds * 1000))
        return term

    def reap(self, grace_seconds: float) -> list[str]:
        taken = self._reap(grace_seconds)
        while self.sweep(""):
            pass
        return taken

    @atomic
    def _reap(self, grace_seconds: float) -> list[str]:
        rows, now = self._rows, self._rows.now()
        over = sorted((until, u) for u, until in rows.leases.items() if until <= now - int(grace_seconds * 1000))
        for _, unit_id in over:
            rows.take_back(rows.units[unit_id])
        rows.wake()
        self._make_room()
        rows.begin_looks()
        rows.part()
        return [unit_id for _, unit_id in over]

    @atomic
    def processes(self) -> list[str]:
        rows = self._rows
        lanes = {process_of(rows.units[u].holder) for u in rows.leases}
        return sorted((lanes | set(self._workers) | {holder for holder, _, _ in self._posts.values()}) - {""})

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
        self._posts = {post: held for post, held in self._posts.items() if held[0] not in processes}
        return taken

    @atomic
    def stranded(self, import_id: str) -> Stranded:
        rows, now = self._rows, self._rows.now()
        units = left = 0
        behind: dict[str, int] = {}
        for unit_id, until in rows.leases.items():
            row = rows.units[unit_id]
            heard = max(until - int(self._lease_seconds * 1000), self._workers.get(process_of(row.holder), 0))
            if (
                rows.mailboxes[row.unit.mailbox_id].mailbox.import_id == import_id
                and heard <= now - SILENT_SECONDS * 1000
            ):
                units, left = units + 1, max(left, until - now)
                folder = rows.folders.get(row.unit.folder_id)
                if folder:
                    behind[row.unit.folder_id] = tally([folder.counts]).pending
        return Stranded(units=units, messages=sum(behind.values()), seconds=left / 1000)

    @atomic
    def overview(self) -> Overview:
        rows, now = self._rows, self._rows.now()
        ready = [rows.mailboxes[m] for queue in rows.queues.values() for m in queue]
        states = Counter(whole.import_.state for whole in rows.imports.values())
        return Overview(
            ready_mailboxes=len(ready),
            ready_units=sum(len(m.ready) for m in ready) + len(rows.due),
            looks_due=len(rows.due),
            looks_due_since=min(rows.due.values(), default=0) / 1000,
            delayed_units=len(rows.delayed),
            leased_units=len(rows.leases),
            workers=self.workers(),
            busy_lanes=sum(
                self._workers.get(process_of(rows.units[u].holder), -1) >= now - 30_000 for u in rows.leases
            ),
            behind=sum(bool(m.mailbox.behind) for m in rows.mailboxes.values()),
            imports={state: states[state] for state in ImportState},
            holds={name: until / 1000 for name, until in self._holds.items() if until > now},
            owing={name: until for name, until in self._owing.items() if until * 1000 > now},
        )

    @atomic
    def workers(self) -> int:
        return sum(heard >= self._rows.now() - 30_000 for heard in self._workers.values())

    def refusing(self) -> str:
        return self.refusal

    @atomic
    def ready_mailboxes(self) -> dict[str, float]:
        return {m: float(place) for queue in self._rows.queues.values() for m, place in queue.items()}

    @atomic
    def ready_units(self, count: int) -> list[Unit]:
        rows = self._rows
        found: list[Unit] = []
        looks = (rows.mailboxes[m] for route in rows.due_by_route().values() for m in route)
        for m in (*self._by_fairness(by_shares=False), *looks):
            found += [rows.units[u].unit for u in sorted(m.ready, key=lambda u: (m.ready[u], u))[:4]]
        return found[:count]
