"""Tests several workers in one folder: killed before and after every effect, the others and their heirs end the same."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.mail import Appended
from shared.model import Writing
from shared.model.errors import ConnectionLost, LedgerConflict
from shared.model.uids import NO_UIDS, UidSet
from shared.rules.batching import Worth
from shared.store.memory.memory_rows import Rows
from shared.store.memory.memory_store import MemoryStore
from shared.testing.memory_mail import USUAL, At, DeliveredLate
from shared.testing.memory_sessions import MemoryDestination
from tests.crash.interruption import LOOKS, MemoryImport, _Interruptible, numbered
from tests.crash.together import Turns, live_together
from worker.copying import arrivals, copy_search, recovery
from worker.copying.writers import FolderWriters

LOGIN = "ivan"
SINGLE: dict[str, Any] = {"capabilities": USUAL - {"MULTIAPPEND"}}
DESTINATIONS: dict[str, dict[str, Any]] = {"single appends": SINGLE, "multiappend": {}}


def one_folder(in_process: MemoryImport) -> None:
    """Fills one folder of 42 messages, with two kinds of twins all over its batches."""
    inbox = in_process.old.folder(LOGIN, b"INBOX")
    for n in range(42):
        if n % 3 < 2:
            inbox.add(b"Subject: twin\r\n\r\nsame\r\n", internaldate=1_700_000_100)
        elif n % 5 == 0:
            # The same header and date with another body: only the bytes tell them apart.
            inbox.add(b"Subject: twin\r\n\r\nSAME\r\n", internaldate=1_700_000_100)
        else:
            inbox.add(numbered(n), internaldate=1_700_000_000 + n)


def staged(settle_seconds: float = 30.0, **destination: Any) -> MemoryImport:
    in_process = MemoryImport(settle_seconds=settle_seconds, **destination)
    # A lane more is worth it for one message.
    in_process.store = MemoryStore(clock=lambda: in_process.time, worth=Worth(messages=1, size_bytes=1))
    one_folder(in_process)
    in_process.submit()
    return in_process


def lives(
    in_process: MemoryImport,
    kills: list[int],
    seed: int,
    spare: int = 0,
    meanwhile: Callable[[int], object] = lambda turn: None,
) -> list[Turns]:
    """Lets workers live together of which the nth dies at its effect `kills[n]`, and then heirs to the end."""
    workers = [Turns(f"w{n}", kill) for n, kill in enumerate(kills)] + [Turns(f"s{n}") for n in range(spare)]
    live_together(in_process, workers, seed, meanwhile=meanwhile)
    if all(worker.dead for worker in workers):
        in_process.later(1)
        live_together(in_process, [Turns("heir1"), Turns("heir2")], seed + 1)
    return workers


def writers_seen(workers: list[Turns]) -> int:
    """Returns how many workers sent messages."""
    return sum("before send" in worker.names for worker in workers)


def wrong(in_process: MemoryImport) -> bool:
    """Tells whether the destination does not hold each message once."""
    return in_process.content(in_process.new) != in_process.content(in_process.old)


def around_sends(number: int, seed: int) -> list[int]:
    """Returns some effects at which the first of so many workers sends, without and with something sent."""
    names = lives(staged(**SINGLE), [-1] * number, seed)[0].names
    return [at for at, name in enumerate(names) if name in ("before send", "after send")][2::5]


@pytest.mark.parametrize("kind", DESTINATIONS)
@pytest.mark.parametrize("number", [2, 3])
def test_several_workers_write_one_folder(kind: str, number: int) -> None:
    several = 0
    for seed in range(6):
        in_process = staged(**DESTINATIONS[kind])
        several += writers_seen(lives(in_process, [-1] * number, seed)) == number
        in_process.assert_exactly_once()
        assert not in_process.store.failures(in_process.mailbox_id)
    assert several >= 4


@pytest.mark.parametrize("number", [2, 3])
def test_one_is_killed_at_every_effect(number: int) -> None:
    names = lives(staged(**SINGLE), [-1] * number, number)[0].names
    for kill_at in (at for at, name in enumerate(names) if name.split()[-1] not in LOOKS):
        in_process = staged(**SINGLE)
        lives(in_process, [kill_at] + [-1] * (number - 1), number)
        in_process.assert_exactly_once()


@pytest.mark.parametrize(("kind", "settle"), [("multiappend", 30.0), ("multiappend", 0.0), ("single appends", 0.0)])
def test_one_is_killed_here_and_there(kind: str, settle: float) -> None:
    length = lives(staged(settle, **DESTINATIONS[kind]), [-1] * 3, 5)[0].steps
    for kill_at in range(3, length, 11):
        in_process = staged(settle, **DESTINATIONS[kind])
        lives(in_process, [kill_at, -1, -1], 5)
        in_process.assert_exactly_once()


@pytest.mark.parametrize("kind", DESTINATIONS)
def test_two_or_all_of_three_are_killed(kind: str) -> None:
    chosen = random.Random(kind)
    for seed in range(40):
        in_process = staged(30.0 * (seed % 3), **DESTINATIONS[kind])
        lives(in_process, [chosen.randrange(120) for _ in range(chosen.choice([2, 3]))], seed, spare=seed % 2)
        in_process.assert_exactly_once()


def test_connections_break_and_a_proxy_delivers_late() -> None:
    broken = late = 0
    for seed in range(30):
        in_process = staged(**(SINGLE if seed % 2 else {}))
        chosen, left = random.Random(seed), [4]

        def fault(name: str, at: At, chosen: random.Random = chosen, left: list[int] = left) -> None:
            if name in ("append", "appended") and left[0] and not chosen.randrange(20):
                left[0] -= 1
                kind = chosen.choice([ConnectionLost, DeliveredLate]) if name == "append" else ConnectionLost
                raise kind("destination", "cut")

        def deliver(turn: int, in_process: MemoryImport = in_process) -> None:
            nonlocal late
            if turn % 80 == 0:
                late += in_process.new.deliver_late()

        in_process.new.fault = fault
        lives(in_process, [-1, -1, -1], seed, meanwhile=deliver)
        broken += 4 - left[0]
        late += in_process.new.deliver_late()
        in_process.assert_exactly_once()
    assert broken > 30
    assert late > 10


# -- the protections, and what happens without each


def test_a_copy_that_a_lane_at_work_may_have_made_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that rule the store refuses what that lane records, and its batch has to be looked at in its turn."""
    contested: list[bool] = []
    rule = recovery._contested

    def watched(*told: Any) -> UidSet:
        found = rule(*told)
        contested.append(bool(found))
        return found

    def conflicts() -> int:
        refused = 0
        for seed in range(4):
            for kill_at in around_sends(3, seed):
                in_process = staged(**SINGLE)
                lives(in_process, [kill_at, -1, -1], seed)
                in_process.assert_exactly_once()
                refused += any(
                    one.code == "ledger_conflict" for one in in_process.store.failures(in_process.mailbox_id)
                )
        return refused

    monkeypatch.setattr(recovery, "_contested", watched)
    assert conflicts() == 0
    assert any(contested), "no lane was at work with a twin"
    monkeypatch.setattr(recovery, "_contested", lambda *_: NO_UIDS)
    assert conflicts() > 0


