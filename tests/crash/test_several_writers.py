"""Tests several workers in one folder: killed before and after every effect, the others and their heirs end the same."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from shared.batching import Worth
from shared.mail.memory import USUAL
from shared.store.memory import MemoryStore
from tests.crash.interruption import MemoryImport, numbered
from tests.crash.together import Turns, live_together

DESTINATIONS: dict[str, dict[str, Any]] = {
    "single appends": {"capabilities": USUAL - {"MULTIAPPEND"}},
    "multiappend": {},
}


def one_folder(stage: MemoryImport) -> None:
    """Fills one folder of 42 messages, with two kinds of twins all over its batches."""
    inbox = stage.old.folder(LOGIN, b"INBOX")
    for n in range(42):
        if n % 3 < 2:
            inbox.add(b"Subject: twin\r\n\r\nsame\r\n", internaldate=1_700_000_100)
        elif n % 5 == 0:
            # The same header and date with another body: only the bytes tell them apart.
            inbox.add(b"Subject: twin\r\n\r\nSAME\r\n", internaldate=1_700_000_100)
        else:
            inbox.add(numbered(n), internaldate=1_700_000_000 + n)


LOGIN = "ivan"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keeps the logs of thousands of lives from being written."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


def staged(settle_seconds: float = 30.0, **destination: Any) -> MemoryImport:
    stage = MemoryImport(settle_seconds=settle_seconds, **destination)
    # A lane more is worth it for one message.
    stage.store = MemoryStore(clock=lambda: stage.time, worth=Worth(messages=1, size_bytes=1))
    one_folder(stage)
    stage.submit()
    return stage


def lives(stage: MemoryImport, kills: list[int], seed: int, spare: int = 0) -> list[Turns]:
    """Lets workers live together of which the nth dies at its effect `kills[n]`, and then heirs to the end."""
    workers = [Turns(f"w{n}", kill) for n, kill in enumerate(kills)] + [Turns(f"s{n}") for n in range(spare)]
    live_together(stage, workers, seed)
    if not any(not worker.dead for worker in workers):
        stage.later(1)
        live_together(stage, [Turns("heir1"), Turns("heir2")], seed + 1)
    return workers


def writers_seen(workers: list[Turns]) -> int:
    """Returns how many workers sent messages."""
    return sum("before send" in worker.names for worker in workers)


@pytest.mark.parametrize("kind", DESTINATIONS)
@pytest.mark.parametrize("number", [2, 3])
def test_several_workers_write_one_folder(kind: str, number: int) -> None:
    several = 0
    for seed in range(10):
        stage = staged(**DESTINATIONS[kind])
        several += writers_seen(lives(stage, [-1] * number, seed)) == number
        stage.assert_exactly_once()
        assert not stage.store.failures(stage.mailbox_id)
    assert several > 5


@pytest.mark.parametrize("settle", [0.0, 30.0])
@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("kind", DESTINATIONS)
def test_one_is_killed_at_every_effect(kind: str, number: int, settle: float) -> None:
    for seed in (1, 2):
        stage = staged(settle, **DESTINATIONS[kind])
        length = lives(stage, [-1] * number, seed)[0].steps
        for kill_at in range(length):
            stage = staged(settle, **DESTINATIONS[kind])
            lives(stage, [kill_at] + [-1] * (number - 1), seed)
            stage.assert_exactly_once()


@pytest.mark.parametrize("settle", [0.0, 30.0])
@pytest.mark.parametrize("kind", DESTINATIONS)
def test_two_or_all_of_three_are_killed(kind: str, settle: float) -> None:
    chosen = random.Random(kind)
    for seed in range(60):
        stage = staged(settle, **DESTINATIONS[kind])
        lives(stage, [chosen.randrange(70) for _ in range(chosen.choice([2, 3]))], seed, spare=seed % 2)
        stage.assert_exactly_once()
