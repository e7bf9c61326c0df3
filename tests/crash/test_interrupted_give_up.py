"""Tests that a cutover which is given up leaves the wave standing as a person had set it, wherever its coordinator is killed."""

from __future__ import annotations

import pytest

from producer.cutover.stood import noted, standing_for, stands_after
from shared.model.cutover import STOOD
from shared.model.lifecycle import CutoverState
from shared.rules.standing import Standing
from tests.crash.cutover_stage import CutoverStage
from tests.crash.interruption import Effects, Killed

#: What a person set before the cutover.
SET = Standing(least_seconds=300.0, most_seconds=7200.0, switch_at=2_000_000.0)


def _stage(standing: Standing | None = SET) -> CutoverStage:
    in_process = CutoverStage()
    in_process.store.set_standing(in_process.request.import_id, "", standing)
    return in_process


def _stands(in_process: CutoverStage) -> Standing | None:
    return in_process.store.standings(in_process.request.import_id).get("")


def _given_up(kill_at: int, standing: Standing | None) -> tuple[CutoverStage, Effects]:
    """Plays a cutover that is begun and given up by a coordinator that is killed at this step, and then by another one."""
    in_process, effects = _stage(standing), Effects(kill_at)
    in_process.begin()
    for act in ("", "give_up"):
        if act:
            in_process.send(act)
        try:
            in_process.turn(effects, times=6)
        except Killed:
            in_process.turn(times=6)
        if not act:
            assert _stands(in_process) == standing_for(1800.0), "in between the cutover sees to it"
    return in_process, effects


STEPS = max(_given_up(-1, standing)[1].steps for standing in (SET, None))


@pytest.mark.parametrize("standing", [SET, None], ids=["stood", "did not stand"])
@pytest.mark.parametrize("kill_at", range(STEPS + 1))
def test_it_stands_as_before(kill_at: int, standing: Standing | None) -> None:
    in_process, _ = _given_up(kill_at, standing)
    assert in_process.state is CutoverState.CLOSED
    assert _stands(in_process) == standing


def test_given_up_before_it_was_staged_it_stands_as_before() -> None:
    in_process = _stage()
    in_process.begin()
    in_process.send("give_up")
    in_process.turn()
    assert _stands(in_process) == SET


def test_begun_anew_before_the_coordinator_saw_that_it_was_given_up_it_knows_what_stood() -> None:
    in_process = _stage()
    in_process.to(CutoverState.SYNCED)
    in_process.send("give_up")
    in_process.begin()
    in_process.turn(times=6)
    in_process.send("give_up")
    in_process.turn()
    assert _stands(in_process) == SET


def test_what_a_person_sets_while_it_is_under_way_stays() -> None:
    in_process, other = _stage(), Standing(least_seconds=10.0, most_seconds=20.0)
    in_process.to(CutoverState.SYNCED)
    in_process.store.set_standing(in_process.request.import_id, "", other)
    in_process.turn()
    assert _stands(in_process) == other
    in_process.send("give_up")
    in_process.turn()
    assert _stands(in_process) == other


def test_what_a_person_ended_while_it_was_under_way_is_not_brought_back() -> None:
    in_process = _stage()
    in_process.to(CutoverState.SYNCED)
    in_process.store.set_standing(in_process.request.import_id, "", None)
    in_process.turn()
    assert _stands(in_process), "the cutover needs it"
    in_process.send("give_up")
    in_process.turn()
    assert _stands(in_process) is None


@pytest.mark.parametrize("end", ["rollback", "close"])
def test_after_the_switch_nothing_stands_any_more(end: str) -> None:
    in_process = _stage()
    in_process.to(CutoverState.SWITCHED)
    in_process.turn(times=6)
    if end == "close":
        for _ in range(3):
            in_process.looks(3600)
            in_process.turn()
    in_process.send(end)
    in_process.turn()
    assert _stands(in_process) is None


@pytest.mark.parametrize("note", ["[1]", "[1, 2, true, 4]", "{}", "x", '["a", 1, 2]'])
def test_a_note_that_is_none_lets_nothing_stand(note: str) -> None:
    in_process = _stage()
    in_process.to(CutoverState.SYNCED)
    in_process.send("give_up")
    cutover = in_process.view.cutover
    assert stands_after(cutover, note, standing_for(1800.0)) is None
    assert stands_after(cutover, noted(SET), standing_for(1800.0)) == SET
    assert STOOD in in_process.cutovers.notes(in_process.request.import_id, "")


def test_what_a_cutover_from_before_the_notes_set_goes_with_it() -> None:
    """Before the upgrade the coordinator noted that it keeps the wave in sync, and not how that stood before."""
    in_process = _stage(None)
    in_process.to(CutoverState.SYNCED)
    in_process.send("give_up")
    cutover = in_process.view.cutover
    assert stands_after(cutover, "", standing_for(1800.0)) is None
    assert stands_after(cutover, "", SET) == SET, "a person set it meanwhile"


def test_a_cutover_that_kept_nothing_in_sync_takes_nothing_away() -> None:
    """A person had set the very standing that the cutover would have set."""
    in_process = _stage(standing_for(1800.0))
    in_process.begin()
    in_process.send("give_up")
    in_process.turn(times=6)
    assert _stands(in_process) == standing_for(1800.0)
