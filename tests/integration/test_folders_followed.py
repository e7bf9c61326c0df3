"""Tests folders that were renamed or removed between two passes, at either side, on Dovecot and on Cyrus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import worker.folder_search
from producer.show import report
from producer.show.naming import naming_lines
from shared.lifecycle import Outcome
from shared.model import LEFT_ALONE, REMOVED
from tests.conftest import DovecotPair
from tests.integration.in_process_import import PASSWORD, InProcessImport, Wires, plain
from tests.integration.test_delta import BODY, COUNTS, Both
from tests.integration.test_missing import exit_code
from tests.mail import Mail, make_mailbox, populate, snapshot
from tests.servers.cyrus import Cyrus, available
from tests.servers.faults import Action, Fault
from tests.servers.faulty import FaultyServer
from tests.servers.wire import Refused, Wire, quote

WORK = COUNTS["Work"]
DEEP = COUNTS["Work/deep"]
TOTAL = sum(COUNTS.values())


class Between(Both):
    """A pair of servers after a first pass, and what the tests ask of them."""

    def names(self, side: str = "destination") -> dict[str, int]:
        """Returns folder → number of messages, without empty folders."""
        counts: dict[str, int] = {}
        for kept in self.stage.held(side).elements():
            counts[kept.folder.decode()] = counts.get(kept.folder.decode(), 0) + 1
        return counts

    def listed(self, side: str = "destination", command: bytes = b"LIST") -> set[str]:
        """Returns all folders, the empty ones too."""
        server = self.destination if side == "destination" else self.source
        with Wire(server.host, server.port, self.login, self.password) as wire:
            lines, _ = wire.command(command + b' "" "*"')
        found = {line.line.rpartition(b" ")[2].strip(b'"').decode() for line in lines if b"\\Noselect" not in line.line}
        return {"INBOX"} | {name for name in found if name != "INBOX"}

    def deliver(self, folder: str, *numbers: int) -> None:
        """Has new mail arrive in a folder of the source."""
        mail = {folder: [Mail(plain(number), (), None) for number in numbers]}
        populate(self.source.host, self.source.port, self.login, self.password, mail)


class CyrusPair:
    """A Cyrus on either side."""

    def __init__(self, source: Cyrus, destination: Cyrus) -> None:
        self.source, self.destination, self.password = source, destination, PASSWORD
        for server in (source, destination):
            server.add_user("anna", PASSWORD)


@pytest.fixture(params=["Dovecot", "Cyrus"])
def both(request: pytest.FixtureRequest) -> Iterator[Between]:
    if request.param == "Cyrus":
        if not available():
            pytest.skip("Cyrus was not unpacked: tests/install-servers")
        with Cyrus(munge8bit=False) as source, Cyrus(munge8bit=False) as destination:
            CyrusPair(source, destination)
            yield Between(source, destination, "anna", PASSWORD)  # type: ignore[arg-type]
        return
    pair: DovecotPair = request.getfixturevalue("dovecot_pair")
    yield Between(pair.source, pair.destination, pair.account(), pair.password)


def counted(stage: InProcessImport) -> tuple[int, int, int, int]:
    """Returns how many messages were copied at all, are missing, moved and removed."""
    tally = stage.tally()
    return tally[Outcome.COPIED], tally.missing, tally.moved, tally.removed


# -- the user at the destination


def test_a_folder_removed_at_the_destination_does_not_come_again(both: Between) -> None:
    both.at(both.destination, b"DELETE Work/deep")
    for _ in range(2):
        both.again()
        assert both.stage.told.count(BODY) == 0
        assert "Work/deep" not in both.listed()
        assert counted(both.stage) == (TOTAL, 0, 0, DEEP)
        assert exit_code(both.stage) == 0
        assert both.stage.folders()["Work/deep"].note == LEFT_ALONE
    rows = both.stage.store.mailboxes(both.stage.import_id)
    assert list(naming_lines(both.stage.store, rows)) == [
        "note: 1 folder was removed by its user at the destination (row 1 Work/deep): what was copied there does not come again"
    ]
    noted = list(report._notes(both.stage.store, [mailbox for mailbox, _ in rows]))
    assert [(one["folder"], one["what"]) for one in noted] == [("Work/deep", "removed")] * DEEP


def test_new_mail_makes_the_removed_folder_anew_with_nothing_else(both: Between) -> None:
    both.at(both.destination, b"DELETE Work/deep")
    both.again()
    both.deliver("Work/deep", 901, 902)
    for _ in range(2):
        both.again()
        assert both.names()["Work/deep"] == 2
        assert counted(both.stage) == (TOTAL + 2, 0, 0, DEEP)
        assert exit_code(both.stage) == 0
    # It is a folder like others from now on, and what its user removes of it is told one by one.
    both.at(both.destination, b"SELECT Work/deep", b"STORE 1 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    assert counted(both.stage) == (TOTAL + 2, 0, 0, DEEP + 1)
    both.deliver("Work/deep", 903)
    both.again()
    assert both.names()["Work/deep"] == 2
    assert exit_code(both.stage) == 0


def test_new_mail_that_comes_in_the_same_pass(both: Between) -> None:
    both.at(both.destination, b"DELETE Work/deep")
    both.deliver("Work/deep", 901)
    both.again()
    assert both.names()["Work/deep"] == 1
    assert counted(both.stage) == (TOTAL + 1, 0, 0, DEEP)


def test_removed_twice(both: Between) -> None:
    both.at(both.destination, b"DELETE Work/deep")
    both.deliver("Work/deep", 901)
    both.again()
    until_accepted(both, b"DELETE Work/deep")
    both.again()
    assert "Work/deep" not in both.listed()
    assert counted(both.stage) == (TOTAL + 1, 0, 0, DEEP + 1)


def until_accepted(both: Between, command: bytes) -> None:
    """Sends a command until the destination accepts it: a Cyrus deletes a folder of one name once a second."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return both.at(both.destination, command)
        except Refused:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("own", [0, 3])
