"""Tests many lanes at once, by the servers' own clock: no unit is served twice, and none is lost."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.model import UnitKind
from shared.model.errors import LeaseLost, StoreError
from shared.model.lanes import LaneSearch
from shared.model.lifecycle import ImportState, Outcome
from shared.runtime.redis_client import HeldRedis, in_one_flight
from shared.store import Store
from shared.store.memory.memory_store import MemoryStore
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import (
    binaries,
    copied,
    ledger_is_bijection,
    plan_of,
    planned,
    serve,
    start,
    sums_agree,
    take,
)


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    binary = binaries()["redis"] or binaries()["valkey"]
    if binary is None:
        pytest.skip("needs Redis")
    yield from serve(binary)


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Store:
    if request.param == "memory":
        return MemoryStore()
    client: redis.Redis = request.getfixturevalue("client")
    client.flushall()
    return RedisStore(client)


def test_a_beat_looks_up_a_host_once_however_many_lanes_are_there(client: redis.Redis) -> None:
    client.flushall()
    store = RedisStore(client)
    _, rows = start(store, 6)
    for row in rows:
        planner = take(store, "planner", prefer=row.mailbox_id)
        store.plan_folders(planner, [(plan_of(row, "INBOX", (1, 10)), 1)])
        store.finish(planner)
        store.leave("planner", row.mailbox_id)
    leases = [take(store, str(n)) for n in range(6)]
    store.steer("destination_host:new.example", 0, LaneSearch(limit=2, kept=2, most=32, version=1))

    def looked_up(number: int) -> int:
        before = client.info("commandstats").get("cmdstat_zcard", {}).get("calls", 0)
        words = store.attend("w", leases[:number], extend=False)
        assert [word == "run" for word in words] == [n < 2 for n in range(number)]
        return int(client.info("commandstats")["cmdstat_zcard"]["calls"] - before)

    assert looked_up(2) == looked_up(6) > 0


def test_threads_keep_their_connections_and_get_their_own_answers_when_the_server_closes_them(
    client: redis.Redis,
) -> None:
    client.flushall()
    store = RedisStore(client, held=True)
    whole, _ = start(store, 3)
    kept: list[object] = []
    faults: list[BaseException] = []
    # A thread that ends gives its connection back, and a later thread may take it: none ends before all have asked.
    all_asked = threading.Barrier(4, timeout=180)

    def ask() -> None:
        try:
            for _ in range(40):
                found = store.import_(whole.import_id)
                assert found is not None
                assert found.name == whole.name
                assert store.waits(whole.import_id) == []
            all_asked.wait()
            kept.append(store._client().connection)  # type: ignore[attr-defined]
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        client.client_kill_filter(_type="normal", skipme=True)  # as a server does that restarts or tidies up
    for thread in threads:
        thread.join()
    assert not faults
    assert len({id(one) for one in kept}) == 4


def test_an_answer_that_nobody_read_is_not_taken_for_that_of_the_next_command(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = HeldRedis(client).mine()

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(mine.connection, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            in_one_flight(mine, [("ECHO", "first")])
    assert in_one_flight(mine, [("ECHO", "second"), ("HGET", "wrong"), ("ECHO", "third")])[::2] == [b"second", b"third"]


def test_eight_lanes_serve_everything_exactly_once(store: Store) -> None:
    whole, rows = start(store, 6)
    served: Counter[str] = Counter()
    faults: list[BaseException] = []

    def lane(holder: str) -> None:
        try:
            while not _over(store, whole.import_id):
                lease = store.claim(holder)
                if lease is None:
                    continue
                served[lease.unit.unit_id] += 1
                if lease.unit.kind is UnitKind.PLAN:
                    for n in range(3):
                        plan = plan_of(lease.mailbox, f"f{n}", (1, 10), (11, 20), (21, 30))
                        store.plan_folders(lease, [(plan, n)])
                elif lease.unit.kind is UnitKind.COPY:
                    store.progress(lease, settled=[copied(lease.unit.uids, lease.unit.uids.low)])
                store.finish(lease)
                store.leave(holder, lease.mailbox.mailbox_id)
        except BaseException as error:
            faults.append(error)

    lanes = [threading.Thread(target=lane, args=(f"lane{n}",)) for n in range(8)]
    for thread in lanes:
        thread.start()
    for thread in lanes:
        thread.join(60)
    assert not faults
    assert set(served.values()) == {1}
    assert len(served) == 6 * (1 + 9 + 1)
    tally, _ = store.import_tally(whole.import_id)
    assert (tally.messages, tally[Outcome.COPIED]) == (540, 540)
    sums_agree(store, whole.import_id)
    for mailbox in rows:
        for folder, _ in store.folders(mailbox.mailbox_id):
            ledger_is_bijection(store, folder.folder_id)


def _over(store: Store, import_id: str) -> bool:
    found = store.import_(import_id)
    return found is not None and found.state is ImportState.FINISHED


def test_a_lease_runs_out_by_the_servers_clock(client: redis.Redis) -> None:
    client.flushall()
    store = RedisStore(client, lease_seconds=0.05)
    planned(store, (1, 10))
    lease = take(store)
    until = time.monotonic() + 180
    while not (taken := store.reap(0)):
        assert time.monotonic() < until, "the lease never ran out"
    assert taken == [lease.unit.unit_id]
    with pytest.raises(LeaseLost):
        store.finish(lease)


def test_a_store_that_is_gone_says_so() -> None:
    store = RedisStore(redis.Redis(unix_socket_path="/nowhere/s", retry=Retry(NoBackoff(), 0)))
    for call in (store.ping, store.overview, lambda: store.claim("lane"), lambda: store.mailboxes("x")):
        with pytest.raises(StoreError):
            call()
