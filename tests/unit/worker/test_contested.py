"""Tests how long a batch waits whose copies may be another lane's, at work or dead."""

from __future__ import annotations

import pytest

from shared.model.uids import UidSet
from shared.store.memory.memory_store import MemoryStore
from shared.testing.memory_mail import MemoryServer
from tests.contract.store_kit import Clock, intent, planned, take
from worker.copying import recovery
from worker.copying.recovery import CONTESTED_SECONDS, contested_seconds, look


def looks(within: float, settle_seconds: float) -> int:
    """Returns how often a batch that stays contested is looked at in so many seconds."""
    age, number = 1.0, 0
    while age < within:
        age += contested_seconds(age, settle_seconds)
        number += 1
    return number


def test_each_wait_is_as_long_as_all_before_it_up_to_the_settle_time() -> None:
    assert contested_seconds(0.1, 30) == CONTESTED_SECONDS
    assert [contested_seconds(age, 30) for age in (4, 8, 16, 100)] == [4, 8, 16, 30]
    assert looks(120, 30) <= 8
    assert looks(120, 0) > 50, "as it was without longer waits"


@pytest.mark.parametrize("batches", [((1, 1), (2, 2)), ((1, 2),)], ids=["two batches", "one batch"])
@pytest.mark.parametrize(("later", "rule", "seconds"), [(25, True, 24), (25, False, 0), (0, True, 0)])
def test_a_twin_of_what_may_still_arrive_is_not_brought_again(
    later: float,
    rule: bool,
    seconds: float,
    batches: tuple[tuple[int, int], ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the rule it is: of two twins that dead lanes sent one stands there, and the other is on its way.

    The one that stands there is given to the younger one, whose time is not over.
    """
    if not rule:
        monkeypatch.setattr(recovery, "_promised", lambda *_: UidSet())
    old, new, clock = MemoryServer(), MemoryServer(), Clock()
    store = MemoryStore(clock=clock)
    twin = b"Subject: twin\r\n\r\nsame\r\n"
    for server, number in ((old, 2), (new, 1)):
        for _ in range(number):
            server.folder("ivan", b"INBOX").add(twin, internaldate=1_700_000_000)
    planned(store, *batches)
    young = elder = take(store, "x/a")
    if len(batches) > 1:
        store.widen(young, 2)
        elder = take(store, "x/b")
    store.progress(elder, intents=[intent(f"{elder.term}.1", UidSet.of([2]))])
    clock.forward(later)
    store.progress(young, intents=[intent(f"{young.term}.2", UidSet.of([1]))])
    store.bury(["x"])
    clock.forward(31 - later)
    heir = take(store, "y/a", hint=elder.unit.unit_id)
    source, destination = old.source("ivan"), new.destination("ivan")
    source.open(b"INBOX")
    status = destination.open(b"INBOX")

    looked = look(heir, store, source, destination, status, heir.intents, 30, writing=store.writing(heir))
    assert looked.wait_seconds == seconds
    assert looked.absent == (UidSet() if seconds else UidSet.of([2]))