def test_a_folder_removed_and_made_again_by_its_user_stays_as_it_is(both: Between, own: int) -> None:
    both.at(both.destination, b"DELETE Work/deep", b"CREATE Work/deep")
    drafts = {"Work/deep": [Mail(plain(700 + n), (), None) for n in range(own)]}
    populate(both.destination.host, both.destination.port, both.login, both.password, drafts)
    for _ in range(2):
        both.again()
        assert both.stage.told.count(BODY) == 0
        assert both.names().get("Work/deep", 0) == own
        assert counted(both.stage) == (TOTAL, 0, 0, DEEP)
        assert exit_code(both.stage) == 0
    both.deliver("Work/deep", 901)
    both.again()
    assert both.names()["Work/deep"] == own + 1
    assert both.destination is not None


def test_a_folder_renamed_at_the_destination_is_followed(both: Between) -> None:
    both.at(both.destination, b"RENAME Work Job")
    both.deliver("Work", 901)
    both.deliver("Work/deep", 902)
    for _ in range(2):
        both.again()
        names = both.names()
        assert (names["Job"], names["Job/deep"]) == (WORK + 1, DEEP + 1)
        assert both.listed().isdisjoint({"Work", "Work/deep"})
        assert counted(both.stage) == (TOTAL + 2, 0, 0, 0)
        assert exit_code(both.stage) == 0
        folder = both.stage.folders()["Work"]
        assert (folder.destination_name, folder.note) == (
            b"Job",
            "its user renamed it at the destination; called Job there",
        )
    assert both.stage.told.count(BODY) == 0


def test_two_folders_that_exchanged_their_names_at_the_destination(both: Between) -> None:
    if isinstance(both.destination, Cyrus):
        pytest.skip("its folders of one second have one UIDVALIDITY, so nothing tells that their names changed")
    other = quote(b"&BBgENAQ1BDg-")
    both.at(both.destination, b"RENAME Work x", b"RENAME " + other + b" Work", b"RENAME x " + other)
    both.deliver("Work", 901)
    both.again()
    assert both.names()["&BBgENAQ1BDg-"] == WORK + 1
    assert both.names()["Work"] == COUNTS["&BBgENAQ1BDg-"]
    assert counted(both.stage) == (TOTAL + 1, 0, 0, 0)


# -- the source


def test_a_folder_renamed_at_the_source_is_renamed_at_the_destination(both: Between) -> None:
    both.at(both.destination, b"SUBSCRIBE Work")
    ids = {folder.folder_id for folder in both.stage.every_folder()}
    both.at(both.source, b"RENAME Work Job")
    both.again()
    assert both.stage.told.count(BODY) == 0
    both.deliver("Job/deep", 901)
    both.again()
    names = both.names()
    assert (names["Job"], names["Job/deep"]) == (WORK, DEEP + 1)
    assert both.listed().isdisjoint({"Work", "Work/deep"})
    assert {folder.folder_id for folder in both.stage.every_folder()} == ids
    assert counted(both.stage) == (TOTAL + 1, 0, 0, 0)
    assert exit_code(both.stage) == 0
    subscribed = both.listed(command=b"LSUB")
    assert "Job" in subscribed
    assert "Work" not in subscribed


