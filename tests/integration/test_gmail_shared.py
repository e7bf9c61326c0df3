"""Tests that a message with three labels is fetched once and copied at the destination.

A small Gmail is the source, a real Dovecot the destination.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import pytest

import worker.copying.copy_search
import worker.copying.gmail_sharing
from shared.model import Options
from shared.model.errors import StoreError
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.rules.batching import Worth
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, plain
from tests.servers.dovecot import Dovecot
from tests.servers.faults import Fault, close, lost_ok, reset, retag, stall
from tests.servers.faulty import FaultyServer
from tests.servers.gmail import ALL_MAIL, Gmail, fetched
from tests.servers.wire import Wire
from worker.copying.gmail_sharing import GmailSharing

COUNT = 30
SIZE = 10_000
LABELS = (b"\\Inbox", b"Work", b"Home")


@pytest.fixture
def here(dovecot: Callable[..., Dovecot]) -> Dovecot:
    server = dovecot(mail_format="sdbox")
    server.add_user(LOGIN, PASSWORD)
    return server


@pytest.fixture
def gmail(faulty_server: FaultyServer) -> Gmail:
    account = Gmail(faulty_server, LOGIN, PASSWORD)
    for number in range(COUNT):
        flags = [(), (b"\\Seen",), (b"\\Seen", b"\\Flagged"), (b"$Forwarded",)][number % 4]
        date = b"%2d-Feb-2021 10:20:30 +0100" % (number % 28 + 1)
        account.add(plain(number, text="x" * SIZE), *LABELS, flags=flags, date=date)
    account.add(plain(100), b"Work")
    account.add(plain(101))
    return account


def moved(source: FaultyServer, destination: Dovecot, **options: object) -> InProcessImport:
    return InProcessImport(source, destination, options=Options(**options))  # type: ignore[arg-type]


def side_by_side(in_process: InProcessImport, lanes: int) -> None:
    """Plans the import, and then works on it with `lanes` lanes at once."""
    in_process.store._worth = Worth(messages=1)
    in_process.submit()
    in_process.stopping = lambda: bool(in_process.store.folders(in_process.mailbox_id))
    in_process.work()
    in_process.stopping = lambda: False
    in_process.to_the_end(lanes=lanes, submit=False)


def assert_whole(in_process: InProcessImport) -> None:
    assert in_process.outcomes() == {"copied": 3 * COUNT + 2, "skipped": COUNT + 1}
    there, here = in_process.held("source"), in_process.held("destination")
    labelled = {kept.sha256 for kept in there if kept.folder != ALL_MAIL}
    wanted = Counter(
        {kept: times for kept, times in there.items() if kept.folder != ALL_MAIL or kept.sha256 not in labelled}
    )
    assert here == wanted, "bytes, flags and dates as each folder shows them"
    assert not in_process.notes()
    assert in_process.mailbox().state == "complete"


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_body_is_fetched_once(faulty_server: FaultyServer, gmail: Gmail, here: Dovecot, lanes: int) -> None:
    in_process = moved(faulty_server, here)
    side_by_side(in_process, lanes)
    times = fetched(faulty_server)
    assert set(times.values()) == {1}
    assert len(times) == COUNT + 2
    assert_whole(in_process)
    faulty_server.commands.clear()
    in_process.later(3600)
    in_process.to_the_end()
    assert not fetched(faulty_server)
    assert_whole(in_process)


def test_without_it_it_is_fetched_for_each_label(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(GmailSharing, "parts", lambda self, uids: [uids])
    in_process = moved(faulty_server, here)
    in_process.to_the_end()
    assert Counter(fetched(faulty_server).values()) == {3: COUNT, 1: 2}
    assert_whole(in_process)


def begun(in_process: InProcessImport) -> None:
    """Copies INBOX, the first folder; the others are still to come."""
    in_process.submit()
    in_process.stopping = lambda: in_process.tally()[Outcome.COPIED] >= COUNT
    in_process.work()
    in_process.stopping = lambda: False
    assert in_process.outcomes() == {"copied": COUNT, "skipped": COUNT + 1, "pending": 2 * COUNT + 2}


def test_flags_are_those_of_the_folder_and_of_now(faulty_server: FaultyServer, gmail: Gmail, here: Dovecot) -> None:
    in_process = moved(faulty_server, here)
    begun(in_process)
    for uid in range(1, 8):
        gmail.account.folder(b"Home").change(uid, (b"\\Answered", b"$Forwarded"))
    in_process.to_the_end(submit=False)
    assert set(fetched(faulty_server).values()) == {1}
    assert_whole(in_process)


def test_when_the_mailbox_is_done_nothing_is_kept(faulty_server: FaultyServer, gmail: Gmail, here: Dovecot) -> None:
    in_process = moved(faulty_server, here)
    begun(in_process)
    assert len(in_process.store._shared) == COUNT
    in_process.to_the_end(submit=False)
    assert not in_process.store._shared


@pytest.mark.parametrize("what", ["removed", "another in its place", "no such folder"])
def test_what_is_not_there_any_more_is_fetched(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot, what: str
) -> None:
    in_process = moved(faulty_server, here)
    begun(in_process)
    if what == "removed":
        with Wire(here.host, here.port, LOGIN, PASSWORD) as wire:
            wire.command(b"SELECT INBOX")
            wire.command(b"UID STORE 1:5 +FLAGS (\\Deleted)")
            wire.command(b"EXPUNGE")
    for key, place in list(in_process.store._shared.items()):
        assert isinstance(place, bytes)
        if what == "another in its place":
            in_process.store._shared[key] = place[:-4] + (int.from_bytes(place[-4:]) % COUNT + 1).to_bytes(4)
        elif what == "no such folder":
            in_process.store._shared[key] = bytes(8) + place[-4:]
    in_process.to_the_end(submit=False)
    again = 5 if what == "removed" else COUNT
    assert sum(times > 1 for times in fetched(faulty_server).values()) >= again
    held, there = in_process.held("destination"), in_process.held("source")
    for name in (b"Work", b"Home"):
        assert Counter({kept: n for kept, n in held.items() if kept.folder == name}) == Counter(
            {kept: n for kept, n in there.items() if kept.folder == name}
        )


@pytest.fixture
def scripted() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        server.add_account(LOGIN, PASSWORD)
        yield server


def test_a_server_that_does_not_keep_dates_is_not_asked_twice_and_nothing_stays(
    faulty_server: FaultyServer, gmail: Gmail, scripted: FaultyServer
) -> None:
    scripted.behaviour.append.copy_dates = False
    in_process = moved(faulty_server, scripted)
    in_process.to_the_end()
    copies = [command for command in scripted.commands if command.name == b"UID COPY"]
    assert 0 < len(copies) <= 4, "one message of each batch"
    assert_whole(in_process)


def test_without_looking_at_what_was_copied_dates_would_change(
    faulty_server: FaultyServer, gmail: Gmail, scripted: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(worker.copying.gmail_sharing, "_same", lambda ours, theirs: theirs is not None)
    scripted.behaviour.append.copy_dates = False
    in_process = moved(faulty_server, scripted)
    in_process.to_the_end()
    assert in_process.noted("normalised")


def test_a_copy_that_is_refused_is_fetched(faulty_server: FaultyServer, gmail: Gmail, scripted: FaultyServer) -> None:
    scripted.behaviour.append.refuse_copy = b"[CANNOT] not here"
    in_process = moved(faulty_server, scripted)
    in_process.to_the_end()
    assert Counter(fetched(faulty_server).values()) == {3: COUNT, 1: 2}
    assert_whole(in_process)


def test_a_server_that_does_not_say_what_it_copied_is_looked_at(
    faulty_server: FaultyServer, gmail: Gmail, scripted: FaultyServer
) -> None:
    scripted.faults.add(retag(b"^UID COPY", lambda command: b"OK copied\r\n", times=None))
    in_process = moved(faulty_server, scripted)
    in_process.to_the_end()
    assert set(fetched(faulty_server).values()) == {1}
    assert_whole(in_process)


@pytest.mark.parametrize("fault", [lost_ok, close, reset])
@pytest.mark.parametrize("skip", [0, 1, 3])
def test_a_connection_that_dies_at_a_copy_leaves_nothing_twice(
    faulty_server: FaultyServer, gmail: Gmail, scripted: FaultyServer, fault: Callable[..., Fault], skip: int
) -> None:
    struck = scripted.faults.add(fault(b"^UID COPY", skip=skip))
    in_process = moved(faulty_server, scripted)
    in_process.to_the_end()
    assert struck.struck
    assert_whole(in_process)


def test_a_server_that_always_dies_at_a_copy_is_not_asked_for_ever(
    faulty_server: FaultyServer, gmail: Gmail, scripted: FaultyServer
) -> None:
    scripted.faults.add(close(b"^UID COPY", times=None))
    in_process = moved(faulty_server, scripted)
    in_process.to_the_end()
    assert sum(command.name == b"UID COPY" for command in scripted.commands) <= 4
    assert_whole(in_process)


def test_without_an_intent_a_lost_answer_would_make_second_copies(
    faulty_server: FaultyServer, gmail: Gmail, scripted: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(worker.copying.copy_search.CopySearch, "done", lambda *_: UidSet())
    scripted.faults.add(lost_ok(b"^UID COPY", skip=1))
    in_process = moved(faulty_server, scripted)
    with contextlib.suppress(AssertionError, StoreError):
        in_process.to_the_end(limit=5)
    with pytest.raises(AssertionError):
        assert_whole(in_process)


def test_one_lane_waits_for_what_another_brings(
    faulty_server: FaultyServer, gmail: Gmail, scripted: FaultyServer
) -> None:
    """Delays the bodies of INBOX: other lanes do not fetch these messages themselves meanwhile."""
    # This leaves out the one body of All Mail that no other folder shares, which may be the first of all.
    held = faulty_server.faults.add(stall(b"^UID FETCH 1[:, ].*BODY.PEEK\\[\\]"))
    in_process = moved(faulty_server, scripted)
    asked = threading.Event()
    share = in_process.store.share

    def sharing(mailbox_id: str, unit_id: str, messages: Sequence[int]) -> list[bytes]:
        answer = share(mailbox_id, unit_id, messages)
        if b"?" in answer:
            asked.set()
            held.release()
        return answer

    in_process.store.share = sharing  # type: ignore[method-assign]
    side_by_side(in_process, 3)
    assert held.struck
    assert asked.is_set()
    assert set(fetched(faulty_server).values()) == {1}
    assert_whole(in_process)
