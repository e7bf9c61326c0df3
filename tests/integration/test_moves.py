"""Tests that a later pass follows moves at the source, and does no more than that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

import worker.following.moves
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, Wires
from tests.integration.test_delta import BODY, WITHOUT_CONDSTORE, Both
from tests.integration.test_missing import exit_code
from tests.servers.dovecot import Dovecot
from tests.servers.faults import close, lost_ok, reply
from tests.servers.faulty_incomplete import fetching, searching, uid


@pytest.fixture(params=["CONDSTORE", "compared"])
def both(request: pytest.FixtureRequest, dovecot: Callable[..., Dovecot], dovecot_pair: DovecotPair) -> Both:
    """Returns servers of which the source has CONDSTORE, or not."""
    source, login = dovecot_pair.source, dovecot_pair.account()
    if request.param == "compared":
        source = dovecot(extra=f"imap_capability = {WITHOUT_CONDSTORE}")
        source.add_user(login, dovecot_pair.password)
    return Both(source, dovecot_pair.destination, login, dovecot_pair.password)


def told(in_process: InProcessImport) -> dict[str, int]:
    """Returns the counts that tell what people did."""
    tally = in_process.tally()
    counts = {
        "followed": tally.moved_at_source,
        "deleted": tally.deleted_at_source,
        "missing": tally.missing,
        "moved": tally.moved,
        "removed": tally.removed,
        "doubled": tally.doubled,
    }
    return {what: number for what, number in counts.items() if number}


def test_a_moved_message_is_moved_at_the_destination(both: Both) -> None:
    both.at(both.source, b"SELECT INBOX", b"MOVE 1:5 Work", b"MOVE 1:2 Work/deep")
    for _ in range(2):
        both.again()
        assert told(both.in_process) == {"followed": 7}
        assert exit_code(both.in_process) == 0
        both.assert_same()
        assert both.in_process.told.count(BODY + b")") == 0, "no body is fetched"


def test_into_a_new_folder_among_new_mail(both: Both) -> None:
    both.at(
        both.source, b"CREATE Archive", b"SELECT INBOX", b"COPY 20:25 Archive", b"MOVE 1:10 Archive", b"MOVE 1:2 Work"
    )
    both.again()
    assert told(both.in_process) == {"followed": 12}
    assert both.in_process.outcomes() == {"copied": 110 + 12 + 6}
    both.assert_same()
    both.again()
    assert told(both.in_process) == {"followed": 12}
    both.assert_same()


def test_a_message_is_followed_again_and_again(both: Both) -> None:
    for before, after in ((b"INBOX", b"Work"), (b"Work", b"INBOX"), (b"INBOX", b"Work/deep")):
        both.at(both.source, b"SELECT " + before, b"MOVE * " + after)
        both.again()
        both.assert_same()
    assert told(both.in_process) == {"followed": 3}


def test_flags_that_changed_with_the_move_come_too(both: Both) -> None:
    both.at(both.destination, b"SELECT INBOX", b"STORE 1:2 +FLAGS.SILENT (\\Flagged Mine)")
    both.at(both.source, b"SELECT INBOX", b"STORE 1:2 FLAGS.SILENT (\\Answered New)", b"MOVE 1:2 Work")
    both.again()
    assert told(both.in_process) == {"followed": 2}
    here = both.in_process.marks("destination")[b"Work"][1]
    last = [{flag.lower() for flag in here[uid][0]} for uid in sorted(here)[-2:]]
    assert last == [{"\\answered", "new", "\\flagged", "mine"}] * 2


def test_moved_and_deleted_in_one_pass(both: Both) -> None:
    both.at(both.source, b"SELECT INBOX", b"MOVE 1:3 Work", b"STORE 1:2 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    held = both.in_process.held("destination").total()
    both.again()
    assert told(both.in_process) == {"followed": 3, "deleted": 2}
    assert both.in_process.held("destination").total() == held


def test_what_its_user_took_away_does_not_come_back_in_another_folder(both: Both) -> None:
    both.at(
        both.destination,
        b"CREATE Mine",
        b"SELECT INBOX",
        b"MOVE 1:2 Mine",
        b"STORE 1 +FLAGS.SILENT (\\Deleted)",
        b"EXPUNGE",
    )
    both.again()
    held = both.in_process.held("destination").total()
    both.at(both.source, b"SELECT INBOX", b"MOVE 1:5 Work")
    for _ in range(2):
        both.again()
        assert both.in_process.tally().moved_at_source == 2, "only those that stood where we had put them"
        assert both.in_process.outcomes() == {"copied": 112, "skipped": 3}
        assert both.in_process.held("destination").total() == held
        assert exit_code(both.in_process) == 0
    assert len(both.in_process.marks("destination")[b"Mine"][1]) == 2
    assert "3 moved or removed by its user at the destination" in both.in_process.folders()["Work"].skipped


def test_with_copy_nothing_moves(both: Both) -> None:
    both.in_process.options = replace(both.in_process.options, moves="copy")
    both.at(both.source, b"SELECT INBOX", b"MOVE 1:5 Work")
    both.again()
    assert told(both.in_process) == {"deleted": 5}
    assert both.in_process.held("destination").total() == 115


def test_what_we_did_not_copy_is_not_moved(dovecot_pair: DovecotPair) -> None:
    both = Both(dovecot_pair.source, dovecot_pair.destination, dovecot_pair.account(), dovecot_pair.password)
    in_process = InProcessImport(both.source, both.destination, logins=(both.login,), password=both.password)
    in_process.to_the_end()  # a new state: everything is found at the destination
    assert in_process.outcomes() == {"already_present": 110}
    both.at(both.source, b"SELECT INBOX", b"MOVE 1:5 Work")
    in_process.later(3600)
    in_process.to_the_end()
    assert told(in_process) == {"deleted": 5}
    assert in_process.held("destination").total() == 115


# Servers that move in their own way


@pytest.fixture
def in_process(wires: Wires) -> InProcessImport:
    """Returns a stage on which twelve messages of INBOX and two of Work were copied."""
    wires.fill(12)
    wires.fill(2, b"Work", first=50)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    return in_process


def move(wires: Wires, *uids: int, into: bytes = b"Work") -> None:
    """Moves messages of INBOX at the source."""
    inbox = wires.old.folder(b"INBOX")
    for one in uids:
        message = inbox.get(one)
        assert message is not None
        inbox.remove(one)
        wires.old.folder(into).add(message.body, message.flags, message.internaldate)


def assert_same(wires: Wires) -> None:
    for name in (b"INBOX", b"Work"):
        assert wires.bodies(name) == wires.sent(name)


def test_a_server_that_says_no_uids_is_looked_at(in_process: InProcessImport, wires: Wires) -> None:
    wires.destination.behaviour.append.without_appenduid = True
    move(wires, 3, 4)
    in_process.to_the_end()
    assert told(in_process) == {"followed": 2}
    assert_same(wires)


@pytest.mark.parametrize("answer", [b"NO not now", b"BAD unknown command"])
def test_what_a_server_refuses_to_move_is_copied(in_process: InProcessImport, wires: Wires, answer: bytes) -> None:
    wires.destination.faults.add(reply(b"^UID MOVE", answer))
    move(wires, 3, 4)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 16}
    assert wires.bodies(b"Work") == wires.sent(b"Work")
    assert wires.bodies() - wires.sent() == Counter(
        message.body for message in wires.old.folder(b"Work").messages[-2:]
    ), "the first copies stay"
    refused = [words for _, _, name, words in in_process.left_out if name == "MOVE"]
    assert bool(refused) is answer.startswith(b"BAD")


def test_a_lost_answer_is_looked_for(in_process: InProcessImport, wires: Wires) -> None:
    wires.destination.faults.add(lost_ok(b"^UID MOVE", times=1))
    move(wires, 3, 4)
    in_process.to_the_end()
    assert told(in_process) == {"followed": 2}
    assert_same(wires)


def test_a_server_that_hangs_up_at_move_is_asked_no_more(in_process: InProcessImport, wires: Wires) -> None:
    wires.destination.faults.add(close(b"^UID MOVE"))
    move(wires, 3, 4)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 16}
    assert wires.bodies(b"Work") == wires.sent(b"Work")


@pytest.mark.parametrize("kind", ["withheld", "unreadable", "renumbered", "the folder it came from", "its own folder"])
def test_what_may_be_no_move_is_none(in_process: InProcessImport, wires: Wires, kind: str) -> None:
    inbox = wires.old.folder(b"INBOX")
    moved = inbox.get(5)
    assert moved is not None
    wires.old.folder(b"Work").add(moved.body, moved.flags, moved.internaldate)  # a copy: nothing went
    if kind == "withheld":
        fetching(wires.source, lambda them, end: b"".join(one for one in them if uid(one) != 5) + end)
        searching(wires.source, lambda found: [one for one in found if one != 5])
        inbox.remove(9)
    elif kind == "unreadable":
        inbox.remove(5)
        inbox.selectable = False
    elif kind == "renumbered":
        inbox.remove(5)
        inbox.uidvalidity += 1
    elif kind == "its own folder":
        inbox.remove(5)
        inbox.add(moved.body, moved.flags, moved.internaldate)
        wires.old.folder(b"Work").remove(wires.old.folder(b"Work").messages[-1].uid)
    in_process.to_the_end()
    assert in_process.tally().moved_at_source == 0
    assert not [command for command in wires.destination.commands if command.name == b"UID MOVE"]
    assert wires.bodies(b"INBOX")[moved.body] >= 1


def test_without_the_comparison_with_the_count_it_would_be_one(
    in_process: InProcessImport, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: a copy of a message that is only withheld would be moved away."""
    monkeypatch.setattr(worker.following.moves, "as_counted", lambda *_: True)
    with pytest.raises(AssertionError):
        test_what_may_be_no_move_is_none(in_process, wires, "withheld")


def test_a_pass_after_which_nothing_moved_asks_nothing_more(in_process: InProcessImport, wires: Wires) -> None:
    def asked() -> Counter[bytes]:
        before = [len(server.commands) for server in (wires.source, wires.destination)]
        in_process.to_the_end()
        servers = zip((wires.source, wires.destination), before, strict=True)
        commands = Counter(command.name for server, first in servers for command in server.commands[first:])
        del commands[b"LOGOUT"]
        return commands

    in_process.to_the_end()
    quiet = asked()
    move(wires, 3, 4)
    in_process.to_the_end()
    assert asked() == quiet
    wires.fill(1, first=90)  # new mail in one folder, and a message that went from the same
    wires.old.folder(b"INBOX").remove(5)
    assert not {b"UID SEARCH", b"UID MOVE"} & set(asked())
