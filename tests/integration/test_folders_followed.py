"""Tests folders that were renamed or removed between two passes, at either side, on Dovecot and on Cyrus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

import worker.decisions.whereabouts
import worker.planning.folder_search
import worker.verifying.verify
from producer.show import report
from producer.show.naming import naming_lines
from shared.model import LEFT_ALONE, REMOVED
from shared.model.lifecycle import Outcome
from tests.conftest import DovecotPair
from tests.integration.in_process_import import PASSWORD, InProcessImport, plain
from tests.integration.test_delta import BODY, COUNTS, Both
from tests.integration.test_missing import exit_code
from tests.mail import Mail, make_mailbox, populate, snapshot
from tests.servers.cyrus import Cyrus, available
from tests.servers.wire import Refused, Wire, quote

WORK = COUNTS["Work"]
DEEP = COUNTS["Work/deep"]
TOTAL = sum(COUNTS.values())


class Between(Both):
    """A pair of servers after a first pass, and what the tests ask of them."""

    def names(self, side: str = "destination") -> dict[str, int]:
        """Returns folder → number of messages, without empty folders."""
        counts: dict[str, int] = {}
        for kept in self.in_process.held(side).elements():
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


def counted(in_process: InProcessImport) -> tuple[int, int, int, int]:
    """Returns how many messages were copied at all, are missing, moved and removed."""
    tally = in_process.tally()
    return tally[Outcome.COPIED], tally.missing, tally.moved, tally.removed


# -- the user at the destination


def test_a_folder_removed_at_the_destination_does_not_come_again(both: Between) -> None:
    both.at(both.destination, b"DELETE Work/deep")
    for _ in range(2):
        both.again()
        assert both.in_process.told.count(BODY) == 0
        assert "Work/deep" not in both.listed()
        assert counted(both.in_process) == (TOTAL, 0, 0, DEEP)
        assert exit_code(both.in_process) == 0
        assert both.in_process.folders()["Work/deep"].note == LEFT_ALONE
    rows = both.in_process.store.mailboxes(both.in_process.import_id)
    assert list(naming_lines(both.in_process.store, rows)) == [
        "note: 1 folder was removed by its user at the destination (row 1 Work/deep): what was copied there does not come again"
    ]
    noted = [note for mailbox, tally in rows for note in report._notes(both.in_process.store, mailbox, tally)]
    assert [(one["folder"], one["what"]) for one in noted] == [("Work/deep", "removed")] * DEEP


def test_new_mail_makes_the_removed_folder_anew_with_nothing_else(both: Between) -> None:
    both.at(both.destination, b"DELETE Work/deep")
    both.again()
    both.deliver("Work/deep", 901, 902)
    for _ in range(2):
        both.again()
        assert both.names()["Work/deep"] == 2
        assert counted(both.in_process) == (TOTAL + 2, 0, 0, DEEP)
        assert exit_code(both.in_process) == 0
    # It is a folder like others from now on, and what its user removes of it is told one by one.
    both.at(both.destination, b"SELECT Work/deep", b"STORE 1 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    assert counted(both.in_process) == (TOTAL + 2, 0, 0, DEEP + 1)
    both.deliver("Work/deep", 903)
    both.again()
    assert both.names()["Work/deep"] == 2
    assert exit_code(both.in_process) == 0


def test_new_mail_that_comes_in_the_same_pass(both: Between) -> None:
    both.at(both.destination, b"DELETE Work/deep")
    both.deliver("Work/deep", 901)
    both.again()
    assert both.names()["Work/deep"] == 1
    assert counted(both.in_process) == (TOTAL + 1, 0, 0, DEEP)


def test_removed_twice(both: Between) -> None:
    both.at(both.destination, b"DELETE Work/deep")
    both.deliver("Work/deep", 901)
    both.again()
    until_accepted(both, b"DELETE Work/deep")
    both.again()
    assert "Work/deep" not in both.listed()
    assert counted(both.in_process) == (TOTAL + 1, 0, 0, DEEP + 1)


def until_accepted(both: Between, command: bytes) -> None:
    """Sends a command until the destination accepts it: a Cyrus deletes a folder of one name once a second."""
    deadline = time.monotonic() + 180
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
        assert both.in_process.told.count(BODY) == 0
        assert both.names().get("Work/deep", 0) == own
        assert counted(both.in_process) == (TOTAL, 0, 0, DEEP)
        assert exit_code(both.in_process) == 0
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
        assert counted(both.in_process) == (TOTAL + 2, 0, 0, 0)
        assert exit_code(both.in_process) == 0
        folder = both.in_process.folders()["Work"]
        assert (folder.destination_name, folder.note) == (
            b"Job",
            "its user renamed it at the destination; called Job there",
        )
    assert both.in_process.told.count(BODY) == 0


def test_two_folders_that_exchanged_their_names_at_the_destination(both: Between) -> None:
    if isinstance(both.destination, Cyrus):
        pytest.skip("its folders of one second have one UIDVALIDITY, so nothing tells that their names changed")
    other = quote(b"&BBgENAQ1BDg-")
    both.at(both.destination, b"RENAME Work x", b"RENAME " + other + b" Work", b"RENAME x " + other)
    both.deliver("Work", 901)
    both.again()
    assert both.names()["&BBgENAQ1BDg-"] == WORK + 1
    assert both.names()["Work"] == COUNTS["&BBgENAQ1BDg-"]
    assert counted(both.in_process) == (TOTAL + 1, 0, 0, 0)


# -- the source


def test_a_folder_renamed_at_the_source_is_renamed_at_the_destination(both: Between) -> None:
    both.at(both.destination, b"SUBSCRIBE Work")
    ids = {folder.folder_id for folder in both.in_process.every_folder()}
    both.at(both.source, b"RENAME Work Job")
    both.again()
    assert both.in_process.told.count(BODY) == 0
    both.deliver("Job/deep", 901)
    both.again()
    names = both.names()
    assert (names["Job"], names["Job/deep"]) == (WORK, DEEP + 1)
    assert both.listed().isdisjoint({"Work", "Work/deep"})
    assert {folder.folder_id for folder in both.in_process.every_folder()} == ids
    assert counted(both.in_process) == (TOTAL + 1, 0, 0, 0)
    assert exit_code(both.in_process) == 0
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
        assert counted(both.in_process) == (TOTAL + 2, 0, 0, 0)
    assert len(both.in_process.every_folder()) == len(COUNTS) + 1


def test_renamed_at_both_sides_the_user_at_the_destination_wins(both: Between) -> None:
    both.at(both.source, b"RENAME Work/deep Archive")
    both.at(both.destination, b"RENAME Work/deep Mine")
    both.deliver("Archive", 901)
    both.again()
    assert both.names()["Mine"] == DEEP + 1
    assert "Archive" not in both.listed()
    assert counted(both.in_process) == (TOTAL + 1, 0, 0, 0)


def test_renamed_at_the_source_and_removed_at_the_destination(both: Between) -> None:
    both.at(both.source, b"RENAME Work/deep Archive")
    both.at(both.destination, b"DELETE Work/deep")
    both.again()
    assert both.listed().isdisjoint({"Archive", "Work/deep"})
    assert counted(both.in_process) == (TOTAL, 0, 0, DEEP)
    both.deliver("Archive", 901)
    both.again()
    assert both.names()["Archive"] == 1


def test_deleted_at_the_source_the_copy_stays_and_what_its_user_does_with_it_too(both: Between) -> None:
    both.at(both.source, b"DELETE Work/deep")
    both.again()
    assert both.names()["Work/deep"] == DEEP
    assert both.in_process.folders()["Work/deep"].note == REMOVED
    both.at(both.destination, b"DELETE Work/deep")
    for _ in range(2):
        both.again()
        assert "Work/deep" not in both.listed()
        assert counted(both.in_process) == (TOTAL, 0, 0, DEEP)
        assert exit_code(both.in_process) == 0


def test_moves_copy_copies_under_the_new_name(both: Between) -> None:
    both.in_process.options = replace(both.in_process.options, moves="copy")
    both.at(both.source, b"RENAME Work/deep Archive")
    both.again()
    names = both.names()
    assert (names["Archive"], names["Work/deep"]) == (DEEP, DEEP)


def test_control_without_following_a_removed_folder_would_come_again(
    both: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.planning.folder_search, "removed_by_users", lambda *_: [])
    both.at(both.destination, b"DELETE Work/deep")
    both.again()
    assert both.names()["Work/deep"] == DEEP


def test_ten_thousand_messages_are_renamed_without_a_body(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    mailbox = make_mailbox(5, {"INBOX": 1, "Large": 10_000})
    populate(dovecot_pair.source.host, dovecot_pair.source.port, login, dovecot_pair.password, mailbox)
    in_process = InProcessImport(
        dovecot_pair.source,
        dovecot_pair.destination,
        logins=(login,),
        password=dovecot_pair.password,
        batch_messages=1000,
    )
    in_process.to_the_end()
    with Wire(dovecot_pair.source.host, dovecot_pair.source.port, login, dovecot_pair.password) as wire:
        wire.command(b"RENAME Large Larger")
    in_process.told.sessions.clear()
    in_process.to_the_end()
    assert in_process.told.count(BODY) == 0
    assert in_process.outcomes() == {"copied": 10_001}
    held = snapshot(dovecot_pair.destination.host, dovecot_pair.destination.port, login, dovecot_pair.password)
    assert {kept.folder for kept in held} == {b"INBOX", b"Larger"}
    assert held.total() == 10_001
