"""Tests a destination with a full disk: mailboxes are parked as full, and the same command copies the rest later."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport
from tests.mail import Snapshot, make_mailbox, populate
from tests.servers.dovecot import Dovecot, available
from tests.servers.faulty import FaultyServer, Incoming
from tests.servers.wire import Wire
from worker.decisions import alike

MESSAGES = 60


@contextlib.contextmanager
def disk_of(destination: Dovecot, size: str) -> Iterator[Path]:
    """Mounts a file system of its own for the server's mail; skips the test without root."""
    where = destination.home / "mail"
    owner = where.stat()
    options = f"size={size},mode=755,uid={owner.st_uid},gid={owner.st_gid}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root and a file system of its own")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=False)


@pytest.mark.skipif(not available(), reason="needs Dovecot")
def test_a_full_disk_that_has_room_again_gets_the_rest() -> None:
    with Dovecot() as source, Dovecot() as destination, disk_of(destination, "2m") as disk:
        for server in (source, destination):
            server.add_user(LOGIN, PASSWORD)
        mail = make_mailbox(5, {"INBOX": MESSAGES}, size=60_000)
        populate(source.host, source.port, LOGIN, PASSWORD, mail)
        in_process = InProcessImport(source, destination)
        in_process.to_the_end()
        failure = in_process.mailbox().failure
        assert in_process.mailbox().state == "parked", in_process.outcomes()
        assert failure is not None
        assert failure.code in ("destination_over_quota", "destination_takes_nothing"), failure
        assert "refused" not in in_process.outcomes()
        assert 0 < in_process.outcomes()["copied"] < MESSAGES
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        in_process.to_the_end()
        assert in_process.mailbox().state == "complete"
        assert in_process.outcomes() == {"copied": MESSAGES}
        assert in_process.held("destination") == in_process.held("source"), "flags and keywords too"


def bodies(held: Snapshot) -> Counter[str]:
    """Returns the digests of the messages that an account holds."""
    found: Counter[str] = Counter()
    for message, times in held.items():
        found[message.sha256] += times
    return found


