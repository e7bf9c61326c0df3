"""Tests that each change the destination makes to a message is reported as what it is.

It is other content, another form, or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from shared.model import Audit, Note, Options
from shared.model.lifecycle import Outcome
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.dovecot import Dovecot
from tests.servers.faults import lost_ok
from tests.servers.faulty import FaultyServer
from tests.servers.pymap_server import PymapServer
from worker.copying import copy

#: A complete header of a message. The messages below add a body.
HEAD = b"From: a@example.org\r\nSubject: s\r\nMessage-ID: <%d@example.org>\r\nDate: Thu, 01 Jan 2015 00:00:00 +0000\r\n"


def message(number: int, body: bytes = b"text\r\n", fields: bytes = b"") -> bytes:
    return HEAD % number + fields + b"\r\n" + body


#: Messages that servers are known to change, as the source holds them.
NULS = message(1, b"a\0b" * 50 + b"\r\n")
NUL_IN_HEADER = message(2, fields=b"X-Odd: a\0b\r\n")
LATE_NUL = message(3, b"x" * 79 + b"\r\n" + b"".join(b"%076d\r\n" % n for n in range(9000)) + b"\0\r\n")
EIGHT_BIT_TO = message(4, fields="To: Кий <b@example.org>\r\n".encode("koi8-r"))
EIGHT_BIT_BODY = message(5, "Текст\r\n".encode("koi8-r"))
LARGE_EIGHT_BIT = message(6, b"".join(b"%076d\r\n" % n for n in range(9000)), "To: Кий\r\n".encode("koi8-r"))
BARE_LF = b"From: a@b\nSubject: nul\n\nab\n"
BARE_LF_NUL = b"From: a@b\nSubject: nul\n\na\0b\n"
FINAL_CR = message(9, b"text\r\nlast\r")
CR_ONLY = message(10).replace(b"\r\n", b"\r")
LARGE_CR_ONLY = message(11, b"".join(b"%076d\r\n" % n for n in range(9000))).replace(b"\r\n", b"\r")


def munged(body: bytes) -> bytes:
    """Returns the message as Cyrus stores it by default: 8-bit bytes of the header become X."""
    head, blank, rest = body.partition(b"\r\n\r\n")
    return re.sub(rb"[\x80-\xff]", b"X", head) + blank + rest


def as_dovecot(body: bytes) -> bytes:
    """Returns the message as Dovecot stores it: NUL becomes 0x80."""
    return body.replace(b"\0", b"\x80")


def with_lf_at_the_end(body: bytes) -> bytes:
    """Returns a message without any LF with one in the place of its last CR."""
    return body if b"\n" in body else body[:-1] + b"\n"


def stage_of(
    wires: Wires, *bodies: bytes, verify: str = "default", alter: Callable[[bytes], bytes] | None = None
) -> InProcessImport:
    for body in bodies:
        wires.old.folder(b"INBOX").add(body)
    wires.destination.behaviour.append.alter_body = alter
    return InProcessImport(wires.source, wires.destination, options=Options(verify=verify))


def told(in_process: InProcessImport) -> dict[str, set[int]]:
    """Returns the UIDs of the notes that are left, by kind."""
    found: dict[str, set[int]] = {}
    for note in in_process.notes():
        found.setdefault(note.what, set()).add(note.uid)
    return found


def again(in_process: InProcessImport, verify: str = "default") -> None:
    """Runs another pass of the same request."""
    in_process.options = replace(in_process.options, verify=verify)
    in_process.later(3600)
    in_process.to_the_end()


@pytest.mark.parametrize("verify", ["default", "anew", "full"])
@pytest.mark.parametrize("multiappend", [True, False])
def test_replaced_header_bytes_are_listed_wherever_they_stand(wires: Wires, verify: str, multiappend: bool) -> None:
    if not multiappend:
        wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
    in_subject = message(7, fields="X: Кий\r\n".encode("koi8-r")).replace(b"Subject: s", b"Subject: \xd0")
    bodies = (plain(20), EIGHT_BIT_TO, EIGHT_BIT_BODY, LARGE_EIGHT_BIT, plain(21), in_subject)
    in_process = stage_of(wires, *bodies, verify=verify, alter=munged)
    in_process.to_the_end()
    assert told(in_process) == {"altered": {2, 4, 6}}
    assert in_process.tally().altered == 3


@pytest.mark.parametrize("verify", ["default", "full"])
def test_replaced_nuls_are_listed(wires: Wires, verify: str) -> None:
    bodies = (plain(20), NULS, NUL_IN_HEADER, LATE_NUL, BARE_LF_NUL, BARE_LF)
    in_process = stage_of(wires, *bodies, verify=verify, alter=as_dovecot)
    in_process.to_the_end()
    assert told(in_process) == {"altered": {2, 3, 4, 5}}
    assert "50 NUL bytes" in in_process.noted("altered")[2]
    assert "1 NUL bytes" in in_process.noted("altered")[4]


@pytest.mark.parametrize("verify", ["default", "full"])
@pytest.mark.parametrize("body", [CR_ONLY, LARGE_CR_ONLY], ids=["whole", "in chunks"])
def test_other_ends_of_lines_that_end_with_cr_alone_are_listed(wires: Wires, verify: str, body: bytes) -> None:
    """go-imap shows other line ends there and tells the same size."""
    in_process = stage_of(wires, plain(20), body, FINAL_CR, verify=verify, alter=with_lf_at_the_end)
    in_process.to_the_end()
    assert told(in_process) == {"normalised": {2}}


@pytest.mark.parametrize("verify", ["default", "full"])
def test_what_is_kept_as_it_was_is_not_listed(wires: Wires, verify: str) -> None:
    bodies = (NULS, NUL_IN_HEADER, LATE_NUL, EIGHT_BIT_TO, LARGE_EIGHT_BIT, BARE_LF_NUL, FINAL_CR, CR_ONLY)
    in_process = stage_of(wires, *bodies, verify=verify)
    in_process.to_the_end()
    assert told(in_process) == {}
    assert (in_process.tally().altered, in_process.tally().normalised, in_process.tally().watched) == (0, 0, 0)


@pytest.mark.parametrize(("body", "alter"), [(NULS, as_dovecot), (EIGHT_BIT_TO, munged), (CR_ONLY, with_lf_at_the_end)])
def test_not_watched_it_would_pass(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, body: bytes, alter: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(copy, "seen_in", lambda _: "")
    in_process = stage_of(wires, body, alter=alter)
    in_process.to_the_end()
    assert told(in_process) == {}, "the control: without it, nobody is told"


def test_ordinary_mail_is_not_read_back(wires: Wires) -> None:
    in_process = stage_of(wires, *(plain(n) for n in range(30)), EIGHT_BIT_BODY)
    in_process.to_the_end()
    assert not [command for command in wires.destination.commands if b"BODY.PEEK[]" in command.line]


@pytest.mark.parametrize("verify", ["default", "full"])
def test_dovecot_and_what_it_changes(dovecot_pair: DovecotPair, verify: str) -> None:
    login = dovecot_pair.account()
    bodies = (plain(20), NULS, LATE_NUL, EIGHT_BIT_TO, BARE_LF, FINAL_CR, NUL_IN_HEADER, BARE_LF_NUL, LARGE_EIGHT_BIT)
    with FaultyServer() as source:
        account = source.add_account(login, dovecot_pair.password)
        for body in bodies:
            account.folder(b"INBOX").add(body)
        in_process = InProcessImport(
            source,
            dovecot_pair.destination,
            logins=(login,),
            password=dovecot_pair.password,
            options=Options(verify=verify),
        )
        in_process.to_the_end()
        assert told(in_process) == {"altered": {2, 3, 7, 8}, "normalised": {5, 6}}
        assert (in_process.tally().altered, in_process.tally().normalised) == (4, 2)
        assert "bytes instead of" in in_process.noted("normalised")[5]
        account.folder(b"INBOX").add(plain(99))
        again(in_process, verify)
        assert told(in_process) == {"altered": {2, 3, 7, 8}, "normalised": {5, 6}}, "another pass forgets nothing"
        assert in_process.outcomes() == {"copied": len(bodies) + 1}


def test_pymap_keeps_nuls_and_8_bit_headers(dovecot_pair: DovecotPair, pymap_server: PymapServer) -> None:
    login = dovecot_pair.account()
    pymap_server.add_user(login, dovecot_pair.password)
    with FaultyServer() as source:
        account = source.add_account(login, dovecot_pair.password)
        for body in (NULS, EIGHT_BIT_TO, plain(3)):
            account.folder(b"INBOX").add(body)
        in_process = InProcessImport(source, pymap_server, logins=(login,), password=dovecot_pair.password)
        in_process.to_the_end()
        held = {kept.sha256 for kept in in_process.held("destination")}
        same = held == {kept.sha256 for kept in in_process.held("source")}
        assert (told(in_process) == {}) is same
        assert in_process.tally().watched == 0


def overwrite(server: Dovecot, login: str, text: bytes, other: bytes) -> int:
    """Overwrites bytes of stored messages on disk with others of the same length. Returns how many messages changed."""
    changed = 0
    for path in Path(server.mail_folder(login)).rglob("*"):
        if path.is_file() and path.parent.name in ("cur", "new") and text in (stored := path.read_bytes()):
            path.write_bytes(stored.replace(text, other))
            changed += 1
    return changed


def test_content_found_altered_stays_told_until_it_is_gone(dovecot_pair: DovecotPair) -> None:
    login, destination = dovecot_pair.account(), dovecot_pair.destination
    with FaultyServer() as source:
        account = source.add_account(login, dovecot_pair.password)
        for number in range(5):
            account.folder(b"INBOX").add(message(number, b"the sum is %03d\r\n" % number))
        in_process = InProcessImport(source, destination, logins=(login,), password=dovecot_pair.password)
        in_process.to_the_end()
        assert told(in_process) == {}
        for number in range(3):
            assert overwrite(destination, login, b"sum is %03d" % number, b"sum is 99%d" % number) == 1
        again(in_process, "full")
        assert told(in_process) == {"altered": {1, 2, 3}}
        assert all("content differs" in reason for reason in in_process.noted("altered").values())
        # A pass that does not read the messages again keeps their notes, whatever else comes.
        again(in_process)
        account.folder(b"INBOX").add(message(9))
        again(in_process)
        assert told(in_process) == {"altered": {1, 2, 3}}
        assert in_process.tally().altered == 3
        # A full pass sees that the messages are right again.
        for number in range(3):
            overwrite(destination, login, b"sum is 99%d" % number, b"sum is %03d" % number)
        again(in_process, "full")
        assert told(in_process) == {}
        assert in_process.tally().altered == 0


def test_removed_stays_told_though_others_came(wires: Wires) -> None:
    in_process = stage_of(wires, *(plain(n) for n in range(10)))
    in_process.to_the_end()
    folder = wires.new.folder(b"INBOX")
    for uid in (2, 3):
        folder.remove(uid)
    for number in range(50, 60):
        folder.add(plain(number))
    wires.old.folder(b"INBOX").add(plain(77))
    for _ in range(2):
        again(in_process, "anew")
        again(in_process)
        assert (in_process.tally().missing, in_process.tally().removed) == (0, 2)
        assert told(in_process) == {"removed": {2, 3}}


def test_what_an_older_version_noted_is_told_apart(wires: Wires) -> None:
    in_process = stage_of(wires, plain(1), BARE_LF, message(3), alter=lambda body: re.sub(rb"\r?\n", b"\r\n", body))
    in_process.to_the_end()
    assert told(in_process) == {"normalised": {2}}
    (folder,) = [f for f in in_process.folders().values() if f.display == "INBOX"]
    lease_notes = (
        Note(uid=2, what="altered", reason="stored as 30 bytes instead of 27"),
        Note(uid=3, what="altered", reason="content differs (SHA-256 of canonical bytes)"),
    )
    row = in_process.store._rows.folders[folder.folder_id]
    in_process.store._audit(Audit(folder_id=folder.folder_id, verified="", altered=2, notes=lease_notes))
    assert row.counts["altered"] == 2
    again(in_process)
    assert told(in_process) == {"normalised": {2}, "altered": {3}}, "sizes are looked at anew, other bytes are believed"
    assert in_process.outcomes() == {Outcome.COPIED: 3}


def test_a_message_found_after_the_connection_broke_is_read_back(wires: Wires) -> None:
    for body in (plain(1), NULS, plain(2)):
        wires.old.folder(b"INBOX").add(body)
    wires.destination.behaviour.append.alter_body = as_dovecot
    wires.destination.faults.add(lost_ok(rb"^APPEND"))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3}
    assert told(in_process) == {"altered": {2}}
