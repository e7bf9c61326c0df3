"""Tests a source that ends the connection over a message that it cannot read: all others are copied, or recognised.

Dovecot 2.3.19 answers with BYE where the size of such a message is asked for, and where the message is (measured).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from shared.mail import MailSource, Sighting
from shared.model.errors import ConnectionLost
from shared.model.uids import NO_UIDS, UidSet
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Wires
from tests.integration.test_missing import need_none
from tests.mail import make_mailbox, populate
from tests.resources import GivenResources
from tests.servers.dovecot import Dovecot
from tests.servers.faults import reply, rewrite
from tests.servers.faulty import Command
from tests.servers.imap_syntax import number_set
from worker.copying.adopt import Adoption
from worker.copying.copy import BatchCopy
from worker.sessions.mailbox_sessions import MailboxSessions
from worker.sessions.outlasting import OutlastingSource

FOLDERS = {"INBOX": 24, "Alpha": 5, "Zeta": 5}
BYE = b"* BYE FETCH failed: Internal error occurred. Refer to server log for more information."


def asked_for(uid: int) -> Callable[[Command], bool]:
    """Returns what tells whether a command asks for the size or the bytes of this message."""

    def asked(command: Command) -> bool:
        found = re.match(rb"UID FETCH (\S+) \(.*(RFC822\.SIZE|BODY\.PEEK)", command.text)
        return found is not None and uid in number_set(found[1], [uid])

    return asked


def with_unreadable(
    dovecot: Callable[..., Dovecot], broken: Sequence[int], inbox: int = FOLDERS["INBOX"]
) -> tuple[Dovecot, Dovecot]:
    """Returns a source that may not read these messages of its INBOX, and an empty destination."""
    source, destination = dovecot(), dovecot()
    for server in (source, destination):
        server.add_user(LOGIN, PASSWORD)
    populate(source.host, source.port, LOGIN, PASSWORD, make_mailbox(3, FOLDERS | {"INBOX": inbox}, 700))
    make_unreadable(source, broken)
    return source, destination


def make_unreadable(source: Dovecot, broken: Sequence[int]) -> list[Path]:
    """Takes the rights to read these messages of INBOX from the server, and returns their files."""
    place = source.mail_folder(LOGIN)
    files = sorted(path for part in ("cur", "new") for path in (place / part).iterdir())
    for number in broken:
        os.chown(files[number], 0, 0)
        files[number].chmod(0)
    for index in place.glob("dovecot.index*"):
        index.unlink()  # they remember the sizes
    return [files[number] for number in broken]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files that the server may not read")
@pytest.mark.parametrize("broken", [(23,), (0, 3, 4, 20)])
def test_a_dovecot_that_may_not_read_a_file(dovecot: Callable[..., Dovecot], broken: Sequence[int]) -> None:
    source, destination = with_unreadable(dovecot, broken)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    expected = {"copied": sum(FOLDERS.values()) - len(broken), "failed": len(broken)}
    assert in_process.outcomes() == expected
    assert all("Internal error occurred" in why for why in in_process.noted("failed").values()), "the server's words"
    in_process.later(100)
    in_process.to_the_end()
    assert in_process.outcomes() == expected, "a later pass"
    again = InProcessImport(source, destination)
    again.to_the_end()
    assert again.outcomes() == {"already_present": expected["copied"], "failed": len(broken)}, (
        "after a loss of the state"
    )
    assert again.held("destination") == in_process.held("destination"), "nothing comes twice"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files that the server may not read")
@pytest.mark.parametrize("looked_for", [True, False])
def test_what_can_be_read_again_is_recognised(
    dovecot: Callable[..., Dovecot], monkeypatch: pytest.MonkeyPatch, *, looked_for: bool
) -> None:
    """Loses the state while messages cannot be read that were copied before; `retry` brings them once they can be."""
    source, destination = with_unreadable(dovecot, ())
    InProcessImport(source, destination).to_the_end()
    files = make_unreadable(source, (3, 20))
    if not looked_for:
        monkeypatch.setattr(Adoption, "unread", NO_UIDS)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"already_present": 32, "failed": 2}
    for file in files:
        file.chmod(0o666)
    request = in_process.store.import_(in_process.import_id)
    assert request is not None
    need_none(in_process)
    GivenResources(store=in_process.store).operations.retry(request)
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == ({"already_present": 34} if looked_for else {"already_present": 32, "copied": 2})
    assert (in_process.held("destination") == in_process.held("source")) is looked_for, "once, or twice"


@pytest.mark.parametrize("outlasts", [True, False])
def test_what_ends_the_connection_is_left_out_of_the_sizes(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, outlasts: bool
) -> None:
    if not outlasts:
        monkeypatch.setattr(OutlastingSource, "_renew", raised)
    for name in (b"INBOX", b"A", b"Z"):
        wires.fill(9, name)
    guilty = asked_for(7)
    wires.source.faults.add(
        reply(lambda command: guilty(command) and wires.opened(command) == b"INBOX", BYE, times=None)
    )
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    if not outlasts:
        assert in_process.outcomes() == {"copied": 18}
        assert in_process.folders()["INBOX"].unreadable
        return
    assert in_process.outcomes() == {"copied": 26, "failed": 1}
    assert list(in_process.noted("failed")) == [7]


def raised(self: OutlastingSource, lost: ConnectionLost) -> None:
    """Stands for `OutlastingSource._renew` in a session that outlasts nothing."""
    raise lost


@pytest.mark.parametrize("apart", [True, False])
def test_what_ends_the_connection_is_soon_set_apart(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, apart: bool
) -> None:
    """Counts the connections that three such messages of a batch cost. Without the protection it is halved, and halved again.

    The source gives nothing of the messages before them.
    """
    monkeypatch.setattr(OutlastingSource, "_renew", raised)
    if not apart:
        monkeypatch.setattr(BatchCopy, "_set_first_apart", lambda *_: None)
    wires.fill(60)
    guilty = [asked_for(uid) for uid in (7, 30, 31)]
    wires.source.faults.add(
        reply(lambda command: b"BODY" in command.text and any(asked(command) for asked in guilty), BYE, times=None)
    )
    in_process = InProcessImport(wires.source, wires.destination, batch_messages=60)
    in_process.to_the_end(limit=90)
    assert in_process.outcomes() == {"copied": 57, "failed": 3}
    assert sorted(in_process.noted("failed")) == [7, 30, 31]
    assert (wires.source.connections <= 16) is apart, wires.source.connections


@pytest.mark.parametrize("outlasts", [True, False])
@pytest.mark.parametrize("kept_back", [True, False])
def test_many_in_a_row_cost_no_attempts(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, kept_back: bool, outlasts: bool
) -> None:
    """Counts the failures, since each of them is a wait. `kept_back`: the source gives nothing of the messages before them."""
    if not outlasts:
        monkeypatch.setattr(OutlastingSource, "_renew", raised)
    wires.fill(60)
    broken = range(20, 40)

    def guilty(command: Command) -> bool:
        return b"BODY.PEEK[]" in command.text and any(asked_for(uid)(command) for uid in broken)

    def ended(answer: bytes) -> bytes:
        of = next(
            one for one in re.finditer(rb"^\* \d+ FETCH \(UID (\d+) ", answer, re.MULTILINE) if int(one[1]) in broken
        )
        return answer[: of.start()] + BYE + b"\r\n"

    wires.source.faults.add(reply(guilty, BYE, times=None) if kept_back else rewrite(guilty, ended, times=None))
    in_process = InProcessImport(wires.source, wires.destination, batch_messages=60)
    in_process.to_the_end(limit=300)
    assert in_process.outcomes() == {"copied": 40, "failed": 20}
    assert sorted(in_process.noted("failed")) == list(broken)
    assert (len(in_process.failures()) <= 2) is outlasts, in_process.failures()
    if outlasts:
        assert wires.source.connections <= (70 if kept_back else 46)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files that the server may not read")
def test_a_dovecot_that_may_not_read_a_whole_folder(dovecot: Callable[..., Dovecot]) -> None:
    """Its messages fail by name after three attempts; `retry` brings them once they can be read."""
    source, destination = with_unreadable(dovecot, ())
    files = make_unreadable(source, range(FOLDERS["INBOX"]))
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 10, "failed": 24}
    assert len(in_process.noted("failed")) == 24
    assert all("Internal error occurred" in why for why in in_process.noted("failed").values()), "the server's words"
    assert len(in_process.failures()) <= 4
    for file in files:
        file.chmod(0o666)
    request = in_process.store.import_(in_process.import_id)
    assert request is not None
    need_none(in_process)
    GivenResources(store=in_process.store).operations.retry(request)
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": 34}
    assert in_process.held("destination") == in_process.held("source")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs files that the server may not read")
def test_a_dovecot_that_may_not_read_most_of_a_folder_that_is_compared(dovecot: Callable[..., Dovecot]) -> None:
    source, destination = with_unreadable(dovecot, (), 200)
    InProcessImport(source, destination).to_the_end()
    before = destination.mail_folder(LOGIN)
    for path in sorted((before / "cur").iterdir())[40:]:
        path.unlink()  # what the second import is to bring
    make_unreadable(source, range(50, 190))
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    found = in_process.outcomes()
    assert found["failed"] == 140
    assert found["copied"] + found["already_present"] == 70
    assert len(in_process.noted("failed")) == 140
    assert not in_process.folders()["INBOX"].unreadable
    assert len(list((before / "cur").iterdir())) + len(list((before / "new").iterdir())) >= 60


@pytest.mark.parametrize("bounded", [True, False])
def test_a_folder_of_which_nothing_is_given_is_soon_given_up(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, bounded: bool
) -> None:
    if not bounded:
        never = property(lambda self: False, lambda self, value: None)
        monkeypatch.setattr(MailboxSessions, "last_attempt", never, raising=False)
    wires.fill(40)
    wires.fill(9, b"Zeta")

    def guilty(command: Command) -> bool:
        return re.match(rb"UID FETCH .*BODY\.PEEK", command.text) is not None and wires.opened(command) == b"INBOX"

    wires.source.faults.add(reply(guilty, BYE, times=None))
    in_process = InProcessImport(wires.source, wires.destination, batch_messages=20)
    in_process.to_the_end(limit=400)
    assert in_process.outcomes() == {"copied": 9, "failed": 40}
    assert len(in_process.noted("failed")) == 40
    assert (wires.source.connections <= 30) is bounded, wires.source.connections


@pytest.mark.parametrize("bounded", [True, False])
def test_more_than_a_session_is_opened_anew_for(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, bounded: bool
) -> None:
    """Compares a folder with what the destination held before. Without the bound, nothing of the folder is copied."""

    def unbounded(
        self: OutlastingSource, uids: UidSet, *, full: bool = False, text_bytes: int = 0
    ) -> Iterator[Sighting]:
        def ask(session: MailSource, part: UidSet) -> Iterator[Sighting]:
            return session.sightings(part, full=full, text_bytes=text_bytes)

        return self._each("bytes" if full else "header", uids, ask)

    monkeypatch.setattr("worker.sessions.outlasting.MOST_REOPENED", 12)
    if not bounded:
        monkeypatch.setattr(OutlastingSource, "sightings", unbounded)
    wires.fill(90)
    for message in wires.old.folder(b"INBOX").messages[:10]:
        wires.new.folder(b"INBOX").add(message.body, list(message.flags), message.internaldate or b"")
    broken = range(31, 71)

    def guilty(command: Command) -> bool:
        return b"BODY.PEEK[" in command.text and any(asked_for(uid)(command) for uid in broken)

    wires.source.faults.add(reply(guilty, BYE, times=None))
    in_process = InProcessImport(wires.source, wires.destination, batch_messages=90)
    in_process.to_the_end(limit=100)
    if not bounded:
        assert in_process.folders()["INBOX"].unreadable
        return
    assert in_process.outcomes() == {"already_present": 10, "copied": 40, "failed": 40}
    assert sorted(in_process.noted("failed")) == list(broken)
    assert wires.bodies() == wires.sent() - wires_bodies(wires, broken)


def wires_bodies(wires: Wires, uids: Sequence[int]) -> Counter[bytes]:
    """Returns these messages of the source's INBOX."""
    return Counter(message.body for message in wires.old.folder(b"INBOX").messages if message.uid in uids)
