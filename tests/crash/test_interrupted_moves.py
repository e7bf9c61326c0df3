"""Tests a later pass that follows moves, interrupted before and after every effect.

The copies end where the messages are now, each once, whoever goes on.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

import worker.following.moves
import worker.planning.plan_entry
from shared.model import Options
from shared.model.uids import Uid
from shared.testing.memory_mail import USUAL
from tests.crash.interruption import LOGIN, Effects, MemoryImport, numbered, two_folders

#: Source UIDs of INBOX that are moved: one with its own Message-ID, two twins, and one like them but in its body. The third
#: twin is deleted.
TO_SENT, TO_NEW, DELETED = (1, 9, 10, 12), (2, 3), 11


def move(in_process: MemoryImport, uids: tuple[int, ...], into: bytes) -> None:
    """Moves messages of INBOX at the source."""
    inbox, there = in_process.old.folder(LOGIN, b"INBOX"), in_process.old.folder(LOGIN, into)
    for uid in uids:
        stored = inbox.messages.pop(Uid(uid))
        inbox.highestmodseq += 1
        there.add(stored.body, flags=stored.flags, internaldate=stored.internaldate)


def _staged(**more: Any) -> MemoryImport:
    """Returns a stage after a first pass, on which messages were moved, and some came, went and changed beside."""
    in_process = MemoryImport(**more)
    two_folders(in_process)
    in_process.submit()
    in_process.to_the_end()
    move(in_process, TO_SENT, b"Sent")
    move(in_process, TO_NEW, b"New")
    del in_process.old.folder(LOGIN, b"INBOX").messages[Uid(DELETED)]
    in_process.old.folder(LOGIN, b"Sent").add(numbered(200), internaldate=1_600_000_100)
    in_process.old.folder(LOGIN, b"New").add(numbered(201), internaldate=1_600_000_101)
    in_process.submit()
    return in_process


def _assert_followed(in_process: MemoryImport) -> None:
    old, new = in_process.content(in_process.old), in_process.content(in_process.new)
    assert not old - new, "lost"
    assert [name for name, *_ in (new - old).elements()] == [b"INBOX"], "the copy of what was deleted stays"
    tally = in_process.tally()
    assert (tally.pending, tally.moved_at_source, tally.deleted_at_source) == (0, 6, 1)
    assert (tally.missing, tally.moved, tally.removed, tally.doubled) == (0, 0, 0, 0)
    for folder, _ in in_process.store.folders(in_process.mailbox_id):
        assert folder.moving == ()
        pairs = [p for entry in in_process.store.ledger(folder.folder_id) for r in entry.records for p in r.pairs()]
        assert len({s for s, _ in pairs}) == len({d for _, d in pairs}) == len(pairs)
        here = {s: d for s, d in pairs if s not in folder.released}
        held = in_process.new.folder(LOGIN, folder.destination_name).messages
        assert set(map(int, here.values())) == set(map(int, held))


def _assert_copied(in_process: MemoryImport) -> None:
    """Asserts that the moved messages were copied once more, and that this is told."""
    old, new = in_process.content(in_process.old), in_process.content(in_process.new)
    assert (sum((old - new).values()), sum((new - old).values())) == (0, 7)
    assert (in_process.tally().moved_at_source, in_process.tally().deleted_at_source) == (0, 7)


def test_the_copies_move_and_only_new_mail_is_appended() -> None:
    in_process = _staged()
    effects = Effects()
    assert in_process.work(effects)
    _assert_followed(in_process)
    assert (effects.names.count("before move"), effects.names.count("before send")) == (2, 2)
    in_process.submit()
    quiet = Effects()
    in_process.work(quiet)
    assert not {"before move", "before send", "before set_moving"} & set(quiet.names)
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


def test_interrupted_twice_ends_the_same() -> None:
    effects = Effects()
    _staged().work(effects)
    chosen = random.Random("moves")
    for _ in range(100):
        in_process = _staged()
        in_process.work(Effects(chosen.randrange(effects.steps)))
        in_process.later()
        in_process.work(Effects(chosen.randrange(effects.steps)))
        in_process.later()
        in_process.to_the_end()
        if in_process.tally().moved_at_source:
            _assert_followed(in_process)
        else:
            # From the third attempt on, each folder is opened by itself, and no move is begun.
            _assert_copied(in_process)


def test_without_the_note_the_suite_turns_red(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a holder that does not know what an earlier one moved tells it as taken away."""
    monkeypatch.setattr(worker.following.moves.MoveFollowing, "_end", lambda *_: None)
    effects = Effects()
    _staged().work(effects)
    broken = 0
    for kill_at in range(effects.steps):
        in_process = _staged()
        in_process.work(Effects(kill_at))
        in_process.later()
        in_process.to_the_end()
        broken += in_process.tally().removed
    assert broken > 0


@pytest.mark.parametrize("without", ["MOVE", "UIDPLUS", "the wish"])
def test_what_is_not_followed_is_copied(without: str) -> None:
    wish = Options(moves="copy") if without == "the wish" else Options()
    in_process = _staged(capabilities=USUAL - {without}, options=wish)
    in_process.to_the_end()
    _assert_copied(in_process)


def _exchanged() -> MemoryImport:
    """Returns a stage on which messages were moved to and fro at the source, while their copies were deleted."""
    in_process = MemoryImport()
    two_folders(in_process)
    in_process.submit()
    in_process.to_the_end()
    inbox, sent = (in_process.old.folder(LOGIN, name) for name in (b"INBOX", b"Sent"))
    there = sent.messages.pop(Uid(2))
    move(in_process, (1,), b"Sent")
    inbox.add(there.body, flags=there.flags, internaldate=there.internaldate)
    for name, uid in ((b"INBOX", 1), (b"Sent", 2)):
        del in_process.new.folder(LOGIN, name).messages[Uid(uid)]
    in_process.submit()
    return in_process


def _assert_away(in_process: MemoryImport) -> None:
    held = in_process.content(in_process.new)
    assert sum(held.values()) == 15, "what was deleted at the destination does not come back"
    tally = in_process.tally()
    assert (tally.pending, tally.removed, tally.missing, tally.doubled) == (0, 2, 0, 0)
    assert all(folder.moving == () for folder, _ in in_process.store.folders(in_process.mailbox_id))


def test_what_was_taken_away_on_both_sides_stays_away_whoever_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker.planning.plan_entry, "BATCHES_AT_ONCE", 0)  # each folder is entered by itself
    effects = Effects()
    assert _exchanged().work(effects)
    for kill_at in range(effects.steps):
        in_process = _exchanged()
        assert not in_process.work(Effects(kill_at))
        in_process.later()
        in_process.to_the_end()
        _assert_away(in_process)


def test_without_the_note_of_what_is_left_out_it_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the first folder of two is planned, and the next holder does not see what it lost."""
    monkeypatch.setattr(worker.following.moves.MoveFollowing, "_end", lambda *_: None)
    with pytest.raises(AssertionError, match="does not come back"):
        test_what_was_taken_away_on_both_sides_stays_away_whoever_goes_on(monkeypatch)
