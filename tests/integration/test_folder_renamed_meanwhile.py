"""Tests a source folder that its user renames or removes after it was planned and before it was copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.mail.imap.imap_destination import ImapDestination
from shared.model import REMOVED
from shared.model.choices import Verification
from shared.model.errors import ConnectionLost
from shared.model.sides import Side
from tests.integration.in_process_import import PASSWORD, InProcessImport
from tests.mail import make_mailbox, populate
from tests.servers.dovecot import Dovecot, available
from tests.servers.wire import Wire
from worker.copying.batch_folders import BatchFolders
from worker.decisions.failures import ATTEMPTS
from worker.verifying.verify import MailboxVerification

pytestmark = pytest.mark.skipif(not available(), reason="needs Dovecot")


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot() as source, Dovecot() as destination:
        yield source, destination


def _struck(
    pair: tuple[Dovecot, Dovecot], login: str, command: bytes, monkeypatch: pytest.MonkeyPatch
) -> InProcessImport:
    """Imports a mailbox whose user gives a command before the first batch is copied, and Work is opened ahead of its turn."""
    for server in pair:
        server.add_user(login, PASSWORD)
    source, destination = pair
    populate(source.host, source.port, login, PASSWORD, make_mailbox(7, {"INBOX": 5, "Work": 20}, size=300))
    in_process = InProcessImport(source, destination, logins=(login,), password=PASSWORD)
    opened, given = BatchFolders.open, []

    def meanwhile(self: BatchFolders) -> object:
        if not given:
            given.append(command)
            # Its session is not in the folder: Dovecot would let it read on.
            with Wire(source.host, source.port, login, PASSWORD) as wire:
                wire.command(command)
        return opened(self)

    monkeypatch.setattr(BatchFolders, "open", meanwhile)
    in_process.to_the_end()
    assert given
    return in_process


@pytest.mark.parametrize("protected", [True, False])
def test_what_is_renamed_is_copied_under_its_new_name(
    pair: tuple[Dovecot, Dovecot], monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    if not protected:
        monkeypatch.setattr(BatchFolders, "_opened_at_source", lambda self: self._source.open(self._folder.source_name))
    in_process = _struck(pair, f"renamed-{protected}@example.org", b"RENAME Work Job", monkeypatch)
    assert in_process.outcomes() == ({"copied": 25} if protected else {"copied": 5, "failed": 20})
    if protected:
        assert in_process.mailbox().state == "complete"
        assert in_process.held("destination") == in_process.held("source")


def test_what_is_removed_ends(pair: tuple[Dovecot, Dovecot], monkeypatch: pytest.MonkeyPatch) -> None:
    tried, opened = [], BatchFolders._opened_at_source

    def noted(self: BatchFolders) -> object:
        tried.append(self._folder.note)
        return opened(self)

    monkeypatch.setattr(BatchFolders, "_opened_at_source", noted)
    in_process = _struck(pair, "removed@example.org", b"DELETE Work", monkeypatch)
    assert tried.count(REMOVED) == ATTEMPTS, "what a plan did not find either is not planned anew"
    assert in_process.outcomes() == {"copied": 5, "vanished": 20}
    assert in_process.mailbox().state == "complete"


@pytest.mark.parametrize("arrives", [True, False])
def test_what_is_removed_while_copies_are_in_doubt_ends_too(pair: tuple[Dovecot, Dovecot], *, arrives: bool) -> None:
    login = f"doubtful-{arrives}@example.org"
    for server in pair:
        server.add_user(login, PASSWORD)
    source, destination = pair
    populate(source.host, source.port, login, PASSWORD, make_mailbox(7, {"Work": 20}, size=300))
    in_process = InProcessImport(source, destination, logins=(login,), password=PASSWORD)
    lost: list[bool] = []

    def breaking(session: ImapDestination) -> ImapDestination:
        send = session.send

        def broken(group: Any, flags: Any, token: Any) -> None:
            if lost:
                return send(group, flags, token)
            lost.append(True)
            if arrives:
                send(group, flags, token)
                list(session.answers(outstanding=0))
            with Wire(source.host, source.port, login, PASSWORD) as wire:
                wire.command(b"DELETE Work")
            session.close()
            raise ConnectionLost(Side.DESTINATION, "gone")

        session.send = broken  # type: ignore[method-assign]
        return session

    in_process.spoil = breaking
    in_process.to_the_end()
    assert lost
    assert in_process.outcomes() == {"vanished": 20}
    assert in_process.mailbox().state == "complete"
    assert in_process.held("destination").total() == (10 if arrives else 0)
    told = [
        reason for reason in in_process.noted("vanished").values() if "10 messages may stand in Work beside" in reason
    ]
    assert len(told) == (20 if arrives else 0), "each of the batch tells it"


@pytest.mark.parametrize("protected", [True, False])
def test_what_is_renamed_before_it_is_compared_is_planned_anew(
    pair: tuple[Dovecot, Dovecot], monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    """Has each message read on both sides: by then the folder has a new name at the source."""
    if not protected:
        monkeypatch.setattr(MailboxVerification, "_follow", lambda *_: None)
    login = f"compared-{protected}@example.org"
    for server in pair:
        server.add_user(login, PASSWORD)
    source, destination = pair
    populate(source.host, source.port, login, PASSWORD, make_mailbox(7, {"INBOX": 5, "Work": 20}, size=300))
    in_process = InProcessImport(source, destination, logins=(login,), password=PASSWORD)
    in_process.options = replace(in_process.options, verify=Verification.FULL)
    run, given = MailboxVerification.run, list[bool]()

    def meanwhile(self: MailboxVerification, planned: Any) -> object:
        if not given:
            given.append(True)
            with Wire(source.host, source.port, login, PASSWORD) as wire:
                wire.command(b"RENAME Work Job")
        return run(self, planned)

    monkeypatch.setattr(MailboxVerification, "run", meanwhile)
    in_process.to_the_end()
    mailbox = in_process.mailbox()
    if not protected:
        assert mailbox.failure is not None
        assert (mailbox.state, mailbox.failure.code) == ("parked", "source_folder_refused")
        return
    assert mailbox.state == "complete"
    assert {kept.folder for kept in in_process.held("destination")} == {b"INBOX", b"Job"}
    assert in_process.held("destination") == in_process.held("source")
