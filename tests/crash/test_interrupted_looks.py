"""Tests a look at a mailbox that stands, and the pass that follows it, interrupted before and after every effect."""

from __future__ import annotations

import pytest

from shared.rules.standing import Standing
from tests.crash.interruption import LOGIN, Effects, MemoryImport, numbered, two_folders


def _due(*, new_mail: bool) -> MemoryImport:
    """Returns a stage whose mailbox stands and is due for a look, with or without new mail at the source."""
    stage = MemoryImport()
    two_folders(stage)
    stage.submit()
    stage.to_the_end()
    stage.store.seal(stage.request.import_id, {(stage.mailbox_id, "source"): b"sealed"})
    stage.store.set_standing(stage.request.import_id, "", Standing(least_seconds=60, most_seconds=3600))
    if new_mail:
        stage.old.folder(LOGIN, b"INBOX").add(numbered(200), internaldate=1_600_000_100)
    stage.later(61)
    return stage


def test_a_quiet_look_writes_nothing_to_either_side() -> None:
    stage, effects = _due(new_mail=False), Effects()
    assert stage.work(effects)
    writing = ("create", "subscribe", "send", "store_flags", "move", "remove", "rename", "plan_folders", "audit")
    assert not {f"before {name}" for name in writing} & set(effects.names)
    assert effects.names.count("before look") == 1
    stage.assert_exactly_once()


@pytest.mark.parametrize("new_mail", [False, True])
def test_interrupted_at_every_effect_it_ends_the_same(*, new_mail: bool) -> None:
    whole = Effects()
    _due(new_mail=new_mail).work(whole)
    assert len(whole.names) > 5
    for step in range(len(whole.names)):
        stage = _due(new_mail=new_mail)
        stage.work(Effects(kill_at=step))
        stage.later(100)
        stage.to_the_end()
        stage.later(100)  # whatever look was taken back
        stage.to_the_end()
        stage.assert_exactly_once()
