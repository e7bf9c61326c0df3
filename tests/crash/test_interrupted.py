"""Tests work that is interrupted before and after every effect and resumed by another worker.

The end is always the same.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from shared.testing.memory_mail import USUAL
from tests.crash.interruption import Effects, MemoryImport, two_folders
from worker.copying.copy import CopyRules

DESTINATIONS: dict[str, dict[str, Any]] = {
    "multiappend": {},
    "single appends": {"capabilities": USUAL - {"MULTIAPPEND"}},
    "without UIDPLUS": {"capabilities": USUAL - {"UIDPLUS"}},
}


def _staged(**destination: Any) -> MemoryImport:
    in_process = MemoryImport(**destination)
    two_folders(in_process)
    in_process.submit()
    return in_process


def _length(**destination: Any) -> int:
    effects = Effects()
    assert _staged(**destination).work(effects)
    return effects.steps


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_interrupted_at_every_effect_ends_the_same(kind: str) -> None:
    destination = DESTINATIONS[kind]
    for kill_at in range(_length(**destination)):
        in_process = _staged(**destination)
        assert not in_process.work(Effects(kill_at))
        in_process.later()
        in_process.to_the_end()
        in_process.assert_exactly_once()


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_interrupted_twice_ends_the_same(kind: str) -> None:
    destination = DESTINATIONS[kind]
    length = _length(**destination)
    chosen = random.Random(kind)
    for _ in range(150):
        first, second = chosen.randrange(length), chosen.randrange(length)
        in_process = _staged(**destination)
        in_process.work(Effects(first))
        in_process.later()
        in_process.work(Effects(second))
        in_process.later()
        in_process.to_the_end()
        in_process.assert_exactly_once()


def test_a_second_pass_with_nothing_changed_appends_nothing_wherever_the_first_was_interrupted() -> None:
    for kill_at in range(0, _length(), 7):
        in_process = _staged()
        in_process.work(Effects(kill_at))
        in_process.later()
        in_process.to_the_end()
        in_process.submit()
        again = Effects()
        in_process.work(again)
        assert "before send" not in again.names
        in_process.assert_exactly_once()


def test_losing_the_whole_store_and_importing_again_adopts_what_is_there() -> None:
    for kill_at in range(0, _length(), 5):
        in_process = _staged()
        in_process.work(Effects(kill_at))
        after = MemoryImport()
        after.old, after.new = in_process.old, in_process.new
        after.submit()
        after.to_the_end()
        after.assert_exactly_once()


def test_without_looking_first_the_suite_turns_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: intents that are assumed to have failed make duplicates."""
    from shared.model.uids import NO_UIDS
    from worker.copying import arrivals, copy_search
    from worker.copying.recovery import Looked

    def blind(lease: Any, store: Any, source: Any, destination: Any, status: Any, intents: Any, *rest: Any) -> Looked:
        from shared.model.uids import UidSet

        word = store.progress(lease, withdrawn=[intent.intent_id for intent in intents]).word
        return Looked(found=UidSet(), absent=UidSet(), wait_seconds=0, wanted=word)

    monkeypatch.setattr(copy_search, "look", blind)
    # Without the search the copies would be taken for another client's, which would stop the import.
    monkeypatch.setattr(arrivals.Arrivals, "before", lambda *_: ((), NO_UIDS, 0))
    monkeypatch.setattr(arrivals.Arrivals, "unlike", lambda *_: False)
    broken = 0
    for kill_at in range(_length()):
        in_process = _staged()
        in_process.work(Effects(kill_at))
        in_process.later()
        in_process.to_the_end()
        broken += in_process.content(in_process.new) != in_process.content(in_process.old)
    assert broken > 0


def test_one_group_at_a_time_is_as_safe_as_many() -> None:
    rules = CopyRules(group_messages=1, outstanding=0, settle_seconds=30)
    in_process = _staged()
    in_process.to_the_end(rules=rules)
    in_process.assert_exactly_once()
