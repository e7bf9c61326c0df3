"""Tests when two Dovecots, or one, are taken for one mailbox by an import that knows nothing of it yet."""

from __future__ import annotations

import shutil
import subprocess

import pytest

import worker.sessions.ends
from shared.model import Options
from shared.model.lifecycle import MailboxState
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport
from tests.mail import make_mailbox, populate
from tests.servers.dovecot import Dovecot

COUNTS = {"INBOX": 6, "Work": 3}


def imported(source: Dovecot, destination: Dovecot, login: str, password: str) -> InProcessImport:
    """Runs an import that checks its ends."""
    in_process = InProcessImport(source, destination, logins=(login,), password=password)
    in_process.options = Options(same_mailbox=False)
    in_process.to_the_end()
    return in_process


def filled(pair: DovecotPair) -> tuple[str, str]:
    """Returns login and password of an account that both have, with the same mail and numbers, as by a copy of the disk."""
    login, password = pair.account(), pair.password
    for server, counts in ((pair.source, COUNTS), (pair.destination, {"INBOX": 1})):
        populate(server.host, server.port, login, password, make_mailbox(1, counts))
    there, here = pair.source.mail_folder(login), pair.destination.mail_folder(login)
    shutil.rmtree(here)
    subprocess.run(["cp", "-a", there, here], check=True)  # with its owner
    return login, password


def test_two_accounts_that_agree_in_every_number_are_two(dovecot_pair: DovecotPair) -> None:
    login, password = filled(dovecot_pair)
    in_process = imported(dovecot_pair.source, dovecot_pair.destination, login, password)
    assert in_process.mailbox().state is MailboxState.COMPLETE
    assert in_process.outcomes() == {"already_present": sum(COUNTS.values())}


def test_control_without_the_trial_they_are_taken_for_one(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.sessions.ends.Ends, "_shows_a_change", lambda *_: True)
    login, password = filled(dovecot_pair)
    failure = imported(dovecot_pair.source, dovecot_pair.destination, login, password).mailbox().failure
    assert failure is not None
    assert failure.code == "same_mailbox"


def test_one_account_is_one_and_stays_as_it_is(dovecot_pair: DovecotPair) -> None:
    login, password = filled(dovecot_pair)
    subscriptions = dovecot_pair.source.mail_folder(login) / "subscriptions"
    before = sorted(subscriptions.read_text().split())
    failure = imported(dovecot_pair.source, dovecot_pair.source, login, password).mailbox().failure
    assert failure is not None
    assert failure.code == "same_mailbox"
    assert sorted(subscriptions.read_text().split()) == before
