"""The message about an import's end tells of its end, whatever was seen a moment before."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from producer.cli.following import Watch
from shared.model import Stranded, Wait, WaitKind
from shared.model.lifecycle import Control
from tests.unit.producer.test_operations import RungResources


def test_nothing_waits_for_a_lost_worker_when_all_is_done() -> None:
    resources = RungResources()
    request = resources.submit("anna")
    waiting = [Stranded(units=1, messages=297, seconds=1.0)]
    resources.store.stranded = lambda import_id: waiting[0]  # type: ignore[method-assign]
    context, shown = SimpleNamespace(store=resources.store, owner=True), SimpleNamespace(show=lambda *seen: None)
    watch = Watch(cast(Any, context), request.import_id, cast(Any, shown))
    watch.look()
    assert watch.look().stranded.messages == 297
    resources.operations.control(request, Control.CANCEL)
    waiting[0] = Stranded()
    ended = watch.look()
    assert (ended.finished, ended.stranded) == (True, Stranded())


def test_at_the_end_nobody_is_shown_at_work() -> None:
    resources = RungResources()
    request = resources.submit("anna")
    rows: list[Any] = []
    shown = SimpleNamespace(show=lambda progress, at_work, groups: rows.append(at_work))
    watch = Watch(cast(Any, SimpleNamespace(store=resources.store, owner=True)), request.import_id, cast(Any, shown))
    watch.look()
    resources.operations.control(request, Control.CANCEL)
    watch.look()
    assert [len(seen) for seen in rows] == [1, 0]


def test_who_leaves_early_is_told_what_the_import_waits_for() -> None:
    resources = RungResources()
    request = resources.submit("anna")
    said: list[str] = []
    context = SimpleNamespace(store=resources.store, owner=True)
    shown = SimpleNamespace(show=lambda *seen: None, say=said.append)
    watch = Watch(cast(Any, context), request.import_id, cast(Any, shown))
    watch.look()
    resources.store.refusing = lambda: "it is out of memory"  # type: ignore[method-assign]
    resources.store.waits = lambda import_id: [Wait(what=WaitKind.RATE, why="10 MB a day are used up", mailboxes=1)]  # type: ignore[method-assign]
    watch.leave()
    assert said == [
        "the state store takes no writes: it is out of memory; work goes on when it does",
        "10 MB a day are used up (1 mailbox)",
    ]


@pytest.mark.parametrize(("owner", "since", "told"), [(True, 60.0, False), (False, 0.0, False), (False, 60.0, True)])
def test_a_missing_worker_is_told_when_it_had_time_to_start(
    monkeypatch: pytest.MonkeyPatch, owner: bool, since: float, told: bool
) -> None:
    """Checks the message about a missing worker.

    The process that owns the embedded services starts workers itself, and has its own message where it cannot.
    """
    clock = [0.0]
    monkeypatch.setattr("producer.cli.following.time.monotonic", lambda: clock[0])
    resources = RungResources()
    request = resources.submit("anna")
    context, shown = SimpleNamespace(store=resources.store, owner=owner), SimpleNamespace(show=lambda *seen: None)
    watch = Watch(cast(Any, context), request.import_id, cast(Any, shown))
    clock[0] = since
    assert [wait.what for wait in watch.look().waits] == (["workers"] if told else [])
