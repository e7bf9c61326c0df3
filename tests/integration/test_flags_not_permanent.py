"""Tests destination folders that refuse flags which are not permanent there: the messages arrive without these, and it is told."""

from __future__ import annotations

import pytest

import worker.copying.copy
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import preface, reply
from tests.servers.imap_syntax import Command

#: A keyword is no flag that a person would miss; a folder that takes none does not list it.
FLAGGED = rb"^APPEND .*Flagged"


def filled(wires: Wires) -> None:
    wires.new.folder(b"INBOX").permanentflags = (b"\\Seen",)
    for number in range(1, 13):
        flags = [b"\\Seen", b"\\Flagged"] if number % 4 == 0 else [b"\\Seen"]
        wires.old.folder(b"INBOX").add(plain(number), flags)


@pytest.mark.parametrize("answer", [b"BAD \\Flagged is no flag", b"NO [CANNOT] no such flag", b"NO not that flag"])
@pytest.mark.parametrize("multiappend", [True, False])
@pytest.mark.parametrize("protected", [True, False])
def test_what_the_folder_does_not_keep_is_left_behind_and_told(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, answer: bytes, *, multiappend: bool, protected: bool
) -> None:
    if not protected:
        monkeypatch.setattr(worker.copying.copy, "doubtful_flags", lambda flags, permanent: ())
    if not multiappend:
        wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
    filled(wires)
    wires.destination.faults.add(reply(FLAGGED, answer, times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert (in_process.outcomes() == {"copied": 12}) is protected
    if protected:
        assert wires.bodies() == wires.sent()
        assert {m.flags for m in wires.new.folder(b"INBOX").messages} == {(b"\\Seen",)}
        assert set(in_process.noted("keywords_lost")) == {4, 8, 12}
        assert all("\\Flagged" in reason for reason in in_process.noted("keywords_lost").values())


def test_a_later_change_of_it_is_not_asked_for(wires: Wires) -> None:
    filled(wires)
    wires.source.behaviour.capabilities -= {"CONDSTORE", "QRESYNC"}
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    wires.destination.faults.add(reply(rb"STORE .*Answered", b"BAD no such flag", times=None))
    wires.old.folder(b"INBOX").change(1, [b"\\Answered"])
    in_process.to_the_end()
    assert in_process.mailbox().state == "complete"
    (copy,) = [m for m in wires.new.folder(b"INBOX").messages if m.body == plain(1)]
    assert copy.flags == (), "what it keeps follows"


@pytest.mark.parametrize("answer", [b"BAD no flags here", b"NO [CANNOT] no flags here"])
@pytest.mark.parametrize("protected", [True, False])
def test_a_folder_that_keeps_no_flags_and_refuses_them_gets_the_mail_without(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, answer: bytes, *, protected: bool
) -> None:
    filled(wires)
    wires.new.folder(b"INBOX").permanentflags = ()
    wires.destination.faults.add(reply(rb"^APPEND .*\\", answer, times=None))
    wires.destination.faults.add(reply(rb"^UID STORE", answer, times=None))
    if not protected:
        usual = worker.copying.copy.doubtful_flags
        monkeypatch.setattr(
            worker.copying.copy, "doubtful_flags", lambda flags, permanent: usual(flags, permanent | {"\\Seen"})
        )
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert (in_process.outcomes() == {"copied": 12}) is protected
    if protected:
        assert wires.bodies() == wires.sent()
        wires.old.folder(b"INBOX").change(1, [b"\\Answered"])
        in_process.later(100)
        in_process.to_the_end()
        assert in_process.mailbox().state == "complete"


@pytest.mark.parametrize("now", [(b"\\Seen",), ()])
@pytest.mark.parametrize("protected", [True, False])
def test_what_a_folder_keeps_may_change_while_it_is_open(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, now: tuple[bytes, ...], *, protected: bool
) -> None:
    """The destination refuses what it kept before: the next attempt opens the folder anew, and is told what it keeps."""
    if not protected:
        monkeypatch.setattr(worker.copying.copy, "doubtful_flags", lambda flags, permanent: ())
    filled(wires)
    inbox = wires.new.folder(b"INBOX")
    inbox.permanentflags = (b"\\Seen", b"\\Flagged", b"\\*")

    def changed(command: Command) -> bytes:
        inbox.permanentflags = now
        return b"* OK [PERMANENTFLAGS (%b)] changed\r\n" % b" ".join(now)

    wires.destination.faults.add(preface(rb"^APPEND", changed))
    wires.destination.faults.add(reply(FLAGGED, b"BAD \\Flagged is no flag", times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert (in_process.outcomes() == {"copied": 12}) is protected
    if protected:
        assert wires.bodies() == wires.sent()
        assert list(in_process.noted("keywords_lost")) == [12]