@pytest.mark.skipif(not available(), reason="needs Dovecot")
@pytest.mark.parametrize("protected", [True, False])
def test_what_does_not_fit_while_smaller_messages_do_comes_later(
    monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    if not protected:
        monkeypatch.setattr(alike.Alike, "_judge", lambda self, most: None)
        monkeypatch.setattr(alike, "_of_the_server", lambda error: False)
    with Dovecot() as source, Dovecot() as destination, disk_of(destination, "2m") as disk:
        for server in (source, destination):
            server.add_user(LOGIN, PASSWORD)
        mail = make_mailbox(5, {"INBOX": 40}, size=60_000)
        few = make_mailbox(6, {"INBOX": 40}, size=300)["INBOX"]
        mixed = [one for pair in zip(mail["INBOX"], few, strict=True) for one in pair]
        populate(source.host, source.port, LOGIN, PASSWORD, {"INBOX": mixed})
        in_process = InProcessImport(source, destination)
        in_process.to_the_end()
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        in_process.to_the_end()
        assert in_process.outcomes().get("refused", 0) == 0 or not protected, in_process.noted("refused")
        if protected:
            assert in_process.outcomes() == {"copied": 80}
            held, wanted = in_process.held("destination"), in_process.held("source")
            assert bodies(held) == bodies(wanted), "Dovecot may have forgotten keywords"


@pytest.mark.skipif(not available(), reason="needs Dovecot")
@pytest.mark.parametrize("pages", [1, 2])
def test_dovecot_says_ok_and_forgets_the_names_of_keywords(pages: int) -> None:
    """Proves whose fault it is that keywords are missing after the disk was full: it was sent them, and answered OK."""
    body = b"Subject: one\r\n\r\nbody\r\n"
    with Dovecot() as server, disk_of(server, "8m") as disk:
        server.add_user(LOGIN, PASSWORD)
        with Wire(server.host, server.port, LOGIN, PASSWORD) as wire:
            wire.command(b"CREATE Box")
            wire.command(b"APPEND Box (old) {%d+}\r\n%b" % (len(body), body))
        with Wire(server.host, server.port, LOGIN, PASSWORD) as wire:
            room = shutil.disk_usage(disk).used + pages * 4096
            subprocess.run(["mount", "-o", f"remount,size={room}", str(disk)], check=True)
            _, said = wire.command(b"APPEND Box (\\Flagged $Forwarded) {%d+}\r\n%b" % (len(body), body))
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        with Wire(server.host, server.port, LOGIN, PASSWORD) as wire:
            wire.command(b"SELECT Box")
            (answer,) = (one.line for one in wire.command(b"FETCH 2 (FLAGS)")[0] if b" FETCH " in one.line)
        assert said.startswith(b"[APPENDUID ")
        assert b"\\Flagged" in answer
        assert b"$Forwarded" not in answer
        assert b"unknown-1" in answer
        named = (server.mail_folder(LOGIN) / ".Box" / "dovecot-keywords").read_text().splitlines()
        assert named[:2] == ["0 old", "1 unknown-1"]
        assert "dovecot-keywords.lock) failed: No space left on device" in (server.home / "log").read_text()


@pytest.fixture
def faulty() -> Iterator[tuple[FaultyServer, FaultyServer]]:
    with FaultyServer() as source, FaultyServer() as destination:
        for server in (source, destination):
            server.add_account(LOGIN, PASSWORD)
        inbox = source.behaviour.accounts[LOGIN].folder("INBOX")
        for message in make_mailbox(5, {"INBOX": MESSAGES}, size=300)["INBOX"]:
            inbox.add(message.body, (b"\\Seen", b"work"))
        yield source, destination


WORDS = [
    b"[SERVERBUG] Internal error occurred. Refer to server log for more information.",
    b"[SERVERBUG] Not enough disk space",
    b"[UNAVAILABLE] Not enough disk space",
    b"could not write the message",
    b"Over quota",
]


class Disk:
    """A destination that accepts some messages and then refuses the others with these words."""

    def __init__(self, destination: FaultyServer, words: bytes, room: int) -> None:
        self.words, self.room = words, room
        self.destination = destination
        destination.behaviour.append.refuse = self

    def __call__(self, message: Incoming) -> bytes | None:
        held = len(self.destination.behaviour.accounts[LOGIN].folder("INBOX").uids)
        return self.words if held >= self.room else None


@pytest.mark.parametrize("multi", [True, False])
@pytest.mark.parametrize("words", WORDS)
def test_what_is_refused_for_want_of_room_comes_later(
    words: bytes, multi: bool, faulty: tuple[FaultyServer, FaultyServer]
) -> None:
    source, destination = faulty
    if not multi:
        destination.behaviour.capabilities.discard("MULTIAPPEND")
    disk = Disk(destination, words, 23)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert in_process.mailbox().state == "parked"
    assert in_process.mailbox().again_at > in_process.time
    assert "refused" not in in_process.outcomes()
    disk.room = MESSAGES
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES}
    copies = destination.behaviour.accounts[LOGIN].folder("INBOX").messages
    assert all(set(message.flags) == {b"\\Seen", b"work"} for message in copies)


@pytest.mark.parametrize("protected", [True, False])
def test_what_is_too_large_for_the_room_left_comes_later(
    faulty: tuple[FaultyServer, FaultyServer], monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    """Takes every message but the large ones, which are fewer than would show that nothing is taken."""
    source, destination = faulty
    inbox = source.behaviour.accounts[LOGIN].folder("INBOX")
    for message in make_mailbox(6, {"INBOX": 3}, size=5_000)["INBOX"]:
        inbox.add(message.body)
    for message in make_mailbox(7, {"INBOX": 20}, size=300)["INBOX"]:
        inbox.add(message.body)
    if not protected:
        monkeypatch.setattr(alike, "_of_the_server", lambda error: False)
    destination.behaviour.append.refuse = lambda message: WORDS[0] if len(message.body) > 3_000 else None
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    if not protected:
        assert in_process.outcomes()["refused"] == 3
        return
    failure = in_process.mailbox().failure
    assert failure is not None
    assert failure.code == "destination_takes_nothing"
    assert "takes others" in failure.sentence
    assert in_process.outcomes()["pending"] == 3
    destination.behaviour.append.refuse = lambda message: None
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES + 23}


