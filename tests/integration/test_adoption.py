"""Tests adoption: mail that the destination holds already is recognised, and other people's mail is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.model import Lease
from shared.store.memory.memory_store import MemoryStore
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.mail import Mail, make_mailbox, populate, uids_and_flags
from tests.servers.faulty import FaultyServer
from worker.following.flag_sync import FlagSync

WHEN = datetime(2022, 3, 4, 5, 6, 7, tzinfo=UTC)


def stage_of(pair: DovecotPair, login: str) -> InProcessImport:
    return InProcessImport(pair.source, pair.destination, logins=(login,), password=pair.password)


def fill(pair: DovecotPair, login: str, source: dict[str, list[Mail]], destination: dict[str, list[Mail]]) -> None:
    for server, folders in ((pair.source, source), (pair.destination, destination)):
        populate(server.host, server.port, login, pair.password, folders)


def test_half_of_it_is_there_and_foreign_mail_too(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    theirs = make_mailbox(3, {"INBOX": 40, "Work": 20})
    foreign = make_mailbox(4, {"INBOX": 15, "Private": 5})
    here = {
        "INBOX": foreign["INBOX"][:7] + theirs["INBOX"][10:30] + foreign["INBOX"][7:],
        "Private": foreign["Private"],
    }
    fill(dovecot_pair, login, theirs, here)
    destination = dovecot_pair.destination
    before = uids_and_flags(destination.host, destination.port, login, dovecot_pair.password)
    in_process = stage_of(dovecot_pair, login)
    held = in_process.held("destination")
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 40, "already_present": 20}
    foreigners = held - in_process.held("source")
    assert in_process.held("destination") == in_process.held("source") + foreigners
    after = in_process.marks("destination")
    for name, (validity, uids) in before.items():
        assert after[name][0] == validity
        assert uids.items() <= after[name][1].items(), "mail that was there before was touched"


def test_of_twins_only_as_many_are_adopted_as_are_there(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    twin = Mail(plain(1), (), WHEN)
    cousin = Mail(plain(1, text="the same header and size, other words!"), (), WHEN)
    other = Mail(plain(1, text="the same header and size, other words?"), (), WHEN)
    fill(dovecot_pair, login, {"INBOX": [twin, twin, twin, cousin, other]}, {"INBOX": [twin, other]})
    in_process = stage_of(dovecot_pair, login)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3, "already_present": 2}
    assert in_process.held("destination") == in_process.held("source")
    assert len(in_process.pairs()) == 5


def test_more_copies_than_originals(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    twin = Mail(plain(1), (), WHEN)
    fill(dovecot_pair, login, {"INBOX": [twin]}, {"INBOX": [twin, twin, twin]})
    in_process = stage_of(dovecot_pair, login)
    in_process.to_the_end()
    assert in_process.outcomes() == {"already_present": 1}
    assert in_process.held("destination").total() == 3


def test_a_look_alike_is_no_copy(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    mine = [Mail(plain(1, text="pay 100 to Anna"), (), WHEN), Mail(b"X-No: 1\r\n\r\nabc\r\n", (), WHEN)]
    theirs = [
        Mail(plain(1, text="pay 999 to Anna"), (), WHEN + timedelta(seconds=1)),
        Mail(b"X-No: 1\r\n\r\nxyz\r\n", (), WHEN),
    ]
    fill(dovecot_pair, login, {"INBOX": mine}, {"INBOX": theirs})
    in_process = stage_of(dovecot_pair, login)
    before = in_process.held("destination")
    in_process.to_the_end()
    assert in_process.held("destination") == in_process.held("source") + before
    assert in_process.outcomes() == {"copied": 2}


def test_a_copy_with_another_date_is_a_copy(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    mine = [Mail(plain(n), (), WHEN) for n in range(5)]
    fill(
        dovecot_pair,
        login,
        {"INBOX": mine},
        {"INBOX": [mail._replace(internaldate=WHEN + timedelta(1)) for mail in mine]},
    )
    in_process = stage_of(dovecot_pair, login)
    in_process.to_the_end()
    assert in_process.outcomes() == {"already_present": 5}


@pytest.mark.parametrize("size", [None, 7])
def test_all_of_it_is_there_whatever_sizes_the_source_tells(size: int | None) -> None:
    with FaultyServer() as source, FaultyServer() as destination:
        wires = Wires(source, destination)
        for number in range(30):
            wires.old.folder(b"INBOX").add(plain(number), size=size)
            wires.new.folder(b"INBOX").add(plain(number))
        in_process = InProcessImport(source, destination)
        in_process.to_the_end()
        assert in_process.outcomes() == {"already_present": 30}
        assert wires.bodies() == wires.sent()


def test_what_the_destination_altered_is_recognised_after_all_was_forgotten() -> None:
    with FaultyServer() as source, FaultyServer() as destination:
        wires = Wires(source, destination)
        destination.behaviour.append.alter_body = lambda body: body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        for number in range(10):
            wires.old.folder(b"INBOX").add(plain(number))
            wires.old.folder(b"INBOX").add(plain(100 + number).replace(b"\r\n\r\n", b"\r\n\r\nbare\n"))
        InProcessImport(source, destination).to_the_end()
        held = wires.bodies()
        assert held.total() == 20
        assert held != wires.sent()
        again = InProcessImport(source, destination)
        again.to_the_end()
        assert again.outcomes() == {"already_present": 20}
        assert wires.bodies() == held


def test_an_interrupted_adoption_is_adopted_again(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    theirs = make_mailbox(5, {"INBOX": 40})
    fill(dovecot_pair, login, theirs, {"INBOX": theirs["INBOX"][:25]})
    for _ in range(3):  # each time with an empty store
        in_process = stage_of(dovecot_pair, login)
        in_process.submit()
        lease = in_process.store.claim("gone")
        assert lease is not None
        in_process.later(120)
        in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"already_present": 40}
    assert in_process.held("destination") == in_process.held("source")


@pytest.mark.parametrize("set_too", [True, False], ids=["set", "control: left as they are"])
def test_a_copy_that_is_found_gets_the_flags_that_it_lacks_and_keeps_its_own(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch, set_too: bool
) -> None:
    login = dovecot_pair.account()
    one, two = Mail(plain(1), ("\\Seen", "work"), WHEN), Mail(plain(2), (), WHEN)
    there = [one._replace(flags=("\\Answered",)), two._replace(flags=("\\Flagged",))]
    fill(dovecot_pair, login, {"INBOX": [one, two]}, {"INBOX": there})
    if not set_too:
        monkeypatch.setattr(FlagSync, "complete", lambda *_: None)
    in_process = stage_of(dovecot_pair, login)
    in_process.to_the_end()
    assert in_process.outcomes() == {"already_present": 2}
    found = [set(flags) - {"\\recent"} for flags, _ in in_process.marks("destination")[b"INBOX"][1].values()]
    assert found == [{"\\answered", *(["\\seen", "work"] if set_too else [])}, {"\\flagged"}]


@pytest.mark.parametrize("restarted", [True, False], ids=["restarted", "control: not restarted"])
def test_copies_of_ours_whose_records_the_store_lost_are_nobody_elses(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    """Brings the second of two messages between the plan and the copy, as a lane did of which the store has lost all."""
    login = dovecot_pair.account()
    one, two = Mail(plain(1), (), WHEN), Mail(plain(2), (), WHEN)
    fill(dovecot_pair, login, {"INBOX": [one, two]}, {})
    in_process = stage_of(dovecot_pair, login)
    claim = MemoryStore.claim

    def claimed(self: MemoryStore, *given: Any, **named: Any) -> Lease | None:
        lease = claim(self, *given, **named)
        return lease and replace(lease, restarted=restarted and lease.folder is not None)

    plan_folders = MemoryStore.plan_folders

    def planned(self: MemoryStore, *given: Any, **named: Any) -> None:
        plan_folders(self, *given, **named)
        fill(dovecot_pair, login, {}, {"INBOX": [two]})

    monkeypatch.setattr(MemoryStore, "claim", claimed)
    monkeypatch.setattr(MemoryStore, "plan_folders", planned)
    in_process.to_the_end()
    assert bool(in_process.failures()) is not restarted
    assert in_process.outcomes() == {"copied": 1, "already_present": 1}
    assert in_process.held("destination") == in_process.held("source")
