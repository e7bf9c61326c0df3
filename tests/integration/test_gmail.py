"""Tests Gmail's labels, from a small Gmail (`tests.servers.gmail`) into a real Dovecot.

Each message arrives in its folders, and none is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from producer.intake.foresee import foresee
from shared.mail import FolderListing
from shared.mail.imap.imap_source import ImapSource
from shared.model import Options
from shared.model.choices import LabelMode
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, plain
from tests.servers.dovecot import Dovecot
from tests.servers.faulty import FaultyServer
from tests.servers.gmail import ALL_MAIL, Gmail
from tests.servers.wire import Wire, quote

INBOX, SENT, STARRED, IMPORTANT, SPAM = b"\\Inbox", b"\\Sent", b"\\Starred", b"\\Important", b"\\Spam"
#: Labels of each message, whose number is its position.
MESSAGES: tuple[tuple[bytes, ...], ...] = (
    (INBOX,),
    (INBOX, b"Work"),
    (b"Work", b"Home/Bills"),
    (SENT,),
    (SENT, b"Home/Bills"),
    (),
    (IMPORTANT,),
    (STARRED, INBOX),
    (SPAM,),
    (b"Work",),
    (b"&BB8EQAQ+BDUEOgRC-",),
    (b"Two words",),
)


@pytest.fixture
def here(dovecot: Callable[..., Dovecot]) -> Dovecot:
    server = dovecot(mail_format="sdbox")
    server.add_user(LOGIN, PASSWORD)
    return server


@pytest.fixture
def gmail(faulty_server: FaultyServer) -> Gmail:
    return filled(faulty_server)


def filled(server: FaultyServer) -> Gmail:
    account = Gmail(server, LOGIN, PASSWORD)
    for number, labels in enumerate(MESSAGES):
        account.add(plain(number), *labels)
    return account


def import_(source: FaultyServer, destination: Dovecot, **options: object) -> InProcessImport:
    in_process = InProcessImport(source, destination, options=Options(**options))  # type: ignore[arg-type]
    in_process.to_the_end()
    return in_process


def held(server: Dovecot) -> dict[bytes, list[int]]:
    """Returns the numbers of the messages in each folder."""
    found = {}
    with Wire(server.host, server.port, LOGIN, PASSWORD) as wire:
        for name in wire.folders():
            wire.command(b"EXAMINE " + quote(name))
            answers, _ = wire.command(b"UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            numbers = sorted(int(lit.split(b":")[1]) for answer in answers for lit in answer.literals)
            if numbers:
                found[name] = numbers
    return found


def test_each_folder_gives_what_it_shows_and_all_mail_only_the_rest(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot
) -> None:
    in_process = import_(faulty_server, here)
    assert held(here) == {
        b"INBOX": [0, 1, 7],
        b"Work": [1, 2, 9],
        b"Home/Bills": [2, 4],
        b"[Gmail]/Sent Mail": [3, 4],
        b"[Gmail]/Starred": [7],
        b"[Gmail]/Important": [6],
        b"[Gmail]/Spam": [8],
        b"&BB8EQAQ+BDUEOgRC-": [10],
        b"Two words": [11],
        b"[Gmail]/All Mail": [5],
    }
    assert in_process.outcomes() == {"copied": 16, "skipped": 10}
    assert in_process.folders()["[Gmail]/All Mail"].skipped == "10 given by another folder (Gmail label)"
    before = held(here)
    in_process.later(3600)
    in_process.to_the_end()
    assert held(here) == before
    assert in_process.outcomes() == {"copied": 16, "skipped": 10}


def test_without_the_look_at_labels_everything_comes_twice(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot
) -> None:
    """The control of the test above: a server that does not announce that it is Gmail."""
    faulty_server.behaviour.capabilities.discard("X-GM-EXT-1")
    import_(faulty_server, here)
    assert held(here)[ALL_MAIL] == [n for n, labels in enumerate(MESSAGES) if SPAM not in labels]


@pytest.mark.parametrize("mode", ["primary", "keywords"])
def test_each_message_comes_once(faulty_server: FaultyServer, gmail: Gmail, here: Dovecot, mode: str) -> None:
    import_(faulty_server, here, gmail_labels=LabelMode(mode))
    found = held(here)
    assert Counter(n for numbers in found.values() for n in numbers) == Counter(range(len(MESSAGES)))
    assert found[b"INBOX"] == [0, 1, 7]
    assert found[b"[Gmail]/Sent Mail"] == [3, 4]
    if mode == "primary":
        assert (found[b"Home/Bills"], found[b"Work"], found[ALL_MAIL]) == ([2], [9], [5, 6])
    else:
        assert found[ALL_MAIL] == [2, 5, 6, 9, 10, 11]
        assert b"Work" not in found


def test_labels_become_keywords_and_stay_so_when_flags_change(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot
) -> None:
    in_process = import_(faulty_server, here, gmail_labels=LabelMode.KEYWORDS)

    def keywords() -> dict[int, set[str]]:
        seen = in_process.held("destination")
        by_body = {}
        for kept in seen:
            by_body[kept.sha256] = {flag for flag in kept.flags if not flag.startswith("\\")}
        import hashlib

        return {n: by_body[hashlib.sha256(plain(n)).hexdigest()] for n in range(len(MESSAGES))}

    wanted = {n: set[str]() for n in range(len(MESSAGES))} | {
        1: {"work"},
        2: {"work", "home/bills"},
        4: {"home/bills"},
        6: {"$important"},
        9: {"work"},
        10: {"&bb8eqaq+bdueogrc-"},
        11: {"two_words"},
    }
    assert keywords() == wanted
    for folder in (b"INBOX", ALL_MAIL):
        for uid in gmail.account.folder(folder).uids:
            gmail.account.folder(folder).change(uid, [b"\\Answered"])
        gmail.account.folder(folder)._uidnext += 1  # HIGHESTMODSEQ is computed from this
    in_process.later(3600)
    in_process.to_the_end()
    assert any("\\answered" in kept.flags for kept in in_process.held("destination"))
    assert keywords() == wanted


def test_a_label_hidden_from_imap_loses_nothing_and_is_named(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot
) -> None:
    gmail.hide(b"Work")
    in_process = import_(faulty_server, here)
    assert held(here)[ALL_MAIL] == [5, 9]
    assert b"Work" not in held(here)
    assert "hidden from IMAP" in in_process.folders()["[Gmail]/All Mail"].note
    assert "Work" in in_process.folders()["[Gmail]/All Mail"].note


@pytest.mark.parametrize("mode", ["folders", "primary"])
def test_a_folder_that_shows_only_its_newest_loses_nothing(
    faulty_server: FaultyServer, here: Dovecot, mode: str
) -> None:
    account = Gmail(faulty_server, LOGIN, PASSWORD)
    for number in range(8):
        account.add(plain(number), b"Work")
    account.cut_short(b"Work", 3)
    in_process = import_(faulty_server, here, gmail_labels=LabelMode(mode))
    assert held(here) == {b"Work": [5, 6, 7], ALL_MAIL: [0, 1, 2, 3, 4]}
    assert "shows 3 of 8" in in_process.folders()["Work"].note


def test_folders_that_are_left_out_do_not_come_back_through_all_mail_but_views_do(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot
) -> None:
    in_process = import_(faulty_server, here, exclude=("Two words",), skip_special=("important", "flagged", "junk"))
    found = held(here)
    assert found[ALL_MAIL] == [5, 6]
    assert b"Two words" not in found
    assert in_process.outcomes()["skipped"] == 9
    assert "left out" in in_process.folders()["[Gmail]/All Mail"].skipped
    # Selected after all, the folder comes, and All Mail stays as it was.
    in_process.options = Options()
    in_process.later(3600)
    in_process.to_the_end()
    assert held(here)[b"Two words"] == [11]
    assert held(here)[ALL_MAIL] == [5, 6]


def test_all_mail_hidden_is_said(faulty_server: FaultyServer, gmail: Gmail, here: Dovecot) -> None:
    gmail.account.folders.pop(ALL_MAIL)
    in_process = import_(faulty_server, here)
    assert "All Mail is hidden" in in_process.folders()["INBOX"].note
    assert held(here)[b"INBOX"] == [0, 1, 7]


def test_a_label_that_goes_before_its_folder_is_copied_is_found_by_the_next_pass(
    faulty_server: FaultyServer, gmail: Gmail, here: Dovecot
) -> None:
    """Leaves a message out of All Mail for the sake of a folder that then no longer shows it."""
    in_process = import_(faulty_server, here, exclude=("Work",))
    assert held(here)[ALL_MAIL] == [5]
    folder = gmail.account.folder(ALL_MAIL)
    for message in folder.messages:
        if message.body == plain(9):
            message.extra[b"X-GM-LABELS"] = b"()"
    in_process.later(3600)
    in_process.to_the_end()
    assert held(here)[ALL_MAIL] == [5, 9]


def test_a_rehearsal_says_the_same(faulty_server: FaultyServer, gmail: Gmail, here: Dovecot) -> None:
    gmail.hide(b"Work")
    in_process = import_(faulty_server, here)
    session = in_process.open("source", LOGIN)
    lines = foresee(ImapSource(session), FolderListing(prefix=b"", separator="/", folders=()), Options())
    copied = {line.source: line.messages for line in lines if not line.skip}
    planned = {
        folder.display: tally.messages - tally.outcomes.get("skipped", 0)  # type: ignore[call-overload]
        for folder, tally in in_process.store.folders(in_process.mailbox_id)
    }
    assert copied == planned
    everything = next(line for line in lines if line.source == "[Gmail]/All Mail")
    assert (everything.messages, everything.skipped_messages) == (2, 9)
    assert "hidden from IMAP" in everything.note
