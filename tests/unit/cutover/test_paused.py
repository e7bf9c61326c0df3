"""Tests that a cutover that waits for looks says that a person paused them, and how that ends."""

from __future__ import annotations

from producer.cutover.acts import look
from shared.model.lifecycle import Control, CutoverState
from tests.crash.cutover_stage import CutoverStage


def _waits(in_process: CutoverStage, guard: str) -> str:
    return look(in_process.cutovers, in_process.request, "", in_process.time).guards[guard].waits_for


def test_the_guards_that_wait_for_looks_name_the_pause() -> None:
    in_process = CutoverStage()
    in_process.to(CutoverState.STAGING)
    in_process.time += 100_000
    assert _waits(in_process, "synced") == "a look at each of them"
    in_process.store.control(in_process.request.import_id, None, Control.PAUSE)
    for guard in ("synced", "empty"):
        assert _waits(in_process, guard) == "the import is paused: mailhaul resume move"
    in_process.store.control(in_process.request.import_id, None, Control.RUN)
    assert _waits(in_process, "synced") == "a look at each of them"
