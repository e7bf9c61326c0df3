"""Rehearsals: servers that keep those of one person waiting keep nobody else's waiting."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any, cast

import pytest

from producer.intake.manifest_row import Row
from producer.intake.scan import Scan
from producer.intake.visiting import ConnectionPlaces
from producer.web.api import rehearsals
from producer.web.api.rehearsals import MOST, MOST_OF_ONE, Rehearsals
from producer.web.problems import Refused
from producer.web.web_context import WebContext
from shared.model import Endpoint, Import, Tls
from shared.model.errors import StoreError
from shared.model.sides import Side
from shared.runtime.config import load_settings
from shared.runtime.secret import Secret
from shared.store.records.principals import Principal, Role


class _Held:
    """Rehearsals of which none ends before it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.begun = threading.Semaphore(0)
        told = SimpleNamespace(keep_rehearsal=lambda *_: None, add_rehearsal=lambda *_: None)
        settings = SimpleNamespace(source_host_connections=32, destination_host_connections=32)
        self.all = Rehearsals(cast(WebContext, SimpleNamespace(records=told, settings=settings)))

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


def test_one_that_cannot_be_begun_gives_its_place_back(held: _Held) -> None:
    def no_store(*_: Any) -> None:
        raise StoreError("no")

    records = cast(Any, held.all._known.records)
    for name in ("keep_rehearsal", "add_rehearsal"):
        before, there = getattr(records, name), no_store
        setattr(records, name, there)
        with pytest.raises(StoreError):
            held.begin("anna")
        setattr(records, name, before)
    assert not held.all._running


def test_all_together_open_no_more_connections_to_a_host_than_are_allowed() -> None:
    """Four scans of 20 mailboxes each, of the same two servers; without places that they share there are more."""
    open_, most, lock, over = Counter[str](), Counter[str](), threading.Lock(), threading.Event()
    wait = {True: 0.001, False: 30}

    class Mail:
        def __init__(self, server: str) -> None:
            self.server = server

        def close(self) -> None:
            with lock:
                open_[self.server] -= 1

    def entered(self: Scan, server: str, *_: Any) -> Any:
        with lock:
            open_[server] += 1
            most[server] = max(most[server], open_[server])
            if open_[server] > 3:
                over.set()
        over.wait(wait[shared])
        return Mail(server)

    old, new = (Endpoint(host=f"{name}.example", port=993, tls=Tls.IMPLICIT) for name in ("old", "new"))
    secret = Secret("x")
    rows = [
        Row(line=line, login=f"p{line}", password=secret, new_login=f"p{line}", new_password=secret)
        for line in range(20)
    ]

    def scanned(places: ConnectionPlaces | None) -> None:
        scan = Scan(old, new, load_settings(source_host_connections=3, destination_host_connections=2), places=places)

        def look(row: Row) -> None:
            with scan._session(Side.SOURCE, old, row), scan._session(Side.DESTINATION, new, row):
                pass

        scan._each(rows, look)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Scan, "_entered", entered)
        for shared in (True, False):
            most.clear()
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(scanned, [ConnectionPlaces(3, 2) if shared else None] * 4))
            fits = most[f"source {old.url}"] <= 3 and most[f"destination {new.url}"] <= 2
            assert fits is shared, most
