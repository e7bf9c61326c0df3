"""Tests that a cutover whose mailboxes a person turns says what to change, and one that is asked too early what comes first."""

from __future__ import annotations

import pytest

from producer.cutover.acts import look, send
from producer.show.cutover_lines import cutover_lines, to_do_lines, under_way_line
from shared.model.errors import UsageError
from shared.model.lifecycle import CutoverState
from tests.crash.cutover_stage import CutoverStage


def _lines(in_process: CutoverStage, *, by_hand: bool) -> list[str]:
    view = look(in_process.cutovers, in_process.request, "", in_process.time)
    return list(cutover_lines(in_process.request, view, in_process.time, by_hand=by_hand))


def test_what_to_change_is_told_once_before_the_switch_and_after_it() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SYNCED)
    assert [line for line in _lines(in_process, by_hand=False) if "to do" in line] == []
    (before,) = [line for line in _lines(in_process, by_hand=True) if "to do" in line]
    assert before.startswith("  to do when it is switched: ")
    in_process.send("announce")
    in_process.send("switch")
    in_process.turn()
    (after,) = [line for line in _lines(in_process, by_hand=True) if "to do" in line]
    assert after.startswith("  to do now: ")


def test_a_switch_that_comes_too_early_says_what_comes_first() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SYNCED)
    with pytest.raises(UsageError, match="nobody can switch it now; next: you decide: mailhaul cutover announce"):
        send(in_process.cutovers, in_process.request, "", "switch", who="anna", at=in_process.time)


def test_only_a_cutover_under_way_has_a_line() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.SYNCED)
    view = look(in_process.cutovers, in_process.request, "", in_process.time)
    assert under_way_line(view, in_process.time).startswith(
        "cutover: synced for 4 s; next: you decide: mailhaul cutover announce"
    )
    in_process.send("give_up")
    over = look(in_process.cutovers, in_process.request, "", in_process.time)
    assert under_way_line(over, in_process.time) == ""
    assert list(to_do_lines(over)) == []
