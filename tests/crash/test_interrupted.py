"""Tests work that is interrupted before and after every effect and resumed by another worker.

The end is always the same.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from shared.testing.memory_mail import USUAL
from tests.crash.interruption import Effects, MemoryImport, two_folders
from worker.copy import CopyRules

DESTINATIONS: dict[str, dict[str, Any]] = {
    "multiappend": {},
    "single appends": {"capabilities": USUAL - {"MULTIAPPEND"}},
    "without UIDPLUS": {"capabilities": USUAL - {"UIDPLUS"}},
}


def _staged(**destination: Any) -> MemoryImport:
    stage = MemoryImport(**destination)
    two_folders(stage)
    stage.submit()
    return stage


def _length(**destination: Any) -> int:
    effects = Effects()
    assert _staged(**destination).work(effects)
    return effects.steps


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_interrupted_at_every_effect_ends_the_same(kind: str) -> None:
    destination = DESTINATIONS[kind]
    for kill_at in range(_length(**destination)):
        stage = _staged(**destination)
        assert not stage.work(Effects(kill_at))
        stage.later()
        stage.to_the_end()
        stage.assert_exactly_once()


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_interrupted_twice_ends_the_same(kind: str) -> None:
    destination = DESTINATIONS[kind]
    length = _length(**destination)
    chosen = random.Random(kind)
    for _ in range(150):
        first, second = chosen.randrange(length), chosen.randrange(length)
        stage = _staged(**destination)
        stage.work(Effects(first))
        stage.later()
        stage.work(Effects(second))
        stage.later()
        stage.to_the_end()
        stage.assert_exactly_once()


def test_a_second_pass_with_nothing_changed_appends_nothing_wherever_the_first_was_interrupted() -> None:
    for kill_at in range(0, _length(), 7):
        stage = _staged()
        stage.work(Effects(kill_at))
        stage.later()
        stage.to_the_end()
        stage.submit()
        again = Effects()
        stage.work(again)
        assert "before send" not in again.names
        stage.assert_exactly_once()


def test_losing_the_whole_store_and_importing_again_adopts_what_is_there() -> None:
    for kill_at in range(0, _length(), 5):
        stage = _staged()
        stage.work(Effects(kill_at))
        after = MemoryImport()
        after.old, after.new = stage.old, stage.new
        after.submit()
        after.to_the_end()
        after.assert_exactly_once()


def test_without_looking_first_the_suite_turns_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: intents that are assumed to have failed make duplicates."""
    from shared.model.uids import NO_UIDS
    from worker import arrivals, copy
    from worker.recovery import Looked

    def blind(
        lease: Any, store: Any, source: Any, destination: Any, status: Any, intents: Any, settle: Any, theirs: Any
    ) -> Looked:
        from shared.model.uids import UidSet

        word = store.progress(lease, withdrawn=[intent.intent_id for intent in intents]).word
        return Looked(found=UidSet(), absent=UidSet(), wait_seconds=0, wanted=word)

    monkeypatch.setattr(copy, "look", blind)
    # Without the search the copies would be taken for another client's, which would stop the import.
    monkeypatch.setattr(arrivals.Arrivals, "before", lambda *_: ((), NO_UIDS, 0))
    monkeypatch.setattr(arrivals.Arrivals, "unlike", lambda *_: False)
    broken = 0
    for kill_at in range(_length()):
        stage = _staged()
        stage.work(Effects(kill_at))
        stage.later()
        stage.to_the_end()
        broken += stage.content(stage.new) != stage.content(stage.old)
    assert broken > 0


def test_one_group_at_a_time_is_as_safe_as_many() -> None:
    rules = CopyRules(group_messages=1, outstanding=0, settle_seconds=30)
    stage = _staged()
    stage.to_the_end(rules=rules)
    stage.assert_exactly_once()
