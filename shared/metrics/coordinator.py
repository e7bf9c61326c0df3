"""The metrics of what the store holds, exported by the coordinator that leads."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import Counter, Gauge, Histogram

from shared.metrics.process import ProcessMetrics
from shared.model import UnitKind, Wave
from shared.model.cutover import OVER, Cutover
from shared.model.lanes import LanePlace, Reason
from shared.model.lifecycle import CutoverState, ImportState, MailboxState
from shared.runtime.redis_condition import Condition
from shared.store import SCOPES

_TICK_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30)


#: The most waves with series of their own, and the name under which the others are counted.
MOST_WAVES, OTHER_WAVES = 20, "(others)"
#: The most hosts with series of their own.
MOST_HOSTS = 20


def _few(waves: Sequence[Wave]) -> dict[str, collections.Counter[MailboxState]]:
    """Returns name → mailboxes by state. Waves of one name count together, and those after the first `MOST_WAVES` too."""
    found: dict[str, collections.Counter[MailboxState]] = {}
    for wave in waves:
        name = wave.name if wave.name in found or len(found) < MOST_WAVES else OTHER_WAVES
        found.setdefault(name, collections.Counter(dict.fromkeys(MailboxState, 0))).update(wave.mailboxes)
    return found


class CoordinatorMetrics(ProcessMetrics):
    """The metrics of what the store holds.

    Only the coordinator that leads publishes them; a standby shows `mailhaul_leader` 0.
    """

    def __init__(self) -> None:
        super().__init__()
        registry = self.registry

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"mailhaul_{name}", text, labels, registry=registry)

        self._leader = gauge("leader", "1 on the coordinator that leads.")
        self._imports = gauge("imports", "Imports by state.", "state")
        self._mailboxes = gauge("mailboxes", "Mailboxes of imports that run, by state.", "state")
        self._waves = gauge("wave_mailboxes", "Mailboxes of imports that run, by wave and state.", "wave", "state")
        self._units = gauge("units", "Units by what they wait for.", "state")
        self._workers = gauge("workers", "Worker processes heard of in the last 30 s.")
        self._holds = gauge("holds", "Accounts and hosts that are left alone for a while.")
        self._behind = gauge("mailboxes_behind", "Mailboxes whose destination another mailbox has: they wait for it.")
        self._let_in = gauge(
            "lanes_let_in", "Lanes that a host lets in now, as far as that was searched for.", "scope", "host"
        )
        self._most_lanes = gauge("lanes_most", "The most that may be tried there.", "scope", "host")
        self._lane_places = gauge(
            "lane_places",
            "Accounts and hosts at which the number of lanes is searched for, by why it is what it is.",
            "scope",
            "reason",
        )
        self._owing = gauge("rates_owing", "Accounts and hosts that moved what a rate allows, and wait.")
        self._depth = gauge("queue_depth", "Doorbells that nobody answered yet.", "queue")
        self._backlog = gauge("backlog_messages", "Messages of imports that run, without an outcome.")
        self._backlog_bytes = gauge("backlog_bytes", "Their bytes.")
        self._unacked = gauge("queue_unacked", "Doorbells that a worker took and is at.", "queue")
        self._dead = gauge("dead_letters", "Jobs that Dramatiq gave up; mail does not depend on them.", "queue")
        self._oldest = gauge(
            "runnable_oldest_age_seconds", "How long the mailbox that waits longest was given nothing."
        )
        self._looks_due = gauge("looks_due", "Mailboxes that stand, whose look is due and may be done.")
        self._look_lag = gauge("look_lag_seconds", "How long the first of them is due.")
        self._eta = gauge("eta_seconds", "What is probably left of the imports that run; NaN when it is not known.")
        self._memory = gauge("redis_memory_used_bytes", "Memory that the state store uses.")
        self._memory_limit = gauge("redis_memory_limit_bytes", "Its maxmemory; 0 for no limit.")
        self._aof = gauge("redis_aof_ok", "1 while its append-only file is kept and its last write went well.")
        self._skew = gauge("redis_clock_skew_seconds", "Its clock less that of the coordinator.")
        self._store = gauge("store_up", "1 while the state store answers.")
        self._cutovers = gauge("cutovers", "Cutovers by state.", "state")
        of_cutover = ("import", "wave")
        self._in_state = gauge(
            "cutover_state_seconds", "How long a cutover that is not over has its state.", *of_cutover, "state"
        )
        self._refused = gauge(
            "cutover_refused",
            "Mailboxes that the switch refused to turn, or whose mail was not brought back.",
            *of_cutover,
        )
        self._guard_met = gauge("cutover_guard_met", "1 while a guard of a cutover is met.", *of_cutover, "guard")
        self._guard_value = gauge(
            "cutover_guard_value", "The guard's value: mailboxes that it waits for, or seconds.", *of_cutover, "guard"
        )
        self._notices = gauge("notices_waiting", "Notices and deliveries on their way to their targets.")
        self._undelivered = gauge("notices_undelivered", "Deliveries that were given up and that nobody has looked at.")
        self._expired = Counter(
            "mailhaul_leases_expired", "Leases that ran out and were taken back.", registry=registry
        )
        self._rung = Counter("mailhaul_doorbells_rung", "Doorbells rung by rescue.", ["queue"], registry=registry)
        self._tick = Histogram(
            "mailhaul_tick_duration_seconds", "One turn of the coordinator.", buckets=_TICK_SECONDS, registry=registry
        )
        self.publish_leader(False)
        for kind in UnitKind:
            self._rung.labels(kind)

    def publish_leader(self, leads: bool) -> None:
        """Publishes whether this process leads. A standby shows zeros in place of the shared state."""
        self._leader.set(int(leads))
        if not leads:
            self.publish_imports({}, {}, 0, 0)
            self.publish_queue(units={}, depths={}, workers=0, holds=0, owing=0, behind=0)
            self.publish_waiting(0.0)
            self.publish_lanes([])
            self.publish_jobs({}, {})
            self.publish_cutovers([], [], 0.0)
            self.publish_notices(0, 0)
            # A standby does not look at Redis, and that must raise no alert.
            self.publish_redis(Condition(aof=True, aof_well=True))

    def publish_store(self, up: bool) -> None:
        """Publishes whether the state store answers."""
        self._store.set(int(up))

    def publish_imports(
        self,
        imports: Mapping[str, int],
        mailboxes: Mapping[MailboxState, int],
        messages: int,
        size_bytes: int,
        eta_seconds: float | None = None,
        waves: Sequence[Wave] = (),
    ) -> None:
        """Publishes the imports, and what is left of those that run.

        Names of waves are people's own: `MOST_WAVES` have series, and the others are counted together.
        """
        self._waves.clear()
        for name, phases in _few(waves).items():
            for phase, number in phases.items():
                self._waves.labels(name, phase).set(number)
        self._eta.set(math.nan if eta_seconds is None else eta_seconds)
        for state in ImportState:
            self._imports.labels(state).set(imports.get(state, 0))
        for phase in MailboxState:
            self._mailboxes.labels(phase).set(mailboxes.get(phase, 0))
        self._backlog.set(messages)
        self._backlog_bytes.set(size_bytes)

    def publish_cutovers(
        self, found: Sequence[tuple[Cutover, Mapping[str, tuple[bool, float]]]], refused: Sequence[int], now: float
    ) -> None:
        """Publishes the cutovers, each with guard → (whether it is met, its value), and how many mailboxes were refused.

        The first `MOST_WAVES` that are not over have series of their own, and so have as many in which somebody was refused.
        `now` is in seconds since the epoch.
        """
        for state in CutoverState:
            self._cutovers.labels(state).set(sum(cutover.state is state for cutover, _ in found))
        for series in (self._in_state, self._guard_met, self._guard_value, self._refused):
            series.clear()
        left = [(cutover, number) for (cutover, _), number in zip(found, refused, strict=True) if number]
        for cutover, number in left[:MOST_WAVES]:
            self._refused.labels(cutover.import_id[:8], cutover.wave).set(number)
        at_work = [pair for pair in found if pair[0].state not in OVER]
        for cutover, guards in at_work[:MOST_WAVES]:
            which = (cutover.import_id[:8], cutover.wave)
            self._in_state.labels(*which, cutover.state).set(max(0.0, now - cutover.since))
            for name, (met, value) in guards.items():
                self._guard_met.labels(*which, name).set(int(met))
                self._guard_value.labels(*which, name).set(value)

    def publish_queue(
        self,
        *,
        units: Mapping[str, int],
        depths: Mapping[UnitKind, int],
        workers: int,
        holds: int,
        owing: int,
        behind: int,
        looks_due: int = 0,
        look_lag_seconds: float = 0.0,
    ) -> None:
        """Publishes the units and jobs that wait, the workers, and what is kept from being served."""
        for state in ("ready", "delayed", "leased"):
            self._units.labels(state).set(units.get(state, 0))
        for kind in UnitKind:
            self._depth.labels(kind).set(depths.get(kind, 0))
        self._workers.set(workers)
        self._holds.set(holds)
        self._owing.set(owing)
        self._behind.set(behind)
        self._looks_due.set(looks_due)
        self._look_lag.set(look_lag_seconds)

    def publish_lanes(self, places: Sequence[LanePlace]) -> None:
        """Publishes how many lanes are let in. The first `MOST_HOSTS` hosts have series; accounts are only counted."""
        self._let_in.clear()
        self._most_lanes.clear()
        searched = [(place, place.search) for place in places if place.search]
        hosts = [(place.name.partition(":"), place, search) for place, search in searched if "_host:" in place.name]
        for (scope, _, host), place, search in hosts[:MOST_HOSTS]:
            self._let_in.labels(scope, host).set(min(search.limit, place.most))
            self._most_lanes.labels(scope, host).set(place.most)
        counted = collections.Counter((place.name.partition(":")[0], search.reason) for place, search in searched)
        for scope in SCOPES:
            for reason in Reason:
                self._lane_places.labels(scope, reason).set(counted[scope, reason])

    def publish_waiting(self, oldest_seconds: float) -> None:
        """Publishes how long the mailbox that waits longest was given nothing, seconds."""
        self._oldest.set(oldest_seconds)

    def publish_jobs(self, unacked: Mapping[UnitKind, int], dead: Mapping[UnitKind, int]) -> None:
        """Publishes Dramatiq's jobs: those taken and not acknowledged, and dead letters."""
        for kind in UnitKind:
            self._unacked.labels(kind).set(unacked.get(kind, 0))
            self._dead.labels(kind).set(dead.get(kind, 0))

    def publish_notices(self, waiting: int, undelivered: int) -> None:
        """Publishes how many notices are on their way, and how many could not be delivered."""
        self._notices.set(waiting)
        self._undelivered.set(undelivered)

    def publish_redis(self, found: Condition) -> None:
        """Publishes the condition of the state store."""
        self._memory.set(found.memory_used)
        self._memory_limit.set(found.memory_limit)
        self._aof.set(int(found.aof is not False and found.aof_well is not False))
        self._skew.set(found.skew_seconds)

    def count_turn(self, *, seconds: float, expired: int, rung: Iterable[UnitKind]) -> None:
        """Counts one turn of the coordinator, with the leases that expired and the jobs that it enqueued."""
        self._tick.observe(seconds)
        self._expired.inc(expired)
        for kind in rung:
            self._rung.labels(kind).inc()
