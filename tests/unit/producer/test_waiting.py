"""The waiting time of the mailbox that waits longest."""

from __future__ import annotations

from producer.coordinator.waiting import Waiting


def test_who_is_given_nothing_waits_longer_and_longer() -> None:
    waiting = Waiting()
    assert waiting.seen(100, {"a": 1.0, "b": 1.0}) == 0
    assert waiting.seen(110, {"a": 1.0, "b": 1.0}) == 10
    assert waiting.seen(120, {"a": 2.0, "b": 1.0}) == 20, "b still waits"
    assert waiting.seen(130, {"a": 2.0, "b": 5.0}) == 10, "a since 120"
    assert waiting.seen(140, {}) == 0
    assert waiting.seen(150, {"a": 2.0}) == 0, "it was away"
