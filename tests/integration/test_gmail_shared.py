"""A message with three labels is fetched once and copied at the destination: from a small Gmail into a real Dovecot."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest

import worker.share
from shared.gmail import LabelMode
from shared.model import Options
from shared.uids import UidSet
from tests.integration.stage import LOGIN, PASSWORD, Stage, plain
from tests.servers.dovecot import Dovecot
from tests.servers.faulty import FaultyServer
from tests.servers.gmail import ALL_MAIL, Gmail
from tests.servers.wire import Wire
from worker.share import Shared

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


def fetched(server: FaultyServer) -> Counter[bytes]:
    """How often each body was asked for."""
    found: Counter[bytes] = Counter()
    folders: dict[int, bytes] = {}
    account = next(iter(server.behaviour.accounts.values()))
    for command in server.commands:
        if command.name == b"EXAMINE":
            name = command.text.removeprefix(b"EXAMINE ").removesuffix(b" (CONDSTORE)").strip(b'"')
            folders[command.connection] = name
        elif match := re.match(rb"UID FETCH (\S+) .*BODY\.PEEK\[\]", command.text):
            folder = account.folder(folders[command.connection])
            wanted = UidSet.parse(match[1].decode())
            found.update(message.body for message in folder.messages if message.uid in wanted)
    return found


def moved(source: FaultyServer, destination: Dovecot, **options: object) -> Stage:
    return Stage(source, destination, options=Options(**options))  # type: ignore[arg-type]


def assert_whole(stage: Stage) -> None:
    assert stage.outcomes() == {"copied": 3 * COUNT + 2, "skipped": COUNT + 1}
    there, here = stage.held("source"), stage.held("destination")
    labelled = {kept.sha256 for kept in there if kept.folder != ALL_MAIL}
    wanted = Counter(
        {kept: times for kept, times in there.items() if kept.folder != ALL_MAIL or kept.sha256 not in labelled}
    )
    assert here == wanted, "bytes, flags and dates as each folder shows them"
    assert not stage.notes()
    assert stage.mailbox().state == "complete"


@pytest.mark.parametrize("lanes", [1, 4])
def test_a_body_is_fetched_once(faulty_server: FaultyServer, gmail: Gmail, here: Dovecot, lanes: int) -> None:
    stage = moved(faulty_server, here)
    stage.to_the_end(lanes=lanes)
    times = fetched(faulty_server)
    assert set(times.values()) == {1}
    assert len(times) == COUNT + 2
    assert_whole(stage)
    faulty_server.commands.clear()
    stage.later(3600)
    stage.to_the_end()
    assert not fetched(faulty_server)
    assert_whole(stage)


def test_without_it_it_is_fetched_for_each_label(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above."""
    monkeypatch.setattr(Shared, "parts", lambda self, uids: [uids])
    stage = moved(faulty_server, here)
    stage.to_the_end()
    assert Counter(fetched(faulty_server).values()) == {3: COUNT, 1: 2}
    assert_whole(stage)


def add_label(gmail: Gmail, count: int) -> None:
    """The first messages of INBOX get another label, and other flags."""
    gmail.label(b"Late")
    for message in gmail.account.folder(b"INBOX").messages[:count]:
        extra = message.extra | {b"X-GM-LABELS": b"(\\Inbox Work Home)"}
        gmail.account.folder(b"Late").add(message.body, (b"\\Answered",), message.internaldate, extra=extra)


def test_a_label_that_comes_later_is_copied_with_the_flags_of_now(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot
) -> None:
    stage = moved(faulty_server, here)
    stage.to_the_end()
    add_label(gmail, 7)
    faulty_server.commands.clear()
    stage.later(3600)
    stage.to_the_end()
    assert not fetched(faulty_server)
    late = [kept for kept in stage.held("destination").elements() if kept.folder == b"Late"]
    assert [kept.flags for kept in late] == [frozenset({"\\answered"})] * 7


@pytest.mark.parametrize("what", ["removed", "made anew", "another in its place", "no keywords"])
def test_what_cannot_be_copied_is_fetched(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = moved(faulty_server, here)
    stage.to_the_end()
    add_label(gmail, 5)
    with Wire(here.host, here.port, LOGIN, PASSWORD) as wire:
        if what == "removed":
            for name in (b"INBOX", b"Work", b"Home"):
                wire.command(b"SELECT " + name)
                wire.command(b"UID STORE 1:5 +FLAGS (\\Deleted)")
                wire.command(b"EXPUNGE")
        elif what == "made anew":
            for name in (b"Work", b"Home"):
                wire.command(b"DELETE " + name)
                wire.command(b"CREATE " + name)
    if what == "another in its place":
        for key, place in list(stage.store._shared.items()):
            assert isinstance(place, bytes)
            stage.store._shared[key] = place[:-4] + (int.from_bytes(place[-4:]) + 1).to_bytes(4)
    elif what == "no keywords":
        monkeypatch.setattr(worker.share, "_same", lambda ours, theirs: False)
    faulty_server.commands.clear()
    stage.later(3600)
    stage.to_the_end()
    late = {body for body, _ in fetched(faulty_server).items()}
    assert len(late) >= (0 if what == "made anew" else 5)
    held = stage.held("destination")
    assert sum(times for kept, times in held.items() if kept.folder == b"Late") == 5
    there = {kept.sha256 for kept in stage.held("source") if kept.folder == b"Late"}
    assert {kept.sha256 for kept in held if kept.folder == b"Late"} == there
    assert LabelMode.FOLDERS == "folders"
