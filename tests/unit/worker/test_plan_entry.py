"""Tests when planned folders are entered, how many lanes are called for them, and how much is remembered of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from shared.model import Folder, FolderPlan, Lease, Unit, UnitKind
from shared.model.uids import UidSet
from shared.rules.batching import Worth
from shared.store import Store
from worker.planning import plan_entry
from worker.planning.plan_entry import FOLDERS_AT_ONCE, FORETOLD, LANES_AT_ONCE, PlanEntry


class _Store:
    def __init__(self) -> None:
        self.entered = 0

    def plan_folders(self, lease: object, plans: Sequence[object], *, settle_seconds: float) -> None:
        self.entered += len(plans)


class _Stage:
    """A plan under which each folder with mail is worth a lane."""

    def __init__(self) -> None:
        self.store, self.rung, self.order = _Store(), list[int](), 0
        self.entering = PlanEntry(
            cast(Lease, None),
            cast(Store, self.store),
            Worth(messages=10),
            lambda: self.rung.append(self.store.entered),
            settle_seconds=0.0,
        )

    def add(self, messages: int = 0) -> None:
        self.order += 1
        name = f"F{self.order}"
        folder: Any = {"folder_id": name, "mailbox_id": "m", "display": name}
        batch = Unit(unit_id=name, kind=UnitKind.COPY, mailbox_id="m", folder_id=name, uids=UidSet.span(1, messages))
        plan = FolderPlan(
            folder=Folder(source_name=name.encode(), destination_name=name.encode(), **folder),
            batches=(batch,) if messages else (),
        )
        self.entering.add(plan, self.order)

    def enter(self) -> None:
        self.entering.enter()
        self.entering.call()


@pytest.fixture
def stage() -> _Stage:
    return _Stage()


def test_it_is_early_enough_when_there_is_work_for_a_lane_beside_this_one(stage: _Stage) -> None:
    stage.add(15)
    assert not stage.entering.due(early=True)
    stage.add(5)
    assert stage.entering.due(early=True)
    assert not stage.entering.due(early=False)
    stage.enter()
    assert len(stage.rung) == 1
    stage.add(9)
    assert not stage.entering.due(early=True)
    stage.add(1)
    assert stage.entering.due(early=True)


def test_no_more_lanes_are_called_than_the_most(stage: _Stage) -> None:
    for _ in range(20):
        stage.add(10)
        if stage.entering.due(early=True):
            stage.enter()
    stage.enter()
    assert len(stage.rung) == LANES_AT_ONCE
    assert stage.rung == [n + 2 for n in range(LANES_AT_ONCE)]


def test_many_folders_are_entered_though_nothing_is_in_them(stage: _Stage) -> None:
    for _ in range(FOLDERS_AT_ONCE - 1):
        stage.add()
    assert not stage.entering.due(early=False)
    stage.add()
    assert stage.entering.due(early=False)
    stage.enter()
    assert not stage.rung


def test_it_is_foretold_what_comes_next_in_a_small_mailbox(stage: _Stage) -> None:
    for messages in (1, 0, 2):
        stage.add(messages)
    stage.enter()
    assert list(stage.entering.coming(100)) == ["F1"]


def test_nothing_is_foretold_once_a_lane_was_called(stage: _Stage) -> None:
    stage.add(10)
    stage.add(10)
    stage.enter()
    stage.add(1)
    stage.enter()
    assert stage.rung
    assert not stage.entering.coming(100)


@pytest.mark.parametrize("most", [FORETOLD, 10 * FORETOLD], ids=["bounded", "control"])
def test_little_is_remembered_of_a_mailbox_of_very_many_small_folders(
    stage: _Stage, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(plan_entry, "FORETOLD", most)
    stage.entering._worth = Worth(messages=100 * FORETOLD)
    for _ in range(2 * FORETOLD):
        stage.add(1)
        stage.add()
        stage.entering.enter()
    assert (len(stage.entering.coming(100)) == 0) is (most == FORETOLD)
    remembered = stage.entering._alone
    assert remembered is None or all(plan.batches for plan, _ in remembered)
