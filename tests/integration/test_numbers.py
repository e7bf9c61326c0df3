"""Tests servers that leave a number out (chatmail/core#5049): it is looked up elsewhere, and never taken for 0 or 1."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import pytest

from producer.show import document
from shared.mail import KnownStatus
from shared.mail.answers.numbers import known_statuses
from shared.mail.imap.imap_source import ImapSource
from tests.integration.in_process_import import LOGIN, InProcessImport, Wires, plain
from tests.servers.faults import reply, rewrite
from worker.decisions import folder_opening


def without(item: bytes) -> Callable[[bytes], bytes]:
    """Returns a function that removes this item from a STATUS answer; b"*" removes all items."""
    pattern = rb"\([^)]*\)(?=\r\n)" if item == b"*" else rb" ?\b" + item + rb" \d+"
    return lambda answer: re.sub(pattern, b"()" if item == b"*" else b"", answer)


ITEMS = [b"UIDNEXT", b"MESSAGES", b"UIDVALIDITY", b"HIGHESTMODSEQ", b"SIZE", b"*"]


def same(wires: Wires) -> bool:
    return wires.bodies() == wires.sent()


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    "word", [b"NO [NOPERM] not allowed here", b'* STATUS "INBOX" (MESSAGES -1 UIDNEXT 99999999999)']
)
def test_where_status_is_refused_or_makes_no_sense_folders_are_opened(wires: Wires, side: str, word: bytes) -> None:
    server = wires.source if side == "source" else wires.destination
    if word.startswith(b"NO"):
        server.faults.add(reply(b"^STATUS", word, times=None))
    else:
        server.faults.add(rewrite(b"^STATUS INBOX", lambda answer: word + b"\r\n" + answer.split(b"\r\n", 1)[1]))
    in_process = InProcessImport(wires.source, wires.destination)
    for count in (5, 6, 7):
        wires.fill(5 if count == 5 else 1, first=count)
        in_process.later(3600)
        in_process.to_the_end()
        assert in_process.mailbox().state == "complete"
        assert in_process.outcomes() == {"copied": count}
        assert same(wires)
    assert not in_process.failures()


@pytest.mark.parametrize("item", ITEMS)
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_status_without_a_number_hides_nothing_from_any_pass(wires: Wires, side: str, item: bytes) -> None:
    wires.fill(5)
    server = wires.source if side == "source" else wires.destination
    server.faults.add(rewrite(b"^STATUS", without(item)))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    wires.fill(3, first=6)
    in_process.later(3600)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 8}
    assert same(wires)
    in_process.later(3600)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 8}, "and the third finds nothing"
    assert not in_process.failures()


@pytest.mark.parametrize("opened", [True, False], ids=["opened", "control: believed"])
def test_a_folder_of_which_status_is_refused_is_opened(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, opened: bool
) -> None:
    if not opened:
        monkeypatch.setattr(folder_opening, "ServerRefused", LookupError)
        monkeypatch.setattr(folder_opening, "FolderRefused", LookupError)
    wires.fill(5)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    wires.source.faults.add(reply(b"^STATUS", b"NO not now", times=None))
    wires.fill(3, first=6)
    in_process.later(3600)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 8 if opened else 5}
    assert any(folder.unreadable for folder in in_process.every_folder()) is not opened


@pytest.mark.parametrize("side", ["source", "destination"])
def test_where_status_and_examine_disagree_about_the_uidvalidity_what_was_opened_counts(
    wires: Wires, side: str
) -> None:
    server = wires.source if side == "source" else wires.destination
    server.faults.add(
        rewrite(b"^STATUS", lambda answer: re.sub(rb"UIDVALIDITY \d", lambda found: found[0] + b"7", answer))
    )
    wires.fill(5)
    wires.fill(5, b"Work")
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    for number in (6, 7):
        wires.fill(1, first=number)
        wires.fill(1, b"Work", first=number)
        in_process.later(3600)
        in_process.to_the_end()
        assert in_process.outcomes() == {"copied": 2 * number}
        assert same(wires)
        assert wires.bodies(b"Work") == wires.sent(b"Work")
        assert in_process.mailbox().state == "complete"


@pytest.mark.parametrize("item", [b"UIDNEXT", b"UIDVALIDITY"])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_folder_opened_without_a_number_is_asked_for_it(wires: Wires, side: str, item: bytes) -> None:
    wires.fill(5)
    server = wires.source if side == "source" else wires.destination
    drop = re.compile(rb"\* OK \[" + item + rb" \d+\][^\r]*\r\n")
    server.faults.add(rewrite(b"^(EXAMINE|SELECT)", lambda answer: drop.sub(b"", answer)))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    wires.fill(3, first=6)
    in_process.later(3600)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 8}, "copied once, and recognised as the same folder"
    assert same(wires)


def test_no_number_at_all_is_said_by_anybody(wires: Wires) -> None:
    """Leaves UIDNEXT and UIDVALIDITY out of STATUS and EXAMINE.

    Every pass matches the folder again, and no message comes twice.
    """
    wires.fill(4)
    wires.source.faults.add(rewrite(b"^STATUS", without(b"*")))
    drop = re.compile(rb"\* OK \[(?:UIDNEXT|UIDVALIDITY) \d+\][^\r]*\r\n")
    wires.source.faults.add(rewrite(b"^EXAMINE", lambda answer: drop.sub(b"", answer)))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    wires.fill(2, first=5)
    in_process.later(3600)
    in_process.to_the_end()
    assert in_process.tally().messages == 6
    assert same(wires)


def test_a_lower_uidnext_proves_nothing(wires: Wires) -> None:
    """Lets STATUS report a lower UIDNEXT than before: the folder is opened and listed."""
    wires.fill(4)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    wires.fill(2, first=5)
    wires.old.folder(b"INBOX").announced_uidnext = 2
    in_process.later(3600)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 6}
    assert same(wires)


def never(answer: bytes) -> bytes:
    return re.sub(rb"\* \d+ EXISTS\r\n", b"", answer)


@pytest.mark.parametrize("side", ["source", "destination"])
def test_exists_that_comes_with_the_second_look(wires: Wires, side: str) -> None:
    wires.fill(3)
    (wires.source if side == "source" else wires.destination).faults.add(rewrite(b"^(EXAMINE|SELECT)", never, times=1))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3}
    assert same(wires)


def test_a_folder_whose_exists_never_comes_is_named_and_not_taken_for_empty(wires: Wires) -> None:
    wires.fill(3)
    wires.fill(2, b"Work", first=10)
    wires.source.faults.add(rewrite(rb"^EXAMINE .?INBOX", never))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    inbox, work = (next(f for f in in_process.every_folder() if f.source_name == name) for name in (b"INBOX", b"Work"))
    assert inbox.unreadable
    assert "EXISTS" in inbox.note
    assert not work.unreadable
    assert wires.bodies(b"Work") == wires.sent(b"Work")


def test_statuses_are_whole_wherever_the_numbers_come_from(wires: Wires) -> None:
    wires.fill(2)
    wires.old.folder(b"Work").add(plain(9))
    wires.source.faults.add(rewrite(rb"^STATUS .?INBOX", without(b"*")))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.submit()
    source = ImapSource(in_process.open("source", LOGIN))
    found = known_statuses(source, [b"INBOX", b"Work", b"none"])
    source.close()
    assert [status.messages for status in found if isinstance(status, KnownStatus)] == [2, 1]
    assert isinstance(found[2], Exception)
    asked = Counter(command.name for command in wires.source.commands)
    assert asked[b"EXAMINE"] == 2, "only what STATUS did not tell is opened"


def test_what_a_run_did_is_never_below_zero(wires: Wires) -> None:
    """Changes UIDVALIDITY: the folder is planned again and its mail recognised, and that run copied nothing."""
    wires.fill(5)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    first = in_process.tally()
    wires.old.folder(b"INBOX").uidvalidity += 1
    wires.fill(2, first=6)
    in_process.later(3600)
    in_process.to_the_end()
    did = document.since(in_process.tally(), first)
    assert in_process.outcomes() == {"already_present": 5, "copied": 2}, (
        "of the first run nothing is counted as copied any more"
    )
    assert (did["copied"], did["already_present"]) == (2, 5)
    assert min(did.values()) >= 0