def test_without_looking_first_there_are_second_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(lease: Any, store: Any, *_: Any) -> recovery.Looked:
        word = store.progress(lease, withdrawn=[intent.intent_id for intent in lease.intents]).word
        return recovery.Looked(found=NO_UIDS, absent=NO_UIDS, wait_seconds=0, wanted=word)

    monkeypatch.setattr(copy_search, "look", blind)
    monkeypatch.setattr(arrivals.Arrivals, "before", lambda *_: ((), NO_UIDS, 0))
    broken = 0
    for kill_at in around_sends(2, 1):
        in_process = staged(**SINGLE)
        lives(in_process, [kill_at, -1], 1)
        broken += wrong(in_process)
    assert broken > 0


def test_mail_of_other_lanes_is_not_taken_for_a_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the bound, a twin that another lane has just brought looks as if somebody else wrote."""

    def strangers() -> int:
        stopped = 0
        for seed in range(12):
            in_process = staged(**SINGLE)
            with contextlib.suppress(AssertionError):  # nothing goes on where the mailbox is parked
                lives(in_process, [-1, -1, -1], seed)
            stopped += any(
                one.code == "destination_foreign_writer" for one in in_process.store.failures(in_process.mailbox_id)
            )
        return stopped

    assert strangers() == 0
    monkeypatch.setattr(Writing, "beginning", None)
    assert strangers() > 0


def test_gaps_between_our_uids_are_other_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken for a stranger's, twins in the gaps have our copies removed."""

    def stopped() -> int:
        broken = 0
        for seed in range(8):
            in_process = staged(**SINGLE)
            with contextlib.suppress(AssertionError):
                lives(in_process, [-1, -1, -1], seed)
            broken += wrong(in_process) or bool(in_process.store.failures(in_process.mailbox_id))
        return broken

    assert stopped() == 0
    monkeypatch.setattr(FolderWriters, "fill_gaps", False)
    assert stopped() > 0


