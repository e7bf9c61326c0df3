"""Tests mbox files of Dovecot as a destination: a group that is refused must not cost the folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.mail.imap.imap_appending import AppendSession
from tests.integration.in_process_import import PASSWORD, InProcessImport
from tests.servers.dovecot import Dovecot
from tests.servers.faulty import FaultyServer
from worker.copying.copy import CopyRules

LOGIN = "anna"
DATE = b"01-Jan-2020 00:00:00 +0000"
#: Flags of each message: Dovecot refuses a keyword with "]" and one of more than 50 bytes.
FLAGS: list[tuple[bytes, ...]] = [(), (b"$Forwarded",), (b"a[b", b"x]y"), (), (b"k" * 51,), (), (b"Work",), ()]


@pytest.fixture
def source() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        folder = server.add_account(LOGIN, PASSWORD).folder(b"Flags")
        for number, flags in enumerate(FLAGS):
            folder.add(b"Message-ID: <%d@x>\r\n\r\ntext %d\r\n" % (number, number), flags, DATE)
        yield server


@pytest.fixture
def mbox(dovecot: type[Dovecot]) -> Dovecot:
    server = dovecot(mail_format="mbox")
    server.add_user(LOGIN, PASSWORD)
    return server


@pytest.mark.parametrize("messages", [10, 3, 2, 1])
def test_a_refused_group_costs_nothing_but_keywords(source: FaultyServer, mbox: Dovecot, messages: int) -> None:
    rules = CopyRules(group_messages=messages, outstanding=3)
    in_process = InProcessImport(source, mbox, logins=(LOGIN,), copy_rules=rules)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": len(FLAGS)}
    assert in_process.held("destination").total() == len(FLAGS)


def test_appended_to_the_open_folder_the_mail_is_lost(
    source: FaultyServer, mbox: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the mbox file holds NULs then, and its messages are told as refused."""
    monkeypatch.setattr(AppendSession, "_step_out", lambda _: None)
    in_process = InProcessImport(source, mbox, logins=(LOGIN,))
    in_process.submit()
    in_process.work()
    assert in_process.outcomes().get("copied", 0) < len(FLAGS)
