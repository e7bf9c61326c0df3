"""Tests that a later pass notices which copied messages were deleted at the source, and takes nothing else for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import worker.following.deletions
import worker.planning.batch_planner
from producer.show.notes import DELETED_AT_SOURCE, notes_of
from producer.show.report import write_report
from shared.model import Options, Tally
from shared.model.uids import UidSet
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, Wires
from tests.integration.test_delta import BODY, WITHOUT_CONDSTORE, Both
from tests.integration.test_missing import exit_code
from tests.servers.dovecot import Dovecot
from tests.servers.faults import preface
from tests.servers.faulty_incomplete import fetching, searching, uid

DELETE = (b"SELECT INBOX", b"STORE 1:10 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")


@pytest.fixture(params=["CONDSTORE", "compared"])
def both(request: pytest.FixtureRequest, dovecot: Callable[..., Dovecot], dovecot_pair: DovecotPair) -> Both:
    """Returns servers of which the source has CONDSTORE and QRESYNC, or neither."""
    source, login = dovecot_pair.source, dovecot_pair.account()
    if request.param == "compared":
        source = dovecot(extra=f"imap_capability = {WITHOUT_CONDSTORE}")
        source.add_user(login, dovecot_pair.password)
    return Both(source, dovecot_pair.destination, login, dovecot_pair.password)


def deleted(in_process: InProcessImport) -> dict[str, UidSet]:
    """Returns folder → the UIDs that are noted as deleted at the source; their number is the tally's."""
    found = {
        folder.display: UidSet.of(n.uid for n in notes_of(in_process.store, folder) if n.what == DELETED_AT_SOURCE)
        for folder in in_process.every_folder()
    }
    assert in_process.tally().deleted_at_source == sum(map(len, found.values()))
    return {name: uids for name, uids in found.items() if uids}


def test_what_was_expunged_is_noticed_and_stays(both: Both, dovecot_pair: DovecotPair) -> None:
    held = both.in_process.held("destination")
    qresync = both.source is dovecot_pair.source
    both.at(both.source, *DELETE)
    for first in (True, False):
        both.again()
        assert deleted(both.in_process) == {"INBOX": UidSet.span(1, 10)}
        assert exit_code(both.in_process) == 0
        assert both.in_process.told.count(BODY) == 0
        asked = (both.in_process.told.count(b"(QRESYNC "), both.in_process.told.count(b"SEARCH"))
        assert asked == ((qresync, not qresync) if first else (0, 0)), "the second pass asks nothing more"
    assert both.in_process.held("destination") == held


