"""Tests that lanes are called to a folder with several writers when its shares can be claimed."""

from __future__ import annotations

import contextlib

import pytest

from shared.model.errors import LeaseLost
from shared.model.lifecycle import Disposition
from tests.crash.test_several_writers import staged
from tests.crash.together import WIDE
from worker.copying.copy import CopyRules
from worker.copying.writers import FolderWriters
from worker.planning.plan_entry import PlanEntry


@pytest.mark.parametrize("after", [True, False], ids=["after the division", "control: before it"])
def test_a_bell_for_a_share_finds_one(monkeypatch: pytest.MonkeyPatch, after: bool) -> None:
    in_process = staged()
    in_process.batch_messages = 100
    found: list[bool] = []

    def ring(*job: object) -> None:
        lease = in_process.store.claim("listener/1")
        found.append(lease is not None)
        if lease is not None:
            with contextlib.suppress(LeaseLost):
                in_process.store.release(lease, how=Disposition.WAIT)

    monkeypatch.setattr(in_process, "ring", ring)
    monkeypatch.setattr(PlanEntry, "call", lambda self: None)  # the lanes that planning calls are not looked at
    if not after:
        widen = FolderWriters._widen

        def rings(self: FolderWriters, writers: int) -> None:
            widen(self, writers)
            self._ring()

        monkeypatch.setattr(FolderWriters, "_widen", rings)
    in_process.to_the_end(rules=CopyRules(group_messages=1, outstanding=4, widening=WIDE))
    in_process.assert_exactly_once()
    assert found, "the folder was never widened"
    assert all(found) is after
