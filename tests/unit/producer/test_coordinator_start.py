"""Tests when an import in the foreground starts its coordinator."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from producer.cli import importing
from producer.coordinator.tally import Progress
from shared.model import Tally, Wait, WaitKind
from shared.model.lifecycle import MailboxState, Outcome
from tests.contract.store_kit import request


class _Processes:
    def __init__(self) -> None:
        self.started = 0

    def start_coordinator(self) -> None:
        self.started += 1


def test_the_coordinator_comes_when_nothing_moves_or_something_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(importing.time, "monotonic", lambda: now[0])
    one = request()

    def started(*looks: tuple[float, int, tuple[Wait, ...]]) -> int:
        context: Any = SimpleNamespace(owner=False)
        staff = importing._Staff(context, 1, True, contextlib.ExitStack(), ())
        processes: Any = _Processes()
        staff._processes = processes
        for after, copied, waits in looks:
            now[0] += after
            tally = Tally(messages=9, outcomes={Outcome.COPIED: copied})
            staff.wake(Progress(import_=one, tally=tally, mailboxes={MailboxState.COPYING: 1}, waits=waits))
        return int(processes.started)

    waiting = (Wait(what=WaitKind.SOURCE_HOST, key="source_host:one", until=1e9),)
    assert started((0.1, 1, ()), (0.9, 2, ()), (0.9, 3, ()), (0.9, 4, ())) == 0
    assert started((0.1, 1, ()), (0.9, 1, ()), (0.2, 1, ())) == 1
    assert started((0.1, 1, ()), (0.1, 2, waiting)) == 1
