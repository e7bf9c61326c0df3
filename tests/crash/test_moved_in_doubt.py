"""Tests a person who moves copies into another folder at the destination before anybody could record them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from shared.model import Note, UnitKind
from shared.model.lifecycle import Disposition
from shared.model.uids import UidSet
from shared.rules.batching import Worth
from shared.store.memory.memory_store import MemoryStore
from shared.testing.memory_mail import USUAL
from tests.crash.interruption import LOGIN, Effects, MemoryImport, numbered
from tests.crash.together import Turns, live_together
from worker.copying.moved_copies import MovedSearch
from worker.copying.recovery import known_destinations

INBOX, SENT, OWN = b"INBOX", b"Sent", b"Of my own"
DESTINATIONS: dict[str, dict[str, Any]] = {
    "multiappend": {},
    "single appends": {"capabilities": USUAL - {"MULTIAPPEND"}},
    "without UIDPLUS": {"capabilities": USUAL - {"UIDPLUS"}},
}


def staged(**destination: Any) -> MemoryImport:
    """Returns an import of two folders, in which each message is there once."""
    in_process = MemoryImport(**destination)
    for number in range(8):
        in_process.old.folder(LOGIN, INBOX).add(
            numbered(number), flags=("\\Seen",), internaldate=1_700_000_000 + number
        )
    for number in range(5):
        in_process.old.folder(LOGIN, SENT).add(numbered(100 + number), internaldate=1_600_000_000 + number)
    in_process.new.folder(LOGIN, OWN)
    in_process.submit()
    return in_process


def length(**destination: Any) -> int:
    effects = Effects()
    assert staged(**destination).work(effects)
    return effects.steps


def move_unrecorded(in_process: MemoryImport, into: bytes = SENT, every: int = 1) -> int:
    """Moves what is in the destination's INBOX and in no ledger, as its user does: each, or every so many.

    Returns how many messages that were.
    """
    folders = in_process.new.folders(LOGIN)
    planned = {one.destination_name: one for one, _ in in_process.store.folders(in_process.mailbox_id)}
    if into not in folders or INBOX not in planned:
        return 0
    known = known_destinations(in_process.store, planned[INBOX].folder_id)
    moved = [stored for uid, stored in folders[INBOX].messages.items() if uid not in known][::every]
    for stored in moved:
        del folders[INBOX].messages[stored.uid]
        folders[into].add(stored.body, flags=stored.flags, internaldate=stored.internaldate)
    return len(moved)


def messages(server: Any) -> Counter[tuple[bytes, int | None]]:
    """Returns what a server holds in any folder."""
    return Counter(
        (stored.body, stored.internaldate)
        for folder in server.folders(LOGIN).values()
        for stored in folder.messages.values()
    )


def played(kill_at: int, into: bytes = SENT, **destination: Any) -> tuple[MemoryImport, int]:
    """Plays an import whose worker dies at one moment, before its user moves copies. Returns it with how many were moved."""
    in_process = staged(**destination)
    in_process.work(Effects(kill_at))
    moved = move_unrecorded(in_process, into)
    in_process.later()
    in_process.to_the_end()
    return in_process, moved


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_moved_before_they_were_recorded_copies_are_there_once(kind: str) -> None:
    most = 0
    for kill_at in range(length(**DESTINATIONS[kind])):
        in_process, moved = played(kill_at, **DESTINATIONS[kind])
        assert messages(in_process.new) == messages(in_process.old), kill_at
        tally = in_process.tally()
        assert (tally.pending, tally.missing, tally.doubled, tally.moved) == (0, 0, 0, moved), kill_at
        most = max(most, moved)
        again = Effects()
        in_process.submit()
        in_process.work(again)
        assert "before send" not in again.names
        assert in_process.tally().moved == moved
    assert most > 1


def test_without_a_search_elsewhere_they_come_twice_and_verification_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MovedSearch, "find", lambda *_: {})
    twice = 0
    for kill_at in range(length()):
        in_process, moved = played(kill_at)
        more = messages(in_process.new) - messages(in_process.old)
        assert more.total() == moved == in_process.tally().doubled
        in_process.submit()
        in_process.to_the_end()
        assert in_process.tally().doubled == moved, "told as long as they stand there"
        twice += moved
    assert twice > 0


def test_in_a_folder_that_is_not_of_the_import_they_are_told_as_perhaps_there_twice() -> None:
    """Nobody knows since when a message is in such a folder."""
    twice = 0
    for kill_at in range(length()):
        in_process, moved = played(kill_at, OWN)
        assert not messages(in_process.old) - messages(in_process.new)
        assert in_process.tally().doubled == moved
        for folder, _ in in_process.store.folders(in_process.mailbox_id):
            notes = [note for note in in_process.store.notes(folder.folder_id) if note.what == "doubled"]
            assert all("Of my own (UID " in note.reason for note in notes)
        twice += moved
    assert twice > 0


def test_interrupted_once_more_they_are_there_once() -> None:
    for first in range(0, length(), 3):
        for second in range(0, length(), 5):
            in_process = staged()
            in_process.work(Effects(first))
            move_unrecorded(in_process)
            in_process.later()
            in_process.work(Effects(second))
            in_process.later()
            in_process.to_the_end()
            assert messages(in_process.new) == messages(in_process.old), (first, second)


def killed_at(name: str, effects: Callable[[Effects], bool]) -> None:
    """Lets a worker die at the first step of this name."""

    class Named(Effects):
        def step(self, step: str) -> None:
            if step == name:
                self.kill_at = self.steps
            super().step(step)

    assert not effects(Named())


@pytest.mark.parametrize("asked", [True, False], ids=["looked for twins", "control: not looked for"])
def test_the_copy_of_a_twin_in_another_folder_is_nobody_elses(asked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a look at the source for twins a message would be lost.

    Of one message of INBOX nothing arrived; a stranger's mail came to INBOX and went, and the twin's copy in Sent is in no
    ledger yet, since its worker died.
    """
    if not asked:
        monkeypatch.setattr(MovedSearch, "_others", lambda *_: set())
    in_process = MemoryImport()
    # A second lane is worth it for one message.
    in_process.store = MemoryStore(clock=lambda: in_process.time, worth=Worth(messages=1, size_bytes=1))
    for name in (INBOX, SENT):
        in_process.old.folder(LOGIN, name).add(numbered(1), internaldate=1_700_000_000)
    in_process.submit()
    killed_at("before send", in_process.work)
    inbox = in_process.new.folders(LOGIN)[INBOX]
    del inbox.messages[inbox.add(b"Subject: came and went\r\n\r\n")]
    killed_at("within answers", in_process.work)
    assert [len(in_process.new.folders(LOGIN)[name].messages) for name in (INBOX, SENT)] == [0, 1]
    in_process.later()
    in_process.to_the_end()
    assert len(inbox.messages) == asked
    assert messages(in_process.new).total() == 1 + asked


