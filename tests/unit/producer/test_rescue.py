"""The jobs that are missing for units that may run."""

from __future__ import annotations

from producer.coordinator.rescue import WITHOUT_WORKERS, bells, wanted
from shared.model import Unit, UnitKind


def _unit(name: str, mailbox: str) -> Unit:
    return Unit(unit_id=name, kind=UnitKind.COPY, mailbox_id=mailbox)


def test_nothing_ready_rings_nothing() -> None:
    assert wanted(0, 16, 0, {}) == 0


def test_no_more_bells_than_lanes_and_none_for_those_that_lie_there_already() -> None:
    assert wanted(1000, 16, 0, {}) == 16
    assert wanted(1000, 16, 0, {UnitKind.COPY: 10, UnitKind.PLAN: 2}) == 4
    assert wanted(3, 16, 0, {UnitKind.COPY: 10}) == 0


def test_none_for_lanes_that_are_at_work() -> None:
    assert wanted(1000, 16, 12, {}) == 4
    assert wanted(1000, 16, 16, {}) == 1, "a worker may have more lanes than the coordinator was told"
    assert wanted(1000, 16, 17, {UnitKind.COPY: 1}) == 0
    assert wanted(0, 16, 17, {}) == 0


def test_without_workers_a_few_lie_ready_for_the_first_to_come() -> None:
    assert wanted(1000, 0, 0, {}) == WITHOUT_WORKERS
    assert wanted(1000, 0, 0, {UnitKind.PLAN: WITHOUT_WORKERS}) == 0


def test_every_mailbox_before_a_second_unit_of_any() -> None:
    ready = [_unit("a1", "a"), _unit("a2", "a"), _unit("b1", "b"), _unit("c1", "c")]
    assert [unit.unit_id for unit in bells(ready, 3)] == ["a1", "b1", "c1"]
    assert [unit.unit_id for unit in bells(ready, 9)] == ["a1", "b1", "c1", "a2"]
