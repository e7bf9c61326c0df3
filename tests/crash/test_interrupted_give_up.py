"""Tests that a cutover which is given up leaves the wave standing as a person had set it, wherever its coordinator is killed."""

from __future__ import annotations

import pytest

from producer.cutover.stood import noted, standing_for, stands_after
from shared.lifecycle import CutoverState
from shared.model.cutover import STOOD
from shared.standing import Standing
from tests.crash.cutover_stage import CutoverStage
from tests.crash.interruption import Effects, Killed

#: What a person set before the cutover.
SET = Standing(least_seconds=300.0, most_seconds=7200.0, switch_at=2_000_000.0)


def _stage(standing: Standing | None = SET) -> CutoverStage:
    stage = CutoverStage()
    stage.store.set_standing(stage.request.import_id, "", standing)
    return stage


def _stands(stage: CutoverStage) -> Standing | None:
    return stage.store.standings(stage.request.import_id).get("")


def _given_up(kill_at: int, standing: Standing | None) -> tuple[CutoverStage, Effects]:
    """Plays a cutover that is begun and given up by a coordinator that is killed at this step, and then by another one."""
    stage, effects = _stage(standing), Effects(kill_at)
    stage.begin()
    for act in ("", "give_up"):
        if act:
            stage.send(act)
        try:
            stage.turn(effects, times=6)
        except Killed:
            stage.turn(times=6)
        if not act:
            assert _stands(stage) == standing_for(1800.0), "in between the cutover sees to it"
    return stage, effects


STEPS = max(_given_up(-1, standing)[1].steps for standing in (SET, None))


@pytest.mark.parametrize("standing", [SET, None], ids=["stood", "did not stand"])
@pytest.mark.parametrize("kill_at", range(STEPS + 1))
def test_it_stands_as_before(kill_at: int, standing: Standing | None) -> None:
    stage, _ = _given_up(kill_at, standing)
    assert stage.state is CutoverState.CLOSED
    assert _stands(stage) == standing


def test_given_up_before_it_was_staged_it_stands_as_before() -> None:
    stage = _stage()
    stage.begin()
    stage.send("give_up")
    stage.turn()
    assert _stands(stage) == SET


def test_begun_anew_before_the_coordinator_saw_that_it_was_given_up_it_knows_what_stood() -> None:
    stage = _stage()
    stage.to(CutoverState.SYNCED)
    stage.send("give_up")
    stage.begin()
    stage.turn(times=6)
    stage.send("give_up")
    stage.turn()
    assert _stands(stage) == SET


def test_what_a_person_sets_while_it_is_under_way_stays() -> None:
    stage, other = _stage(), Standing(least_seconds=10.0, most_seconds=20.0)
    stage.to(CutoverState.SYNCED)
    stage.store.set_standing(stage.request.import_id, "", other)
    stage.turn()
    assert _stands(stage) == other
    stage.send("give_up")
    stage.turn()
    assert _stands(stage) == other


def test_what_a_person_ended_while_it_was_under_way_is_not_brought_back() -> None:
    stage = _stage()
    stage.to(CutoverState.SYNCED)
    stage.store.set_standing(stage.request.import_id, "", None)
    stage.turn()
    assert _stands(stage), "the cutover needs it"
    stage.send("give_up")
    stage.turn()
    assert _stands(stage) is None


@pytest.mark.parametrize("end", ["rollback", "close"])
def test_after_the_switch_nothing_stands_any_more(end: str) -> None:
    stage = _stage()
    stage.to(CutoverState.SWITCHED)
    stage.turn(times=6)
    if end == "close":
        for _ in range(3):
            stage.looks(3600)
            stage.turn()
    stage.send(end)
    stage.turn()
    assert _stands(stage) is None


@pytest.mark.parametrize("note", ["[1]", "[1, 2, true, 4]", "{}", "x", '["a", 1, 2]'])
def test_a_note_that_is_none_lets_nothing_stand(note: str) -> None:
    stage = _stage()
    stage.to(CutoverState.SYNCED)
    stage.send("give_up")
    cutover = stage.view.cutover
    assert stands_after(cutover, note, standing_for(1800.0)) is None
    assert stands_after(cutover, noted(SET), standing_for(1800.0)) == SET
    assert STOOD in stage.cutovers.notes(stage.request.import_id, "")