def test_what_only_looks_alike_is_no_copy_that_was_moved() -> None:
    """A message with the same header, size and date and another text stands in Sent."""
    in_process = staged()
    killed_at("before send", in_process.work)
    folders = in_process.new.folders(LOGIN)
    del folders[INBOX].messages[folders[INBOX].add(b"Subject: came and went\r\n\r\n")]
    for number in range(8):
        folders[SENT].add(numbered(number, "jello"), internaldate=1_700_000_000 + number)
    in_process.later()
    in_process.to_the_end()
    assert not messages(in_process.old) - messages(in_process.new)


def played_together(seed: int) -> tuple[MemoryImport, int]:
    """Plays an import of several lanes in one folder, of which two die, while its user moves copies now and then."""
    in_process = MemoryImport(capabilities=USUAL - {"MULTIAPPEND"})
    in_process.store = MemoryStore(clock=lambda: in_process.time, worth=Worth(messages=1, size_bytes=1))
    for number in range(30):
        in_process.old.folder(LOGIN, INBOX).add(numbered(number), internaldate=1_700_000_000 + number)
    in_process.old.folder(LOGIN, SENT).add(numbered(100), internaldate=1_600_000_000)
    in_process.submit()
    chance, moved = random.Random(seed), 0

    def meanwhile(_: int) -> None:
        nonlocal moved
        moved += move_unrecorded(in_process) if chance.random() < 0.01 else 0

    kills = [chance.randrange(60, 400), chance.randrange(60, 400), -1]
    live_together(in_process, [Turns(f"w{n}", kill) for n, kill in enumerate(kills)], seed, meanwhile=meanwhile)
    in_process.to_the_end()
    return in_process, moved


def test_beside_other_lanes_in_the_folder_they_are_there_once() -> None:
    number = 0
    for seed in range(60):
        in_process, moved = played_together(seed)
        assert messages(in_process.new) == messages(in_process.old), seed
        number += moved
    assert number > 60


def test_nothing_is_asked_of_other_folders_where_no_uid_was_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[UidSet] = []

    def find(_: MovedSearch, uids: UidSet, __: UidSet) -> dict[int, Note]:
        asked.append(uids)
        return {}

    monkeypatch.setattr(MovedSearch, "find", find)
    for kill_at in range(length()):
        in_process = staged()
        in_process.work(Effects(kill_at))
        in_process.later()
        in_process.to_the_end()
    assert not asked


def test_planned_anew_in_between_they_are_there_once() -> None:
    """Moves copies before another plan: what arrived in Sent before that may be one of them, too."""
    planned_again = 0
    for kill_at in range(0, length(), 2):
        in_process = staged()
        in_process.work(Effects(kill_at))
        move_unrecorded(in_process)
        in_process.later()
        lease = in_process.store.claim("somebody/1")
        if lease is not None and lease.unit.kind is UnitKind.COPY:
            in_process.store.release(lease, how=Disposition.REPLAN)
            planned_again += 1
        in_process.later()
        in_process.to_the_end()
        assert messages(in_process.new) == messages(in_process.old), kill_at
    assert planned_again


def test_of_twins_in_one_batch_those_that_were_moved_are_there_once() -> None:
    """Moves some of what no record tells of, among it one of two twins, while the other stays."""
    number = 0
    for kill_at in range(length()):
        in_process = MemoryImport()
        for uid in range(7):
            in_process.old.folder(LOGIN, INBOX).add(numbered(uid // 2), internaldate=1_700_000_000 + uid // 2)
        in_process.old.folder(LOGIN, SENT).add(numbered(100), internaldate=1_600_000_000)
        in_process.submit()
        in_process.work(Effects(kill_at))
        number += move_unrecorded(in_process, every=2)
        in_process.later()
        in_process.to_the_end()
        assert messages(in_process.new) == messages(in_process.old), kill_at
    assert number
