"""Tests that copies are told of which the destination did not keep the flags, though it answered OK to them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

import worker.verifying.verify
from shared.model import Options
from shared.model.choices import LabelMode, Verification
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Wires, plain
from tests.integration.test_disk_full import disk_of
from tests.servers.dovecot import Dovecot, available
from tests.servers.faults import reply
from tests.servers.faulty import FaultyServer
from tests.servers.gmail import Gmail
from tests.servers.wire import Wire
from worker.copying.copy import BatchCopy, CopyRules
from worker.copying.forgotten_flags import ForgottenFlags

INBOX = b"\\Inbox"

Flags = tuple[bytes, ...]


def flags_by_subject(server: Dovecot) -> dict[bytes, frozenset[bytes]]:
    """Returns the flags of each message of INBOX as a session shows them that has just begun."""
    with Wire(server.host, server.port, LOGIN, PASSWORD) as wire:
        wire.command(b"SELECT INBOX")
        answers, _ = wire.command(b"UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        lines = [(one.line, one.literals) for one in answers if b" FETCH " in one.line]
    return {
        literals[0].split(b":")[1].strip(): frozenset(line.split(b"FLAGS (")[1].split(b")")[0].split()) - {b"\\Recent"}
        for line, literals in lines
    }


def deliver(server: Dovecot, number: int, flags: bytes) -> None:
    """Puts one message of its own subject into INBOX."""
    body = b"Subject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\nbody\r\n" % (number, number)
    with Wire(server.host, server.port, LOGIN, PASSWORD) as wire:
        wire.command(b"APPEND INBOX (%b) {%d+}\r\n%b" % (flags, len(body), body))


def nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the looks at flags away."""
    monkeypatch.setattr(ForgottenFlags, "amiss", lambda *_: ())
    monkeypatch.setattr(worker.verifying.verify, "flags_amiss", lambda *_: ())


def full_disk(pages: int) -> tuple[InProcessImport, set[int]]:
    """Imports messages with new keywords onto a disk with so many pages left. Returns the UIDs of those that lack theirs."""
    with Dovecot() as source, Dovecot() as destination, disk_of(destination, "8m") as disk:
        for server in (source, destination):
            server.add_user(LOGIN, PASSWORD)
        deliver(source, 1, b"old")
        in_process = InProcessImport(source, destination)
        in_process.to_the_end()
        for number in (2, 3, 4):
            deliver(source, number, b"\\Seen k%d" % number)
        room = shutil.disk_usage(disk).used + pages * 4096
        subprocess.run(["mount", "-o", f"remount,size={room}", str(disk)], check=True)
        in_process.to_the_end()
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        in_process.to_the_end()
        assert in_process.outcomes() == {"copied": 4}
        sent, kept = flags_by_subject(source), flags_by_subject(destination)
        return in_process, {int(subject) for subject in sent if sent[subject] != kept[subject]}


@pytest.mark.skipif(not available(), reason="needs Dovecot")
@pytest.mark.parametrize("pages", [1, 2, 4])
@pytest.mark.parametrize("protected", [True, False])
def test_keywords_that_dovecot_forgot_on_a_full_disk_are_told(
    monkeypatch: pytest.MonkeyPatch, pages: int, *, protected: bool
) -> None:
    if not protected:
        nothing_is_told(monkeypatch)
    in_process, lacking = full_disk(pages)
    assert lacking, "Dovecot kept all keywords"
    noted = in_process.noted("keywords_lost")
    assert set(noted) == (lacking if protected else set())
    assert in_process.tally().keywords_lost == len(noted)
    assert all(f"without: k{uid}" in reason for uid, reason in noted.items())