def test_a_server_that_stops_naming_uids_gets_one_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    tell = MemoryDestination.answers

    def silent(self: MemoryDestination, *, outstanding: int = 0) -> Iterator[Appended]:
        for answer in tell(self, outstanding=outstanding):
            names = min(answer.uids or (0,)) < 15
            yield answer if names else replace(answer, uids=None, uidvalidity=None)

    monkeypatch.setattr(MemoryDestination, "answers", silent)
    narrowed: list[int] = []
    widen = MemoryStore.widen

    def noted(self: MemoryStore, lease: Any, writers: int) -> int:
        narrowed.append(writers)
        return widen(self, lease, writers)

    monkeypatch.setattr(MemoryStore, "widen", noted)
    for seed in range(6):
        in_process = staged(**SINGLE)
        lives(in_process, [-1, -1, 60 if seed % 2 else -1], seed)
        in_process.assert_exactly_once()
    assert narrowed.count(0) >= 6


#: The copies of 42 messages that tell of lanes that send without end.
MANY = 42 + 3 * 8


def rewriting(monkeypatch: pytest.MonkeyPatch, names: Callable[[int], bool]) -> Callable[[int], int]:
    """Has the server add a line to each message, and not name the UIDs of which `names` says so.

    Returns a function from a seed to the number of the copies that it holds in the end, `MANY` + 1 where there is none.
    """
    tell, send = MemoryDestination.answers, MemoryDestination.send

    def silent(self: MemoryDestination, *, outstanding: int = 0) -> Iterator[Appended]:
        for answer in tell(self, outstanding=outstanding):
            yield answer if names(min(answer.uids or (0,))) else replace(answer, uids=None, uidvalidity=None)

    def rewritten(self: MemoryDestination, group: Any, flags: Any, token: str) -> None:
        send(self, [replace(one, body=b"X-Scanned: %d\r\n" % one.uid + one.body) for one in group], flags, token)

    monkeypatch.setattr(MemoryDestination, "answers", silent)
    monkeypatch.setattr(MemoryDestination, "send", rewritten)

    def copies(seed: int) -> int:
        in_process = staged(**SINGLE)
        inbox = in_process.new.folder(LOGIN, b"INBOX")

        def bounded(turn: int) -> None:
            assert len(inbox.messages) <= MANY
            assert turn < 40_000

        with contextlib.suppress(AssertionError):
            lives(in_process, [-1, -1, -1], seed, meanwhile=bounded)
            return len(inbox.messages)
        return MANY + 1

    return copies


def test_a_server_that_names_no_uids_and_rewrites_is_never_widened(monkeypatch: pytest.MonkeyPatch) -> None:
    copies = rewriting(monkeypatch, lambda uid: False)
    assert [copies(seed) for seed in range(3)] == [42] * 3
    monkeypatch.setattr(FolderWriters, "untold", property(lambda self: False, lambda self, value: None), raising=False)
    assert max(copies(seed) for seed in range(3)) > 42


def test_a_server_that_stops_naming_uids_and_rewrites_gets_few_second_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without heads that wait again, each lane would send its messages again beside the others, without end."""
    copies = rewriting(monkeypatch, lambda uid: uid < 15)
    assert max(copies(seed) for seed in range(4)) <= MANY
    monkeypatch.setattr(Rows, "fold_heads", lambda self, folder: None)
    assert max(copies(seed) for seed in range(4)) > MANY


@pytest.mark.parametrize("conflicts", [0, 1])
def test_a_conflict_of_the_last_groups_narrows_the_folder(monkeypatch: pytest.MonkeyPatch, conflicts: int) -> None:
    narrowed: list[int] = []
    widen, follow, left = MemoryStore.widen, _Interruptible._follow, [conflicts]

    def noted(self: MemoryStore, lease: Any, writers: int) -> int:
        narrowed.append(writers)
        return widen(self, lease, writers)

    def refused(self: _Interruptible, lease: Any, **told: Any) -> Any:
        if narrowed and told.get("settled") and left[0]:
            left[0] -= 1
            raise LedgerConflict("destination UID 7 is in the ledger already")
        return follow(self, lease, **told)

    monkeypatch.setattr(MemoryStore, "widen", noted)
    monkeypatch.setattr(_Interruptible, "_follow", refused)
    in_process = staged(**SINGLE)
    lives(in_process, [-1, -1, -1], 1)
    in_process.assert_exactly_once()
    assert not left[0]
    assert narrowed.count(0) == conflicts