def test_a_disk_that_was_full_from_the_start_gets_the_rest(faulty: tuple[FaultyServer, FaultyServer]) -> None:
    """The destination never took a message of this mailbox."""
    source, destination = faulty
    inbox = source.behaviour.accounts[LOGIN].folder("INBOX")
    for uid in list(inbox.uids)[3:]:
        inbox.remove(uid)
    disk = Disk(destination, WORDS[0], 0)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"pending": 3}
    disk.room = MESSAGES
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3}


def test_a_message_over_which_the_server_fails_is_told_in_the_end(faulty: tuple[FaultyServer, FaultyServer]) -> None:
    """Several looks show it; the looks at an earlier message count for no later one."""
    source, destination = faulty
    destination.behaviour.append.refuse = lambda message: WORDS[0] if b"poison" in message.body else None
    in_process = InProcessImport(source, destination)
    for refused, size in enumerate((5_000, 6_000)):
        source.behaviour.accounts[LOGIN].folder("INBOX").add(b"Subject: poison\r\n\r\n" + b"x" * size)
        for _ in range(alike.LOOKS):
            in_process.to_the_end()
            assert in_process.outcomes()["pending"] == 1
            assert in_process.mailbox().again_at > in_process.time
        in_process.to_the_end()
        assert in_process.outcomes() == {"copied": MESSAGES, "refused": refused + 1}
        assert in_process.mailbox().state == "complete"


def test_without_it_they_would_be_refused_for_good(
    faulty: tuple[FaultyServer, FaultyServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: without the check for a full disk the messages are refused for good."""
    source, destination = faulty
    monkeypatch.setattr(alike.Alike, "_judge", lambda self, most: None)
    monkeypatch.setattr(alike, "_of_the_server", lambda error: False)
    disk = Disk(destination, WORDS[0], 23)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    disk.room = MESSAGES
    in_process.to_the_end()
    assert in_process.outcomes()["refused"] > 0


def test_what_really_is_refused_stays_so(faulty: tuple[FaultyServer, FaultyServer]) -> None:
    source, destination = faulty
    odd = {message.body for message in source.behaviour.accounts[LOGIN].folder("INBOX").messages[10:30]}
    destination.behaviour.append.refuse = lambda message: b"[CANNOT] forbidden content" if message.body in odd else None
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES - 20, "refused": 20}
    assert in_process.mailbox().state == "complete"


def test_a_class_of_messages_that_is_refused_in_the_same_words_is_told_in_the_end(
    faulty: tuple[FaultyServer, FaultyServer],
) -> None:
    """Accepts other messages in between, so this is no full disk."""
    source, destination = faulty
    odd = {message.body for message in source.behaviour.accounts[LOGIN].folder("INBOX").messages[10:30]}
    destination.behaviour.append.refuse = lambda message: b"content rejected" if message.body in odd else None
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES - 20, "refused": 20}


def test_when_looking_again_brings_nothing_else_the_refusal_is_believed(
    faulty: tuple[FaultyServer, FaultyServer],
) -> None:
    source, destination = faulty
    odd = {message.body for message in source.behaviour.accounts[LOGIN].folder("INBOX").messages[40:]}
    destination.behaviour.append.refuse = lambda message: b"content rejected" if message.body in odd else None
    in_process = InProcessImport(source, destination, batch_messages=20)
    for _ in range(alike.LOOKS):
        in_process.to_the_end()
        assert in_process.mailbox().state == "parked"
        assert in_process.outcomes() == {"copied": MESSAGES - 20, "pending": 20}
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES - 20, "refused": 20}
    assert in_process.mailbox().state == "complete"
