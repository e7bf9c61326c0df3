"""Tests a look at a mailbox that stands, and the pass that follows it, interrupted before and after every effect."""

from __future__ import annotations

import pytest

from shared.rules.standing import Standing
from tests.crash.interruption import LOGIN, Effects, MemoryImport, numbered, two_folders


def _due(*, new_mail: bool) -> MemoryImport:
    """Returns a stage whose mailbox stands and is due for a look, with or without new mail at the source."""
    in_process = MemoryImport()
    two_folders(in_process)
    in_process.submit()
    in_process.to_the_end()
    in_process.store.seal(in_process.request.import_id, {(in_process.mailbox_id, "source"): b"sealed"})
    in_process.store.set_standing(in_process.request.import_id, "", Standing(least_seconds=60, most_seconds=3600))
    if new_mail:
        in_process.old.folder(LOGIN, b"INBOX").add(numbered(200), internaldate=1_600_000_100)
    in_process.later(61)
    return in_process


def test_a_quiet_look_writes_nothing_to_either_side() -> None:
    in_process, effects = _due(new_mail=False), Effects()
    assert in_process.work(effects)
    writing = ("create", "subscribe", "send", "store_flags", "move", "remove", "rename", "plan_folders", "audit")
    assert not {f"before {name}" for name in writing} & set(effects.names)
    assert effects.names.count("before look") == 1
    in_process.assert_exactly_once()


@pytest.mark.parametrize("new_mail", [False, True])
def test_interrupted_at_every_effect_it_ends_the_same(*, new_mail: bool) -> None:
    whole = Effects()
    _due(new_mail=new_mail).work(whole)
    assert len(whole.names) > 5
    for step in range(len(whole.names)):
        in_process = _due(new_mail=new_mail)
        in_process.work(Effects(kill_at=step))
        in_process.later(100)
        in_process.to_the_end()
        in_process.later(100)  # whatever look was taken back
        in_process.to_the_end()
        in_process.assert_exactly_once()
