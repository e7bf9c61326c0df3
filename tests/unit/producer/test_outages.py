"""The reasons why an import does not go on: servers that do not answer, and the store that takes no writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from producer.operations.outages import waits_of
from producer.show.waiting import said
from shared.model import Failure, Import, Wait, WaitKind
from shared.model.lifecycle import Control, ImportState
from shared.store.memory.memory_store import MemoryStore
from shared.store.redis.redis_scripts import refusal
from tests.contract.store_kit import planned, take


def _away(at: float, **more: object) -> Failure:
    failure = Failure(
        code="destination_unreachable",
        at=at,
        since=at,
        sentence="destination: cannot connect to mail.new.example:993: [Errno 111] Connection refused",
    )
    return replace(failure, **more)  # type: ignore[arg-type]


def _import(store: MemoryStore, import_id: str) -> Import:
    found = store.import_(import_id)
    assert found is not None
    return found


def _failing(failure: Failure) -> tuple[MemoryStore, Import, str]:
    store = MemoryStore(clock=lambda: 1000.0)
    store.attend("worker-1", (), extend=False)
    whole, mailbox, _ = planned(store, (1, 10))
    place = f"{mailbox.destination.endpoint.host}:{mailbox.destination.endpoint.port}"
    sentence = failure.sentence.replace("mail.new.example:993", place)
    store.release(take(store), how="wait", failure=replace(failure, sentence=sentence), delay_seconds=40)
    return store, _import(store, whole.import_id), place


def test_a_server_that_does_not_answer_is_waited_for() -> None:
    store, request, place = _failing(_away(1000.0, next_at=1040.0, since=900.0))
    (wait,) = waits_of(store, request)
    assert wait == Wait(
        what=WaitKind.DESTINATION_SERVER, key=place, since=900.0, until=1040.0, why="Connection refused", mailboxes=1
    )
    text = said(wait, now=1000.0)
    assert text.startswith(f"waiting for {place}: Connection refused since ")
    assert text.endswith("; next try in 40 s")


def test_while_it_is_paused_no_next_try_is_told() -> None:
    store, request, place = _failing(_away(1000.0, next_at=1040.0, since=900.0))
    (wait,) = waits_of(store, replace(request, control=Control.PAUSE))
    assert "next try" not in said(wait, now=1000.0)
    assert said(wait, now=1000.0).startswith(f"waiting for {place}: ")
    assert said(Wait(what=WaitKind.ROOM, mailboxes=2)) == "2 mailboxes are full"


def test_it_is_over_as_soon_as_anything_is_recorded() -> None:
    store, request, _ = _failing(_away(1000.0))
    assert waits_of(store, replace(request, last_record_at=1001.0)) == []
    assert waits_of(store, replace(request, state=ImportState.FINISHED)) == []


def _without_workers(**how: object) -> list[Wait]:
    store = MemoryStore(clock=lambda: 1000.0)
    whole, _, _ = planned(store, (1, 10))
    for name, value in how.items():
        setattr(store, name, value)
    return waits_of(store, _import(store, whole.import_id))


def test_the_want_of_a_worker_is_a_cause() -> None:
    (wait,) = _without_workers()
    assert wait == Wait(what=WaitKind.WORKERS)
    assert said(wait) == "no worker is running: nothing moves until one is started (mailhaul worker, or mailhaul up)"


def test_it_is_no_cause_where_another_one_is() -> None:
    shut = Wait(what=WaitKind.WINDOW, until=2000.0, why="20:00-06:00 UTC")
    assert _without_workers(waits=lambda import_id: [shut]) == [shut]
    (store,) = _without_workers(refusal="it is out of memory")
    assert store.what == "store"


@pytest.mark.parametrize(
    "more", [{"state": ImportState.OPENING}, {"state": ImportState.FINISHED}, {"control": Control.PAUSE}]
)
def test_who_wants_no_worker_does_not_miss_one(more: dict[str, Any]) -> None:
    store = MemoryStore(clock=lambda: 1000.0)
    whole, _, _ = planned(store, (1, 10))
    assert waits_of(store, replace(_import(store, whole.import_id), **more)) == []


def test_a_store_that_takes_no_writes_goes_before_everything() -> None:
    store, request, _ = _failing(_away(1000.0))
    store.refusal = "it cannot write to its disk: No space left on device"
    first, second = waits_of(store, request)
    assert (first.what, second.what) == ("store", "destination_server")
    assert said(first) == (
        "the state store takes no writes: it cannot write to its disk: No space left on device; work goes on when it does"
    )


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (
            "MISCONF Errors writing to the AOF file: No space left on device",
            "it cannot write to its disk: No space left",
        ),
        ("OOM command not allowed when used memory > 'maxmemory'.", "it is out of memory"),
        ("READONLY You can't write against a read only replica.", "it is a replica"),
        ("ERR unknown command", ""),
    ],
)
def test_what_a_server_says_to_a_write_means(answer: str, meaning: str) -> None:
    found = refusal(answer)
    assert found.startswith(meaning) if meaning else not found
