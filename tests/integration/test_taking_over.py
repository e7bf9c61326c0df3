"""Tests two commands at one embedded Redis: the one that began it ends in the middle of what the other does."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.backoff import NoBackoff

from producer.cli.command_context import CommandContext, open_context
from shared.model.errors import StoreError
from shared.store.redis import redis_scripts


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the store's client try again at once."""
    monkeypatch.setattr(redis_scripts, "ExponentialWithJitterBackoff", lambda **_: NoBackoff())


def test_the_store_is_there_though_the_command_that_ran_it_has_ended(tmp_path: Path) -> None:
    first = open_context(tmp_path)
    with first, open_context(tmp_path) as second:
        assert first.store.workers() == second.store.workers() == 0
        assert (first.owner, second.owner) == (True, False)
        first.__exit__(None, None, None)
        assert second.store.workers() == 0
        assert second.owner


def test_without_taking_it_over_it_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    monkeypatch.setattr(CommandContext, "_revived", lambda _: "")
    first = open_context(tmp_path)
    with first, open_context(tmp_path) as second:
        assert first.store.workers() == second.store.workers() == 0
        first.__exit__(None, None, None)
        with pytest.raises(StoreError, match="not reachable"):
            second.store.workers()


def test_a_command_that_has_ended_begins_no_server(tmp_path: Path) -> None:
    with open_context(tmp_path) as command:
        store = command.store
        assert store.workers() == 0
    with pytest.raises(StoreError, match="not reachable"):
        store.workers()
    assert not command.owner