def test_a_new_folder_under_the_old_name_is_another_one(both: Between) -> None:
    both.at(both.source, b"RENAME Work Job", b"CREATE Work")
    both.deliver("Work", 901, 902)
    for _ in range(2):
        both.again()
        names = both.names()
        assert (names["Job"], names["Job/deep"], names["Work"]) == (WORK, DEEP, 2)
        assert counted(both.stage) == (TOTAL + 2, 0, 0, 0)
    assert len(both.stage.every_folder()) == len(COUNTS) + 1


def test_renamed_at_both_sides_the_user_at_the_destination_wins(both: Between) -> None:
    both.at(both.source, b"RENAME Work/deep Archive")
    both.at(both.destination, b"RENAME Work/deep Mine")
    both.deliver("Archive", 901)
    both.again()
    assert both.names()["Mine"] == DEEP + 1
    assert "Archive" not in both.listed()
    assert counted(both.stage) == (TOTAL + 1, 0, 0, 0)


def test_renamed_at_the_source_and_removed_at_the_destination(both: Between) -> None:
    if isinstance(both.source, Cyrus):
        pytest.skip("its folders of one second have one UIDVALIDITY: nothing at the destination proves which one it is")
    both.at(both.source, b"RENAME Work/deep Archive")
    both.at(both.destination, b"DELETE Work/deep")
    both.again()
    assert both.listed().isdisjoint({"Archive", "Work/deep"})
    assert counted(both.stage) == (TOTAL, 0, 0, DEEP)
    both.deliver("Archive", 901)
    both.again()
    assert both.names()["Archive"] == 1


def test_deleted_at_the_source_the_copy_stays_and_what_its_user_does_with_it_too(both: Between) -> None:
    both.at(both.source, b"DELETE Work/deep")
    both.again()
    assert both.names()["Work/deep"] == DEEP
    assert both.stage.folders()["Work/deep"].note == REMOVED
    both.at(both.destination, b"DELETE Work/deep")
    for _ in range(2):
        both.again()
        assert "Work/deep" not in both.listed()
        assert counted(both.stage) == (TOTAL, 0, 0, DEEP)
        assert exit_code(both.stage) == 0


def test_moves_copy_copies_under_the_new_name(both: Between) -> None:
    both.stage.options = replace(both.stage.options, moves="copy")
    both.at(both.source, b"RENAME Work/deep Archive")
    both.again()
    names = both.names()
    assert (names["Archive"], names["Work/deep"]) == (DEEP, DEEP)


def test_control_without_following_a_removed_folder_would_come_again(
    both: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.folder_search, "removed_by_users", lambda *_: [])
    both.at(both.destination, b"DELETE Work/deep")
    both.again()
    assert both.names()["Work/deep"] == DEEP


