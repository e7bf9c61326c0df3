"""A turn of the coordinator, over the store in memory: the figures of the shared state that it exports."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest

from producer.coordinator.tick import LOOK_SECONDS, Coordinator
from shared.metrics import CoordinatorMetrics
from shared.model import UnitKind
from shared.rules.hours import read_hours
from shared.runtime.redis_condition import Condition
from shared.store.memory.memory_store import MemoryStore
from tests.contract.store_kit import copy, planned, take
from tests.resources import GivenResources


@dataclass
class Queue:
    """A queue of jobs that no worker takes."""

    rung: list[str] = field(default_factory=list)

    def depths(self) -> dict[UnitKind, int]:
        return {UnitKind.COPY: len(self.rung)}

    def unacked(self) -> dict[UnitKind, int]:
        return {UnitKind.COPY: 3}

    def dead(self) -> dict[UnitKind, int]:
        return {UnitKind.PLAN: 2}

    def ring(self, kind: UnitKind, import_id: str, unit_id: str) -> None:
        self.rung.append(unit_id)

    def maintain(self) -> None:
        """Does nothing: nothing is broken here."""


class Clock:
    """A monotonic clock, moved by the test."""

    at = 1000.0

    def __call__(self) -> float:
        return self.at


def coordinator(store: MemoryStore, holder: str, clock: Clock) -> Coordinator:
    return Coordinator(
        store=store,
        queue=Queue(),
        holder=holder,
        threads=4,
        metrics=CoordinatorMetrics(),
        clock=clock,
        condition=lambda: Condition(memory_used=7, memory_limit=9, aof=True, aof_well=False, skew_seconds=-2.5),
    )


def value(of: Coordinator, name: str, **labels: str) -> float:
    found = of.metrics.registry.get_sample_value(f"mailhaul_{name}", labels)
    assert found is not None, name
    return found


def test_the_leader_exports_what_the_store_holds() -> None:
    store, clock = MemoryStore(), Clock()
    planned(store, (1, 5), (6, 9))
    leads = coordinator(store, "one", clock)
    assert leads.turn()
    assert value(leads, "leader") == 1
    assert value(leads, "backlog_messages") == 9
    assert value(leads, "units", state="ready") == 1
    assert value(leads, "queue_unacked", queue="copy") == 3
    assert value(leads, "dead_letters", queue="plan") == 2
    assert value(leads, "redis_aof_ok") == 0
    assert value(leads, "redis_clock_skew_seconds") == -2.5
    assert value(leads, "runnable_oldest_age_seconds") == 0
    clock.at += LOOK_SECONDS
    leads.turn()
    assert value(leads, "runnable_oldest_age_seconds") == LOOK_SECONDS
    copy(store, take(store), 1)
    clock.at += LOOK_SECONDS
    leads.turn()
    assert value(leads, "runnable_oldest_age_seconds") == 0, "it was given something"


def test_the_time_that_is_left_is_known_once_something_was_done() -> None:
    store, clock = MemoryStore(), Clock()
    planned(store, (1, 5), (6, 9))
    leads = coordinator(store, "one", clock)
    leads.turn()
    assert math.isnan(value(leads, "eta_seconds"))
    copy(store, take(store), 1)
    clock.at += 10
    leads.turn()
    assert value(leads, "eta_seconds") == 8, "5 messages in 10 s, 4 to go"


def test_who_stands_by_exports_zeros() -> None:
    store, clock = MemoryStore(), Clock()
    planned(store, (1, 5))
    assert coordinator(store, "one", clock).turn()
    standby = coordinator(store, "two", clock)
    assert not standby.turn()
    assert (
        value(standby, "leader")
        == value(standby, "backlog_messages")
        == value(standby, "dead_letters", queue="plan")
        == 0
    )
    assert value(standby, "redis_aof_ok") == value(standby, "store_up") == 1


@pytest.mark.parametrize("wave", ["", "a"])
def test_hours_that_are_over_are_followed_by_the_next(wave: str) -> None:
    """Sets hours of two a day. The store shuts by its own clock, and the coordinator says when it opens again."""
    hours = read_hours("20:00-22:00 UTC")
    at = hours.span(1_800_000_000).opens_at
    clock, wall = Clock(), [at]
    store = MemoryStore(clock=lambda: wall[0])
    whole, mailbox, _ = planned(store, (1, 5))
    store.move(whole.import_id, mailbox.mailbox_id, wave=wave)
    GivenResources(store=store).operations.set_window(whole, hours, at, wave)
    leads = coordinator(store, "one", clock)
    leads.now = lambda: wall[0]
    for day in range(3):
        wall[0], clock.at = at + day * 86400, clock.at + 10
        leads.turn()
        assert store.ready_units(5), "open"
        wall[0], clock.at = wall[0] + 7200, clock.at + 10
        assert store.claim("lane") is None
        leads.turn()
        found = store.waves(whole.import_id)[0] if wave else store.import_(whole.import_id)
        assert found is not None
        assert found.opens_at == at + (day + 1) * 86400
        assert not store.ready_units(5)


def test_hours_that_a_person_changed_meanwhile_stay() -> None:
    store, clock = MemoryStore(), Clock()
    whole, _, _ = planned(store, (1, 5))
    store.set_window(whole.import_id, "Sat UTC", 1, 2)
    stale = store.import_(whole.import_id)
    assert stale is not None
    store.set_window(whole.import_id, "")
    coordinator(store, "one", clock)._keep_hours(stale.import_id, stale)
    assert store.claim("lane") is not None
