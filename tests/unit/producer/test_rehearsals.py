"""Rehearsals: servers that keep those of one person waiting keep nobody else's waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from producer.web.api import rehearsals
from producer.web.api.rehearsals import MOST, MOST_OF_ONE, Rehearsals
from producer.web.problems import Refused
from producer.web.web_context import WebContext
from shared.model import Import
from shared.store.records.principals import Principal, Role


class _Held:
    """Rehearsals of which none ends before it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.begun = threading.Semaphore(0)
        told = SimpleNamespace(keep_rehearsal=lambda *_: None, add_rehearsal=lambda *_: None)
        self.all = Rehearsals(cast(WebContext, SimpleNamespace(records=told)))

    def go(self, *_: Any) -> None:
        self.begun.release()
        self.let_go.wait(30)

    def begin(self, name: str) -> None:
        who = Principal(principal_id=f"user:{name}", name=name, role=Role.OPERATOR)
        self.all.begin(cast(Import, SimpleNamespace(import_id="i")), "check", "", who)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Held]:
    held = _Held()
    monkeypatch.setattr(rehearsals._Run, "go", held.go)
    yield held
    held.let_go.set()
    held.all.close()


def test_one_person_keeps_nobody_waiting(held: _Held) -> None:
    for _ in range(MOST_OF_ONE):
        held.begin("anna")
    with pytest.raises(Refused, match="of yours"):
        held.begin("anna")
    held.begin("bob")
    for _ in range(MOST_OF_ONE + 1):
        assert held.begun.acquire(timeout=10), "each runs at once, and waits for no other"


def test_all_together_have_an_end_and_each_gives_its_place_back(held: _Held) -> None:
    for number in range(MOST):
        held.begin(f"person {number}")
    with pytest.raises(Refused, match="too many rehearsals"):
        held.begin("another")
    held.let_go.set()
    held.all._pool.shutdown(wait=True)
    assert not held.all._running
