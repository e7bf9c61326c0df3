"""A lease that the lease keeper renews, with a clock that the test moves."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from shared.model.errors import ConnectionLost, ControlRequested
from shared.model.lifecycle import Wish
from shared.model.sides import Side
from shared.store.memory.memory_store import MemoryStore
from tests.contract.store_kit import start, take
from worker.copying.inflight import stop_on
from worker.decisions.failures import meant
from worker.lease_keeper import LeaseKeeper


class Session:
    """A session that remembers whether it was shut."""

    def __init__(self) -> None:
        self.shut = False

    def abort(self) -> None:
        self.shut = True


def test_a_lease_that_is_over_is_not_renewed_whatever_the_store_says() -> None:
    """Freezes a worker: another may hold its lease by now, and the worker's own clock must be enough to know."""
    now = 0.0
    store = MemoryStore()  # the store's clock stands still: it would renew for ever
    start(store)
    lease, session = replace(take(store), deadline=60.0), Session()
    lease_keeper = LeaseKeeper(store, "worker", clock=lambda: now)
    lease_keeper.watch(lease, [session])  # type: ignore[list-item]

    now = 50.0
    lease_keeper.turn()
    assert (lease_keeper.wish(lease), session.shut) == ("run", False)
    now = 109.0  # renewed at 50, for 60
    assert lease_keeper.wish(lease) == "run"
    now = 110.0
    lease_keeper.turn()
    assert (lease_keeper.wish(lease), session.shut) == ("lost", True)
    now = 111.0
    lease_keeper.turn()
    assert lease_keeper.wish(lease) == "lost"


@pytest.mark.parametrize(
    ("word", "shut"), [(Wish.YIELD, False), (Wish.LEAVE, False), (Wish.PAUSE, True), (Wish.CANCEL, True)]
)
def test_who_gives_way_finishes_its_message_first(word: Wish, *, shut: bool) -> None:
    class Store(MemoryStore):
        def attend(self, *given: object, **named: object) -> list[Wish]:  # type: ignore[override]
            return [word]

    store = Store()
    start(store)
    lease, session = take(store), Session()
    lease_keeper = LeaseKeeper(store, "worker", clock=lambda: 0.0)
    lease_keeper.watch(replace(lease, deadline=60.0), [session])  # type: ignore[list-item]
    for _ in range(3):
        lease_keeper.turn()
    assert (lease_keeper.wish(lease), session.shut) == (word, shut)
    with pytest.raises(ControlRequested):
        stop_on(lease_keeper.wish(lease))


@pytest.mark.parametrize("protected", [True, False])
def test_a_message_that_does_not_end_keeps_no_lane_that_is_to_give_way(
    monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    """Gives each unit twice as long the next time, so that a large message of an honest source gets through."""
    now = 0.0
    shut_at: list[float] = []
    if not protected:
        monkeypatch.setattr(LeaseKeeper, "_gives_no_way", lambda *_: False)

    class Store(MemoryStore):
        def attend(self, *given: object, **named: object) -> list[Wish]:  # type: ignore[override]
            return [Wish.YIELD]

    store = Store()
    start(store)
    lease = replace(take(store), deadline=600.0)
    lease_keeper = LeaseKeeper(store, "worker", clock=lambda: now)
    for _ in range(3):
        session = Session()
        lease_keeper.watch(lease, [session])  # type: ignore[list-item]
        began = now
        while not session.shut and now - began < 60:
            lease_keeper.turn()
            now += 1
        shut_at.append(now - 1 - began)
        assert isinstance(meant(ConnectionLost(Side.SOURCE, "shut"), lease_keeper.wish(lease)), ControlRequested)
    assert shut_at == ([4, 8, 16] if protected else [59, 59, 59])


@pytest.mark.parametrize("between", [Wish.RUN, Wish.YIELD, Wish.LEAVE])
def test_a_lane_that_is_to_give_way_no_more_has_its_time_anew(between: Wish) -> None:
    """A lane that is merely one too many is not cut off at all."""
    rounds = [(0.0, Wish.YIELD), (3.0, between), (40.0, between), (41.0, Wish.YIELD)]

    class Store(MemoryStore):
        def attend(self, *given: object, **named: object) -> list[Wish]:  # type: ignore[override]
            return [rounds[0][1]]

    store, session = Store(), Session()
    start(store)
    lease_keeper = LeaseKeeper(store, "worker", clock=lambda: rounds[0][0])
    lease_keeper.watch(replace(take(store), deadline=600.0), [session])  # type: ignore[list-item]
    while len(rounds) > 1:
        lease_keeper.turn()
        rounds.pop(0)
    lease_keeper.turn()
    assert session.shut is (between is Wish.YIELD)


def test_a_worker_is_heard_of_before_its_first_second_is_over() -> None:
    """Keeps `status` from saying that no worker is running."""
    heard = threading.Event()

    class Store(MemoryStore):
        def attend(self, *given: object, **named: object) -> list[object]:  # type: ignore[override]
            heard.set()
            return []

    lease_keeper = LeaseKeeper(Store(), "worker", ask_seconds=3600.0)
    lease_keeper.start()
    try:
        assert heard.wait(180)
    finally:
        lease_keeper.stop()