@pytest.mark.skipif(not available(), reason="needs Dovecot")
def test_the_session_that_sent_them_would_show_them_from_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of opening the folder anew: nothing was refused, and nothing is told without it."""
    monkeypatch.setattr(ForgottenFlags, "unsure", lambda *_: False)
    in_process, lacking = full_disk(4)
    assert lacking
    assert not in_process.noted("keywords_lost")


# -- servers that keep less than they are sent, or mix it up


def without(*names: bytes) -> Callable[[Flags], Flags]:
    return lambda flags: tuple(flag for flag in flags if flag.lower() not in names)


def mixed_up(flags: Flags) -> Flags:
    """Gives each message with a keyword that of another."""
    other = {b"work": b"private", b"private": b"work"}
    return tuple(other.get(flag, flag) for flag in flags)


def filled(wires: Wires) -> None:
    for number in range(1, 9):
        keyword = (b"work", b"private", b"$Forwarded", b"")[number % 4]
        wires.old.folder(b"INBOX").add(plain(number), [b"\\Seen", *filter(None, [keyword])])


#: What the server does to flags → the messages that are told, and what is said of each.
CASES: list[tuple[Callable[[Flags], Flags], dict[int, str], str]] = [
    (without(b"$forwarded"), dict.fromkeys((2, 6), "without: $Forwarded"), ""),
    (without(b"work", b"private"), {1: "private", 5: "private", 4: "work", 8: "work"}, "without"),
    (mixed_up, {1: "with: work", 5: "with: work", 4: "with: private", 8: "with: private"}, "not sent with"),
    (lambda flags: (*flags, b"unknown-3"), dict.fromkeys(range(1, 9), "with: unknown-3"), ""),
    (lambda flags: (*flags, b"Work"), dict.fromkeys((1, 2, 3, 5, 6, 7), "with: Work"), ""),
    (lambda flags: (*flags, b"\\Flagged", b"\\Answered", b"NonJunk"), {}, ""),  # a person, or a filter
    (lambda flags: tuple(flag.upper() for flag in reversed(flags)), {}, ""),
    (without(b"\\seen"), {}, ""),  # set afterwards, as Exchange's \Flagged
]


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("multiappend", [True, False])
@pytest.mark.parametrize("protected", [True, False])
def test_flags_that_a_server_did_not_keep_are_told(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, case: int, *, multiappend: bool, protected: bool
) -> None:
    alter, expected, words = CASES[case]
    if not protected:
        nothing_is_told(monkeypatch)
    if not multiappend:
        wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
    filled(wires)
    wires.destination.behaviour.append.alter_flags = alter
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    in_process.to_the_end()
    noted = in_process.noted("keywords_lost")
    assert in_process.outcomes() == {"copied": 8}
    assert set(noted) == (set(expected) if protected else set())
    assert all(expected[uid] in reason and words in reason for uid, reason in noted.items())
    assert in_process.tally().keywords_lost == len(noted)
    assert not in_process.tally().altered


def test_a_system_flag_that_stays_away_is_told_once_and_no_more_than_others(wires: Wires) -> None:
    """The server keeps no flags at all: it says OK to STORE as well, and changes nothing."""
    filled(wires)
    wires.destination.behaviour.append.alter_flags = lambda flags: ()
    wires.destination.faults.add(reply(rb"^UID STORE", b"OK done", times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    noted = in_process.noted("keywords_lost")
    assert set(noted) == set(range(1, 9))
    assert noted[3].endswith("without: \\Seen")
    assert noted[2].endswith("without: \\Seen $Forwarded")


def test_what_the_folder_cannot_hold_is_not_told_twice(wires: Wires) -> None:
    """The folder names the one keyword that it takes, and forgets that one, too."""
    filled(wires)
    wires.new.folder(b"INBOX").permanentflags = (b"\\Seen", b"work")
    wires.destination.behaviour.append.alter_flags = without(b"work")
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    noted = in_process.noted("keywords_lost")
    assert {uid for uid, reason in noted.items() if "cannot hold" in reason} == {1, 2, 5, 6}
    assert {uid for uid, reason in noted.items() if "without: work" in reason} == {4, 8}
    assert in_process.tally().keywords_lost == 6


# -- copies of an attempt that was broken off, and verification


def broken_off(wires: Wires, alter: Callable[[Flags], Flags]) -> InProcessImport:
    """Imports into a server that takes half of the messages, then none for a pass."""
    filled(wires)
    behaviour = wires.destination.behaviour
    behaviour.append.alter_flags = alter
    behaviour.append.refuse = lambda message: b"[OVERQUOTA] full" if len(wires.new.folder(b"INBOX").uids) >= 4 else None
    rules = CopyRules(group_messages=2, outstanding=1)
    in_process = InProcessImport(wires.source, wires.destination, copy_rules=rules)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 4, "pending": 4}
    behaviour.append.refuse = None
    return in_process


@pytest.mark.parametrize("protected", [True, False])
def test_keywords_of_copies_of_an_attempt_that_was_broken_off_are_told(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    if not protected:
        nothing_is_told(monkeypatch)
    in_process = broken_off(wires, without(b"private"))
    in_process.to_the_end()
    noted = in_process.noted("keywords_lost")
    assert in_process.outcomes() == {"copied": 8}
    assert set(noted) == ({1, 5} if protected else set())
    assert all("without: private" in reason for reason in noted.values())
    assert in_process.tally().keywords_lost == len(noted)


@pytest.mark.parametrize("protected", [True, False])
def test_keywords_of_what_was_not_read_back_are_told_by_verification(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    """A server that breaks off each time it is asked is not asked until verification."""
    monkeypatch.setattr(BatchCopy, "_read_back", lambda *_: False)
    if not protected:
        monkeypatch.setattr(worker.verifying.verify, "flags_amiss", lambda *_: ())
    filled(wires)
    wires.destination.behaviour.append.alter_flags = mixed_up
    in_process = InProcessImport(wires.source, wires.destination)
    for _ in range(2):
        in_process.to_the_end()
        noted = in_process.noted("keywords_lost")
        assert noted.keys() == ({1, 4, 5, 8} if protected else set())
        assert in_process.tally().keywords_lost == len(noted)


@pytest.mark.parametrize("mode", [Verification.ANEW, Verification.FULL])
def test_verifying_tells_keywords_without_a_name_and_blames_nobody_for_the_rest(
    wires: Wires, mode: Verification
) -> None:
    """People may have changed a copy since it was read back, but nobody gives a keyword a number for its name."""
    filled(wires)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    inbox = wires.new.folder(b"INBOX")
    inbox.change(inbox.uids[0], [b"\\Seen"])  # a person took the keyword away
    inbox.change(inbox.uids[1], [b"\\Seen", b"unknown-0"])
    inbox.permanentflags = (b"\\Seen", b"work", b"private", b"unknown-0", b"\\*")
    in_process.options = Options(verify=mode, same_mailbox=True)
    for _ in range(2):
        in_process.to_the_end()
        assert in_process.noted("keywords_lost").keys() == {2}
        assert in_process.tally().keywords_lost == 1
    assert "unknown-0" in in_process.noted("keywords_lost")[2]


@pytest.mark.parametrize("protected", [True, False])
def test_a_copy_that_was_there_before_and_has_a_keyword_without_a_name_is_told(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    """Another run of mailhaul brought it onto a full disk, and of that nothing is left but the copies."""
    if not protected:
        nothing_is_told(monkeypatch)
    filled(wires)
    inbox = wires.new.folder(b"INBOX")
    for number, flags in enumerate(((), (b"unknown-0",), (b"unknown-0", b"\\Seen"), (b"mine",)), start=1):
        inbox.add(plain(number), flags)
    inbox.permanentflags = (b"\\Seen", b"work", b"unknown-0", b"\\*")
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"already_present": 4, "copied": 4}
    noted = in_process.noted("keywords_lost")
    assert noted.keys() == ({2, 3} if protected else set())
    assert all("unknown-0" in reason and "without" not in reason for reason in noted.values()), "the rest was set"


def test_labels_that_become_keywords_are_told_too() -> None:
    with FaultyServer() as source, FaultyServer() as destination:
        account = Gmail(source, LOGIN, PASSWORD)
        destination.add_account(LOGIN, PASSWORD)
        destination.behaviour.append.alter_flags = without(b"work")
        for number, labels in enumerate(((INBOX, b"Work"), (INBOX,), (INBOX, b"Home"))):
            account.add(plain(number), *labels)
        in_process = InProcessImport(source, destination, options=Options(gmail_labels=LabelMode.KEYWORDS))
        in_process.to_the_end()
        assert ["without: Work" in reason for reason in in_process.noted("keywords_lost").values()] == [True]
