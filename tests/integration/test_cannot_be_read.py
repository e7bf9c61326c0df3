"""Tests a source that ends the connection over a message that it cannot read: all other messages are copied.

Dovecot 2.3.19 answers with BYE where the size of such a message is asked for, and where the message is (measured).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence

import pytest

from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Wires
from tests.mail import make_mailbox, populate
from tests.servers.dovecot import Dovecot
from tests.servers.faults import reply
from tests.servers.faulty import Command
from tests.servers.imap_syntax import number_set
from worker.copying.copy import BatchCopy
from worker.planning.listing import Listing

FOLDERS = {"INBOX": 24, "Alpha": 5, "Zeta": 5}
BYE = b"* BYE FETCH failed: Internal error occurred. Refer to server log for more information."


def asked_for(uid: int) -> Callable[[Command], bool]:
    """Returns what tells whether a command asks for the size or the bytes of this message."""

    def asked(command: Command) -> bool:
        found = re.match(rb"UID FETCH (\S+) \(.*(RFC822\.SIZE|BODY\.PEEK)", command.text)
        return found is not None and uid in number_set(found[1], [uid])

    return asked


def with_unreadable(dovecot: Callable[..., Dovecot], broken: Sequence[int]) -> tuple[Dovecot, Dovecot]:
    """Returns a source that may not read these messages of its INBOX, and an empty destination."""
    source, destination = dovecot(), dovecot()
    for server in (source, destination):
        server.add_user(LOGIN, PASSWORD)
    populate(source.host, source.port, LOGIN, PASSWORD, make_mailbox(3, FOLDERS, 700))
    place = source.mail_folder(LOGIN)
    files = sorted(path for part in ("cur", "new") for path in (place / part).iterdir())
    for number in broken:
        os.chown(files[number], 0, 0)
        files[number].chmod(0)
    for index in place.glob("dovecot.index*"):
        index.unlink()  # they remember the sizes
    return source, destination


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
    assert again.held("destination") == in_process.held("destination"), "nothing comes twice after a loss of the state"
    assert again.folders()["INBOX"].unreadable


@pytest.mark.parametrize("searched", [True, False])
def test_no_size_is_asked_for_where_that_broke_the_connection(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, searched: bool
) -> None:
    if not searched:
        usual = Listing.__init__
        monkeypatch.setattr(Listing, "__init__", lambda *those, **_: usual(*those))
    for name in (b"INBOX", b"A", b"Z"):
        wires.fill(9, name)
    guilty = asked_for(7)
    wires.source.faults.add(
        reply(lambda command: guilty(command) and wires.opened(command) == b"INBOX", BYE, times=None)
    )
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    if not searched:
        assert in_process.outcomes() == {"copied": 18}
        assert in_process.folders()["INBOX"].unreadable
        return
    assert in_process.outcomes() == {"copied": 26, "failed": 1}
    assert list(in_process.noted("failed")) == [7]


@pytest.mark.parametrize("apart", [True, False])
def test_what_ends_the_connection_is_soon_set_apart(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, apart: bool
) -> None:
    """Counts the connections that three such messages of a batch cost. Without the protection it is halved, and halved again.

    The source gives nothing of the messages before them.
    """
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