def test_two_folders_and_mail_that_comes_back_are_told_by_what_went(both: Both) -> None:
    both.at(both.source, *DELETE, b"SELECT Work", b"STORE 2 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    assert deleted(both.in_process) == {"INBOX": UidSet.span(1, 10), "Work": UidSet.of([2])}
    both.at(both.source, b"SELECT Work", b"STORE 2 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    assert deleted(both.in_process) == {"INBOX": UidSet.span(1, 10), "Work": UidSet.span(2, 3)}


def test_among_new_mail_it_is_noticed_without_a_question_more(both: Both) -> None:
    both.at(both.source, b"SELECT INBOX", b"COPY 11:15 INBOX", *DELETE[1:])
    both.again()
    assert deleted(both.in_process) == {"INBOX": UidSet.span(1, 10)}
    assert both.in_process.told.count(b"SEARCH") == 0, "the listing shows it"
    both.at(both.source, b"SELECT INBOX", b"STORE 1 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    assert deleted(both.in_process) == {"INBOX": UidSet.span(1, 11)}


def test_an_emptied_folder_is_noticed(both: Both) -> None:
    both.at(both.source, b"SELECT Work", b"STORE 1:* +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    assert deleted(both.in_process) == {"Work": UidSet.span(1, 30)}
    assert both.in_process.told.count(b"SEARCH") == 0


def test_what_is_restored_is_a_new_message(both: Both) -> None:
    both.in_process.options = replace(both.in_process.options, moves="copy")
    both.at(both.source, b"CREATE Bin", b"SELECT INBOX", b"MOVE 1:3 Bin")
    both.again()
    both.at(both.source, b"SELECT Bin", b"MOVE 1:3 INBOX")
    both.again()
    assert deleted(both.in_process)["INBOX"] == UidSet.span(1, 3)
    assert both.in_process.outcomes() == {"copied": 110 + 3 + 3}


def test_the_report_names_each(both: Both, tmp_path: Path) -> None:
    both.at(both.source, *DELETE)
    both.again()
    rows = [(both.in_process.mailbox(), Tally())]
    write_report(both.in_process.store, {"mailboxes": None}, lambda: rows, tmp_path)
    notes = (tmp_path / "notes.csv").read_text()
    assert notes.count(",deleted_at_source,deleted at the source after it was copied") == 10


def test_what_is_shown_again_is_not_deleted(in_process: InProcessImport, wires: Wires) -> None:
    inbox = wires.old.folder(b"INBOX")
    kept = inbox.messages[3]
    inbox.remove(kept.uid)
    in_process.to_the_end()
    assert deleted(in_process) == {"INBOX": UidSet.of([kept.uid])}
    inbox.add(kept.body, uid=kept.uid)
    in_process.to_the_end()
    assert deleted(in_process) == {}
    assert in_process.outcomes() == {"copied": 12}


@pytest.mark.parametrize("answer", [b"", b"NO not so", b"BAD unknown parameter"])
def test_a_source_that_does_not_tell_what_went_is_asked_what_is_left(
    in_process: InProcessImport, wires: Wires, answer: bytes
) -> None:
    wires.source.behaviour.capabilities |= {"QRESYNC", "CONDSTORE", "ENABLE", "UNSELECT"}
    if answer:
        wires.source.behaviour.hollow["QRESYNC"] = answer
    wires.fill(1, first=60)
    in_process.to_the_end()
    wires.old.folder(b"INBOX").remove(4)
    in_process.to_the_end()
    assert deleted(in_process) == {"INBOX": UidSet.of([4])}
    assert exit_code(in_process) == 0
    assert [one for one in wires.source.commands if b"(QRESYNC (" in one.text]


@pytest.mark.parametrize(
    ("told", "believed"),
    [
        (b"* VANISHED (EARLIER) 4\r\n", True),
        (b"* VANISHED 5\r\n* OK [CLOSED] closed\r\n* VANISHED (EARLIER) 4\r\n", True),
        (b"* VANISHED 5\r\n", False),
        (b"* VANISHED (EARLIER) 4:5\r\n", False),
        (b"* VANISHED (EARLIER) 99\r\n", False),
    ],
)
def test_only_an_answer_that_accounts_for_each_message_is_believed(
    in_process: InProcessImport, wires: Wires, told: bytes, believed: bool
) -> None:
    """A server may first tell what went from the folder that was open before: that is about other messages."""
    wires.source.behaviour.capabilities |= {"QRESYNC", "CONDSTORE", "ENABLE", "UNSELECT"}
    wires.fill(1, first=60)
    in_process.to_the_end()
    wires.old.folder(b"INBOX").remove(4)
    wires.source.faults.add(preface(rb"^EXAMINE .*QRESYNC \(", told))
    before = len(wires.source.commands)
    in_process.to_the_end()
    assert deleted(in_process) == {"INBOX": UidSet.of([4])}
    assert any(one.name == b"UID SEARCH" for one in wires.source.commands[before:]) is not believed


# What must not count as a deletion


def hide(wires: Wires, *uids: int) -> None:
    """Lets the source count these messages of INBOX and show them no more."""
    fetching(wires.source, lambda them, end: b"".join(one for one in them if uid(one) not in uids) + end)
    searching(wires.source, lambda found: [one for one in found if one not in uids])


@pytest.mark.parametrize("more", ["nothing", "new mail", "a deletion"])
def test_what_is_counted_and_not_shown_is_not_deleted(in_process: InProcessImport, wires: Wires, more: str) -> None:
    hide(wires, 3, 4)
    if more == "new mail":
        wires.fill(1, first=20)
    elif more == "a deletion":
        wires.old.folder(b"INBOX").remove(5)
    in_process.to_the_end()
    assert deleted(in_process) == {}


@pytest.mark.parametrize("more", ["new mail", "a deletion"])
def test_without_that_comparison_it_would_be(
    in_process: InProcessImport, wires: Wires, more: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: not compared with the server's count, what is withheld would be called deleted."""
    monkeypatch.setattr(worker.following.deletions, "as_counted", lambda *_: True)
    found = worker.following.deletions.deleted
    monkeypatch.setattr(worker.planning.batch_planner, "deleted", lambda *given, whole: found(*given, whole=True))
    test = test_what_is_counted_and_not_shown_is_not_deleted
    with pytest.raises(AssertionError):
        test(in_process, wires, more)


def test_once_all_is_shown_the_deletion_is_noticed(in_process: InProcessImport, wires: Wires) -> None:
    hide(wires, 3)
    wires.old.folder(b"INBOX").remove(5)
    in_process.to_the_end()
    wires.source.faults.clear()
    in_process.to_the_end()
    assert deleted(in_process) == {"INBOX": UidSet.of([5])}


def test_a_folder_that_cannot_be_read_tells_nothing(in_process: InProcessImport, wires: Wires) -> None:
    inbox = wires.old.folder(b"INBOX")
    inbox.remove(5)
    inbox.selectable = False
    in_process.to_the_end()
    assert (deleted(in_process), in_process.tally().unreadable) == ({}, 1)
    inbox.selectable = True
    in_process.to_the_end()
    assert deleted(in_process) == {"INBOX": UidSet.of([5])}


@pytest.mark.parametrize("server", ["source", "destination"])
def test_a_folder_that_is_another_one_tells_nothing(in_process: InProcessImport, wires: Wires, server: str) -> None:
    inbox = wires.old.folder(b"INBOX")
    inbox.remove(5)
    in_process.to_the_end()
    assert deleted(in_process) == {"INBOX": UidSet.of([5])}
    inbox.remove(6)
    (inbox if server == "source" else wires.new.folder(b"INBOX")).uidvalidity += 1
    in_process.to_the_end()
    assert (deleted(in_process), in_process.outcomes()) == ({}, {"already_present": 10})


def test_what_never_had_a_copy_was_not_deleted(wires: Wires) -> None:
    wires.fill(12)
    in_process = InProcessImport(wires.source, wires.destination, options=Options(smaller=10))
    in_process.to_the_end()
    assert in_process.outcomes() == {"skipped": 12}
    wires.old.folder(b"INBOX").remove(5)
    in_process.to_the_end()
    assert deleted(in_process) == {}


def test_a_folder_from_which_nothing_went_costs_nothing(in_process: InProcessImport, wires: Wires) -> None:
    def asked() -> list[bytes]:
        before = len(wires.source.commands)
        in_process.to_the_end()
        return [command.name for command in wires.source.commands[before:] if command.name != b"LOGOUT"]

    in_process.to_the_end()
    quiet = asked()
    wires.old.folder(b"INBOX").remove(5)
    assert sorted(asked()) == sorted([*quiet, b"EXAMINE", b"UID SEARCH"])
    assert asked() == quiet
