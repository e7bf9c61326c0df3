"""Tests the cost of the ledger: a million copied messages take less than 4 MB of Redis, and a claim stays fast."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from shared.model import LedgerEntry, Settled
from shared.model.uids import UidSet, records_of
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import batch, binaries, folder_of, intent, person, plan_of, request, serve, start, take

#: What is written down grows with each batch alike, so a fifth of a million tells what a million costs.
MESSAGES = 200_000
MILLION = 1_000_000
BATCH = 2_000
GROUP = 100


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    found = [binary for binary in binaries().values() if binary]
    if not found:
        pytest.skip("needs Redis")
    yield from serve(found[0])


def contiguous() -> Iterator[tuple[int, int]]:
    """Yields (source UID, destination UID), both without gaps."""
    yield from ((n, n) for n in range(1, MESSAGES + 1))


def gaps() -> Iterator[tuple[int, int]]:
    """Yields UIDs with a third of the source UIDs missing, at random."""
    chance = random.Random(7)
    source = 0
    for n in range(1, MESSAGES + 1):
        source += 1
        while chance.random() < 1 / 3:
            source += 1
        yield source, n


def interleaved() -> Iterator[tuple[int, int]]:
    """Yields UIDs with another client's message after about every fifty of ours."""
    chance = random.Random(8)
    destination = 0
    for n in range(1, MESSAGES + 1):
        destination += 2 if chance.random() < 1 / 50 else 1
        yield n, destination


def both() -> Iterator[tuple[int, int]]:
    """Returns UIDs with gaps at the source and other mail at the destination."""
    return ((source, destination) for (source, _), (_, destination) in zip(gaps(), interleaved(), strict=True))


@pytest.mark.parametrize("shape", [contiguous, gaps, interleaved, both])
def test_a_million_messages_cost_less_than_four_megabytes(client: redis.Redis, shape: object) -> None:
    client.flushall()
    store = RedisStore(client)
    pairs = list(shape())  # type: ignore[operator]
    _, (mailbox,) = start(store)
    lease = take(store)
    empty = int(client.info("memory")["used_memory"])
    batches = [pairs[at : at + BATCH] for at in range(0, MESSAGES, BATCH)]
    folder = folder_of(mailbox, uidnext=pairs[-1][0] + 1, source_messages=MESSAGES)
    units = tuple(batch(folder, UidSet.of(s for s, _ in part)) for part in batches)
    plan = replace(plan_of(mailbox), folder=folder, batches=units, messages=MESSAGES, size_bytes=MESSAGES * 1000)
    store.plan_folders(lease, [(plan, 1)])
    open_ = int(client.info("memory")["used_memory"]) - empty
    store.finish(lease)
    highest = 0
    for part in batches:
        lease = take(store)
        assert lease.unit.uids.low == part[0][0]
        done: list[Settled] = []
        for at in range(0, BATCH, GROUP):
            group = part[at : at + GROUP]
            number = f"{lease.term}.{at}"
            store.progress(lease, settled=done, intents=[intent(number, UidSet.of(s for s, _ in group))])
            done = [Settled(intent_id=number, records=tuple(records_of(group)), size_bytes=1, digest=2**48 - at - 1)]
        store.progress(lease, settled=done)
        highest = max(highest, int(client.info("memory")["used_memory"]) - empty)
        store.finish(lease, [LedgerEntry(name="", records=tuple(records_of(part)), digest=0)])
    cost = int(client.info("memory")["used_memory"]) - empty
    print(
        f"\n{shape.__name__}: {cost / MESSAGES:.2f} MB a million messages"  # type: ignore[attr-defined]
        f" (planned {open_ / MESSAGES:.2f} MB, highest {highest / MESSAGES:.2f} MB;"
        f" taken {(client.memory_usage(taken_key(client)) or 0) / MESSAGES:.2f} MB)"
    )
    ledger = store.ledger(folder.folder_id)
    assert sum(len(record.source) for entry in ledger for record in entry.records) == MESSAGES
    assert cost / MESSAGES * MILLION < 4_000_000
    assert highest / MESSAGES * MILLION < 5_000_000, "not even on the way"


def taken_key(client: redis.Redis) -> bytes:
    return next(iter(client.scan_iter("*:taken", count=10_000)), b"none")


def test_claims_are_quick_with_a_hundred_thousand_batches_pending(client: redis.Redis) -> None:
    client.flushall()
    store = RedisStore(client, limits={"source_host": 10_000, "destination_host": 10_000})
    whole = request()
    rows = [person(whole, n) for n in range(2000)]
    store.open_import(whole, rows, 14)
    store.submit(whole.import_id)
    empty = int(client.info("memory")["used_memory"])
    for n in range(2000):
        lease = take(store, "planner", held=rows[n - 1].mailbox_id if n else "")
        folder = folder_of(lease.mailbox, uidnext=1001, source_messages=1000)
        spans = tuple(batch(folder, UidSet.span(20 * k + 1, 20 * k + 20)) for k in range(50))
        plan = replace(plan_of(lease.mailbox), folder=folder, batches=spans, messages=1000)
        store.plan_folders(lease, [(plan, 1)])
        store.release(lease, how="wait", delay_seconds=100_000)
    used = int(client.info("memory")["used_memory"]) - empty
    seconds = []
    for n in range(1000):
        began = time.perf_counter()
        lease = take(store, f"lane{n}")
        seconds.append(time.perf_counter() - began)
        store.attend("worker", [lease], extend=True)
    began = time.perf_counter()
    assert store.overview().leased_units == 1000
    looked = time.perf_counter() - began
    seconds.sort()
    print(
        f"\n100,000 batches in 2,000 mailboxes: {used / 1e6:.1f} MB; a claim takes {seconds[500] * 1e3:.2f} ms"
        f" (99 of 100 under {seconds[990] * 1e3:.2f} ms); overview {looked * 1e3:.1f} ms"
    )
    store.set_limit("source_host", 1)
    began = time.perf_counter()
    for n in range(100):
        assert store.claim(f"late{n}") is None
    refused = (time.perf_counter() - began) / 100
    print(f"a claim refused by a host's limit takes {refused * 1e3:.2f} ms")


@pytest.mark.parametrize("a_day", [25, 250, 100_000])
def test_shared_messages_take_little_room(client: redis.Redis, a_day: int) -> None:
    """Uses X-GM-MSGIDs, which begin with a moment: `a_day` messages a day are shown by several folders."""
    client.flushall()
    store, chance, count = RedisStore(client), random.Random(9), 100_000
    before = int(client.info("memory")["used_memory"])
    moment, every = 1_400_000_000_000, 86_400_000 // a_day
    messages = [((moment + n * every) << 20) + chance.randrange(1 << 20) for n in range(count)]
    for at in range(0, count, BATCH):
        part = messages[at : at + BATCH]
        assert store.share("m", f"u{at}", part) == [b""] * len(part)
        store.stand("m", {message: chance.randbytes(8) + at.to_bytes(4) for message in part})
    each = (int(client.info("memory")["used_memory"]) - before) / count
    print(f"{each:.1f} bytes a message at {a_day} a day")
    assert each < (120 if a_day > 10_000 else 60)
