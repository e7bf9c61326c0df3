"""Runs the turns of the coordinator: lead, reap, rescue, Dramatiq's maintenance, publish. Each step may be repeated."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from producer.coordinator.estimate import Caps
from producer.coordinator.lane_steering import LaneSteering
from producer.coordinator.pace import Sample, Window, may_move
from producer.coordinator.rescue import bells, wanted
from producer.coordinator.tally import progress
from producer.coordinator.waiting import Waiting
from shared.model import Import, Overview, UnitKind, Wave
from shared.model.lifecycle import ImportState, MailboxState
from shared.rules.hours import read_hours
from shared.runtime.redis_condition import Condition
from shared.store import Store

if TYPE_CHECKING:  # loaded where metrics are served
    from shared.metrics import CoordinatorMetrics

#: Duration of leadership after the last request for it; a standby takes over after at most this.
LEAD_SECONDS = 10.0
#: Time that a worker has to close its sockets after its lease expired.
GRACE_SECONDS = 5.0
#: Seconds between two rounds of Dramatiq's maintenance. It is cheap, and Dramatiq alone would run it by chance.
MAINTENANCE_SECONDS = 5.0
#: Seconds between two readings of all imports for the metrics.
PUBLISH_SECONDS = 2.0
#: Seconds between two looks at how many lanes are let in.
STEER_SECONDS = 1.0
#: Seconds between two looks at waiting mailboxes, dead letters and the server.
LOOK_SECONDS = 10.0


class JobQueue(Protocol):
    """The part of the queue that the coordinator needs."""

    def depths(self) -> dict[UnitKind, int]:
        """Returns the numbers of jobs that no worker has taken yet."""

    def unacked(self) -> dict[UnitKind, int]:
        """Returns the numbers of jobs that workers have taken and not finished."""

    def dead(self) -> dict[UnitKind, int]:
        """Returns the numbers of dead letters."""

    def ring(self, kind: UnitKind, import_id: str, unit_id: str) -> None:
        """Sends one job."""

    def maintain(self) -> None:
        """Brings back the jobs of processes that died."""


@dataclass
class Coordinator:
    """The coordinator's work. Call `turn` about twice a second.

    `turn` raises `StoreError`, and the errors of the queue's client.
    """

    #: The state store.
    store: Store
    #: The queue.
    queue: JobQueue
    #: Name of this process, for the lease of leadership.
    holder: str
    #: Number of lanes of one worker process.
    threads: int
    #: Receives the metrics.
    metrics: CoordinatorMetrics
    #: The monotonic clock.
    clock: Callable[[], float] = time.monotonic
    #: The time of day, seconds since the epoch; an import's hours are given in it.
    now: Callable[[], float] = time.time
    #: Reads the condition of the state store's server.
    condition: Callable[[], Condition] = Condition

    _maintained: float = field(init=False, default=float("-inf"))
    _published: float = field(init=False, default=float("-inf"))
    _steered: float = field(init=False, default=float("-inf"))
    _steering: LaneSteering = field(init=False)
    _looked: float = field(init=False, default=float("-inf"))
    _waiting: Waiting = field(init=False, default_factory=Waiting)
    _windows: dict[str, Window] = field(init=False, default_factory=dict)
    _imports: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._steering = LaneSteering(self.store)

    def turn(self) -> bool:
        """Does one turn. Returns whether this process leads."""
        began = self.clock()
        term = self.store.lead(self.holder, LEAD_SECONDS)
        self.metrics.publish_store(True)
        self.metrics.publish_leader(bool(term))
        if not term:
            return False
        expired = self.store.reap(GRACE_SECONDS)
        overview = self.store.overview()
        depths = self.queue.depths()
        rung = self._rescue(overview, depths)
        if began - self._maintained >= MAINTENANCE_SECONDS:
            self.queue.maintain()
            self._maintained = began
        self.metrics.publish_queue(
            units={
                "ready": overview.ready_units,
                "delayed": overview.delayed_units,
                "leased": overview.leased_units,
            },
            depths=depths,
            workers=overview.workers,
            holds=len(overview.holds),
            owing=len(overview.owing),
            behind=overview.behind,
            looks_due=overview.looks_due,
            look_lag_seconds=max(0.0, self.now() - overview.looks_due_since) if overview.looks_due else 0.0,
        )
        if began - self._steered >= STEER_SECONDS:
            self.metrics.publish_lanes(self._steering.turn())
            self._steered = began
        if began - self._published >= PUBLISH_SECONDS:
            self._publish(began)
            self._published = began
        if began - self._looked >= LOOK_SECONDS:
            self.metrics.publish_waiting(self._waiting.seen(began, self.store.ready_mailboxes()))
            self.metrics.publish_jobs(self.queue.unacked(), self.queue.dead())
            self.metrics.publish_notices(
                len(self.store.notices()) + len(self.store.deliveries()), len(self.store.undelivered())
            )
            self.metrics.publish_redis(self.condition())
            self._looked = began
        self.metrics.count_turn(seconds=self.clock() - began, expired=len(expired), rung=rung)
        return True

    def _rescue(self, overview: Overview, depths: dict[UnitKind, int]) -> list[UnitKind]:
        count = wanted(overview.ready_units, overview.workers * self.threads, overview.busy_lanes, depths)
        chosen = bells(self.store.ready_units(count), count) if count else ()
        for unit in chosen:
            self.queue.ring(unit.kind, self._import_of(unit.mailbox_id), unit.unit_id)
        return [unit.kind for unit in chosen]

    def _import_of(self, mailbox_id: str) -> str:
        """Returns the mailbox's import for the job's log lines only, so an outdated answer does no harm."""
        if mailbox_id not in self._imports:
            if len(self._imports) > 10_000:
                self._imports.clear()
            mailbox = self.store.mailbox(mailbox_id)
            self._imports[mailbox_id] = mailbox.import_id if mailbox else ""
        return self._imports[mailbox_id]

    def _keep_hours(self, import_id: str, kept: Import | Wave, wave: str = "") -> None:
        """Tells the store the next time window when the current one is over.

        Until it opens the store keeps the import, or the wave, shut.
        """
        if kept.window and kept.shuts_at <= self.now():
            span = read_hours(kept.window).span(self.now())
            self.store.set_window(import_id, kept.window, span.opens_at, span.shuts_at, renew=True, wave=wave)

    def _publish(self, now: float) -> None:
        states: Counter[str] = Counter()
        mailboxes: Counter[MailboxState] = Counter()
        messages = size_bytes = 0
        windows: dict[str, Window] = {}
        left: list[float | None] = []
        waves: list[Wave] = []
        given, usual = self.store.limits(), self.store.usual()
        for import_ in self.store.imports():
            states[import_.state] += 1
            if import_.state is ImportState.FINISHED:
                if self.store.standings(import_.import_id):
                    self._keep_hours(import_.import_id, import_)
                    for wave in self.store.waves(import_.import_id):
                        self._keep_hours(import_.import_id, wave, wave.name)
                continue
            self._keep_hours(import_.import_id, import_)
            tally, phases = self.store.import_tally(import_.import_id)
            mailboxes.update(phases)
            messages += tally.pending
            size_bytes += max(0, tally.size_bytes - tally.done_bytes)
            sample = Sample(
                at=now,
                messages=tally.messages - tally.pending,
                size_bytes=tally.done_bytes,
                mailboxes=phases.get(MailboxState.COMPLETE, 0),
            )
            of_import = self.store.waves(import_.import_id)
            for wave in of_import:
                self._keep_hours(import_.import_id, wave, wave.name)
                waves += [wave] * bool(wave.name)
            waits = self.store.waits(import_.import_id)
            before = self._windows.get(import_.import_id, Window())
            known = before.with_sample(sample, moving=may_move(import_, waits, before, now))
            windows[import_.import_id] = known
            stranded = self.store.stranded(import_.import_id)
            caps = Caps(given=given, usual=usual, waves=of_import, now=self.now())
            left.append(progress(import_, tally, phases, known, stranded, waits, caps=caps).eta_seconds)
        self._windows = windows
        # No estimate if any import has none; zero if no import is running.
        known_all = [seconds for seconds in left if seconds is not None]
        eta = max(known_all, default=0.0) if len(known_all) == len(left) else None
        self.metrics.publish_imports(states, mailboxes, messages, size_bytes, eta, waves)
