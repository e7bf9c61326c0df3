"""Has a Dovecot lose mail as a restored backup does: the messages are gone, and UIDNEXT went back."""

from __future__ import annotations

import imaplib
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.servers.dovecot import Dovecot


def lose(server: Dovecot, login: str, password: str, messages: str, verified: Callable[[], object]) -> None:
    """Restores a backup in which these messages of INBOX (a sequence set) are not.

    `verified` runs a pass between the backup and its restoration. UIDNEXT of the backup lies above every UID that was
    given to a copy and below that of the pass, so that later copies get UIDs of their own.
    """
    with tempfile.TemporaryDirectory() as folder:
        whole, without = Path(folder) / "whole", Path(folder) / "without"
        server.back_up(login, whole)
        _come_and_go(server, login, password, 1)
        _expunge(server, login, password, messages)
        server.back_up(login, without)
        server.restore(login, whole)
        _come_and_go(server, login, password, 2)
        verified()
        server.restore(login, without)


def _come_and_go(server: Dovecot, login: str, password: str, number: int) -> None:
    """Raises UIDNEXT: the user's own drafts come and go."""
    with imaplib.IMAP4(server.host, server.port) as session:
        session.login(login, password)
        for _ in range(number):
            session.append("INBOX", "", "", b"Subject: a draft\r\n\r\ntext\r\n")
        _, (held,) = session.select()
        assert held is not None
        last = int(held)
        session.store(f"{last - number + 1}:{last}", "+FLAGS.SILENT", r"\Deleted")
        session.expunge()


def _expunge(server: Dovecot, login: str, password: str, messages: str) -> None:
    with imaplib.IMAP4(server.host, server.port) as session:
        session.login(login, password)
        session.select()
        session.store(messages, "+FLAGS.SILENT", r"\Deleted")
        session.expunge()
