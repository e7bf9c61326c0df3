"""Tests a later pass that follows deletions, interrupted before and after every effect.

The copies of what was deleted are gone, nothing else is, and nobody is told to have taken them away.
"""

from __future__ import annotations

import pytest

from shared.model import Options
from shared.model.uids import Uid, UidSet
from tests.crash.interruption import LOGIN, Effects, MemoryImport, numbered, two_folders

DELETED = {b"INBOX": (2, 5, 11), b"Sent": (1,)}


def _staged() -> MemoryImport:
    """Returns a stage after a first pass, on which messages were deleted, and one came."""
    in_process = MemoryImport(options=Options(deletions="follow"))
    two_folders(in_process)
    in_process.submit()
    in_process.to_the_end()
    for name, uids in DELETED.items():
        folder = in_process.old.folder(LOGIN, name)
        for uid in uids:
            del folder.messages[Uid(uid)]
        folder.highestmodseq += 1
    in_process.old.folder(LOGIN, b"Sent").add(numbered(200), internaldate=1_600_000_100)
    in_process.submit()
    return in_process


def _assert_followed(in_process: MemoryImport) -> None:
    assert in_process.content(in_process.new) == in_process.content(in_process.old)
    tally = in_process.tally()
    assert (tally.pending, tally.deleted_at_source) == (0, 4)
    assert (tally.missing, tally.moved, tally.removed, tally.doubled) == (0, 0, 0, 0)
    for folder, _ in in_process.store.folders(in_process.mailbox_id):
        assert folder.deleted_too == UidSet.of(DELETED.get(folder.source_name, ()))


def test_the_copies_go() -> None:
    in_process = _staged()
    effects = Effects()
    assert in_process.work(effects)
    _assert_followed(in_process)
    assert effects.names.count("before remove") == 2
    in_process.submit()
    in_process.to_the_end()
    _assert_followed(in_process)


def test_interrupted_at_every_effect_ends_the_same() -> None:
    effects = Effects()
    assert _staged().work(effects)
    for kill_at in range(effects.steps):
        in_process = _staged()
        assert not in_process.work(Effects(kill_at))
        in_process.later()
        in_process.to_the_end()
        _assert_followed(in_process)


def test_without_the_note_the_suite_turns_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a holder that does not know what an earlier one removed tells it as taken away."""
    effects = Effects()
    _staged().work(effects)
    broken = 0
    for kill_at in range(effects.steps):
        in_process = _staged()
        with monkeypatch.context() as patched:
            patched.setattr(type(in_process.store), "set_deleted_too", lambda *_: None)
            in_process.work(Effects(kill_at))
        in_process.later()
        in_process.to_the_end()
        broken += in_process.tally().removed
    assert broken > 0