def test_ten_thousand_messages_are_renamed_without_a_body(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    mailbox = make_mailbox(5, {"INBOX": 1, "Large": 10_000})
    populate(dovecot_pair.source.host, dovecot_pair.source.port, login, dovecot_pair.password, mailbox)
    stage = InProcessImport(
        dovecot_pair.source,
        dovecot_pair.destination,
        logins=(login,),
        password=dovecot_pair.password,
        batch_messages=1000,
    )
    stage.to_the_end()
    with Wire(dovecot_pair.source.host, dovecot_pair.source.port, login, dovecot_pair.password) as wire:
        wire.command(b"RENAME Large Larger")
    stage.told.sessions.clear()
    stage.to_the_end()
    assert stage.told.count(BODY) == 0
    assert stage.outcomes() == {"copied": 10_001}
    held = snapshot(dovecot_pair.destination.host, dovecot_pair.destination.port, login, dovecot_pair.password)
    assert {kept.folder for kept in held} == {b"INBOX", b"Larger"}
    assert held.total() == 10_001


# -- what real servers do not do


@pytest.fixture
def wires() -> Iterator[Wires]:
    with FaultyServer() as source, FaultyServer() as destination:
        yield Wires(source, destination)


@pytest.fixture
def stage(wires: Wires) -> InProcessImport:
    """Returns a stage on which three folders were copied."""
    wires.fill(4)
    for number, name in enumerate((b"Work", b"Other"), start=1):
        wires.fill(5, name, first=100 * number)
    stage = InProcessImport(wires.source, wires.destination)
    stage.to_the_end()
    return stage


def rename(account: Any, name: bytes, other: bytes) -> None:
    folder = account.folders.pop(name)
    folder.name = other
    account.folders[other] = folder


def test_a_restored_backup_is_a_loss_and_its_folder_is_filled_again(stage: InProcessImport, wires: Wires) -> None:
    """The backup is older than the copies: UIDNEXT of INBOX goes back."""
    wires.new.folders.pop(b"Work")
    inbox = wires.new.folder(b"INBOX")
    inbox.remove(inbox.uids[-1])
    inbox.announced_uidnext = inbox.uidnext - 1
    stage.to_the_end()
    assert wires.bodies(b"Work") == wires.sent(b"Work")
    assert stage.tally().removed == 0
    assert exit_code(stage) == 3, "what INBOX lost is missing"


def test_an_account_made_anew_is_filled_again(stage: InProcessImport, wires: Wires) -> None:
    wires.new.folders.clear()
    wires.new.folder(b"INBOX", uidvalidity=77_000)
    stage.to_the_end()
    for name in (b"INBOX", b"Work", b"Other"):
        assert wires.bodies(name) == wires.sent(name)
    assert stage.tally().removed == 0


def test_a_folder_that_no_verification_saw_is_lost_not_removed(wires: Wires) -> None:
    wires.fill(4)
    stage = InProcessImport(wires.source, wires.destination)
    stage.to_the_end()
    wires.fill(5, b"Work", first=100)
    stage.submit()
    stage.stopping = lambda: stage.tally()[Outcome.COPIED] == 9
    stage.work()
    stage.stopping = lambda: False
    assert stage.mailbox().state == "verifying"
    wires.new.folders.pop(b"Work")
    stage.to_the_end(submit=False)
    assert wires.bodies(b"Work") == wires.sent(b"Work")
    assert stage.tally().removed == 0


def test_one_uidvalidity_for_all_folders_tells_nothing(wires: Wires) -> None:
    """Tells folders apart by what they hold alone, as go-imap makes it necessary."""
    for account in (wires.old, wires.new):
        for name in (b"INBOX", b"Work", b"Other", b"Third"):
            account.folder(name).uidvalidity = 1
    wires.fill(4)
    for number, name in enumerate((b"Work", b"Other"), start=1):
        wires.fill(5, name, first=100 * number)
    wires.fill(7, b"Third", first=300)
    stage = InProcessImport(wires.source, wires.destination)
    stage.to_the_end()
    # Work goes, and another folder comes that has as many messages and more.
    wires.old.folders.pop(b"Work")
    wires.old.folder(b"New").uidvalidity = 1
    wires.fill(6, b"New", first=500)
    rename(wires.old, b"Other", b"Second")
    rename(wires.new, b"Third", b"Mine")
    stage.to_the_end()
    assert wires.bodies(b"New") == wires.sent(b"New")
    assert wires.bodies(b"Second") == wires.sent(b"Second")
    assert wires.bodies(b"Mine") == wires.sent(b"Third")
    assert set(wires.new.folders) == {b"INBOX", b"Work", b"New", b"Second", b"Mine"}
    assert wires.bodies(b"Work").total() == 5, "what was deleted at the source stays"


def test_control_without_looking_at_messages_a_folder_would_be_taken_for_another(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.folder_search.FolderSearch, "_alike", lambda *_: True)
    with pytest.raises(AssertionError):
        test_one_uidvalidity_for_all_folders_tells_nothing(wires)


@pytest.mark.parametrize("words", [b"NO [CANNOT] folders are not renamed here", b"NO [ALREADYEXISTS] it is there"])
def test_a_rename_that_the_destination_refuses(stage: InProcessImport, wires: Wires, words: bytes) -> None:
    wires.destination.faults.add(Fault(rb"RENAME", Action.REPLY, text=words, times=None))
    rename(wires.old, b"Work", b"Job")
    wires.fill(2, b"Job", first=900)
    for _ in range(3):
        stage.to_the_end()
    assert len(wires.destination.matching(rb"RENAME")) == 1, "it is tried once"
    assert wires.bodies(b"Work") == wires.sent(b"Job"), "its mail goes where it went before"
    assert b"Job" not in wires.new.folders
    note = stage.folders()["Job"].note
    assert note.startswith("renamed at the source, and keeps its name at the destination (the server said:")
    assert note.endswith("called Work there")
    assert exit_code(stage) == 0


def test_a_name_that_is_taken_is_not_tried(stage: InProcessImport, wires: Wires) -> None:
    wires.new.folder(b"Job").add(plain(999))
    rename(wires.old, b"Work", b"Job")
    stage.to_the_end()
    assert not wires.destination.matching(rb"RENAME")
    assert wires.bodies(b"Job").total() == 1
    assert wires.bodies(b"Work") == wires.sent(b"Job")
    assert "there is another folder of that name" in stage.folders()["Job"].note


def test_renamed_back_and_forth(stage: InProcessImport, wires: Wires) -> None:
    for old, new in ((b"Work", b"Job"), (b"Job", b"Work"), (b"Work", b"Third")):
        rename(wires.old, old, new)
        stage.to_the_end()
        assert wires.bodies(new) == wires.sent(new)
        assert old not in wires.new.folders
        assert stage.outcomes() == {"copied": 14}


def test_a_folder_left_out_now_keeps_where_it_is(stage: InProcessImport, wires: Wires) -> None:
    stage.options = replace(stage.options, exclude=("Work",))
    wires.new.folders.pop(b"Work")
    stage.to_the_end()
    assert b"Work" not in wires.new.folders
    assert stage.tally().removed == 5


def test_nothing_changed_costs_no_round_trip_more(stage: InProcessImport, wires: Wires) -> None:
    counts = []
    for _ in range(2):
        before = [len(server.commands) for server in (wires.source, wires.destination)]
        stage.to_the_end()
        new = [
            [c.name for c in server.commands[at:]]
            for server, at in zip((wires.source, wires.destination), before, strict=True)
        ]
        counts.append(
            [[name for name in names if name in (b"LIST", b"STATUS", b"SELECT", b"EXAMINE")] for names in new]
        )
    assert counts[0] == counts[1]
    source, destination = counts[0]
    assert source.count(b"STATUS") == 3
    assert source.count(b"EXAMINE") == 0
    assert destination.count(b"STATUS") == 6, "once for the plan, once for the verification"


# -- interrupted


class Killed(BaseException):
    """Stands for a kill of the worker."""


@pytest.mark.parametrize("effect", ["rename", "subscribe", "unsubscribe", "plan_folders"])
@pytest.mark.parametrize("after", [False, True])
def test_interrupted_while_a_rename_is_followed(
    stage: InProcessImport, wires: Wires, monkeypatch: pytest.MonkeyPatch, effect: str, after: bool
) -> None:
    wires.destination.behaviour.capabilities.discard("LIST-EXTENDED")
    wires.new.folder(b"Work").subscribed = True
    rename(wires.old, b"Work", b"Job")
    wires.fill(1, b"Job", first=900)
    kill_at(stage, monkeypatch, effect, after=after)
    stage.to_the_end()
    assert set(wires.new.folders) == {b"INBOX", b"Job", b"Other"}
    assert wires.bodies(b"Job") == wires.sent(b"Job")
    assert stage.outcomes() == {"copied": 15}
    assert len(stage.every_folder()) == 3


@pytest.mark.parametrize("effect", ["create", "plan_folders", "send"])
@pytest.mark.parametrize("after", [False, True])
def test_interrupted_while_a_removed_folder_is_made_anew(
    stage: InProcessImport, wires: Wires, monkeypatch: pytest.MonkeyPatch, effect: str, after: bool
) -> None:
    wires.new.folders.pop(b"Work")
    wires.fill(1, b"Work", first=900)
    kill_at(stage, monkeypatch, effect, after=after)
    stage.to_the_end()
    assert wires.bodies(b"Work").total() == 1
    assert counted(stage) == (15, 0, 0, 5)
    assert exit_code(stage) == 0


def kill_at(stage: InProcessImport, monkeypatch: pytest.MonkeyPatch, effect: str, *, after: bool) -> None:
    """Kills the worker once, before or after this effect; the lease expires."""
    killed: list[bool] = []

    def killing(call: Any) -> Any:
        def once(*args: Any, **kwargs: Any) -> Any:
            if killed:
                return call(*args, **kwargs)
            if after:
                call(*args, **kwargs)
            killed.append(True)
            raise Killed

        return once

    if effect == "plan_folders":
        monkeypatch.setattr(stage.store, effect, killing(stage.store.plan_folders))
    else:

        def spoil(session: Any) -> Any:
            setattr(session, effect, killing(getattr(session, effect)))
            return session

        stage.spoil = spoil
    stage.submit()
    with pytest.raises(Killed):
        stage.work()
    stage.spoil = lambda session: session
    stage.later(3600)
