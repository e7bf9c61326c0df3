"""Tests that somebody else who goes on bringing the same mail has the mailbox parked, and no message fails or comes twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.model import Failure
from shared.model.lifecycle import MailboxState, Outcome
from shared.testing.memory_mail import USUAL
from shared.testing.memory_sessions import MemoryDestination
from tests.crash.interruption import LOGIN, MemoryImport, numbered
from worker import unit_work
from worker.copying.copy import CopyRules
from worker.decisions.failures import ATTEMPTS, FOREIGN_WRITER, UNIT_ATTEMPTS

ONE_BY_ONE = CopyRules(group_messages=1, outstanding=0, settle_seconds=30.0)


class Stranger:
    """Another migration tool: it brings each message just before a lane does, as long as it runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs = True
        send = MemoryDestination.send

        def behind(destination: MemoryDestination, group: Any, flags: Any, token: object) -> None:
            if self.runs:
                for message in group:
                    destination._here().add(message.body, internaldate=message.internaldate)
            send(destination, group, flags, token)

        monkeypatch.setattr(MemoryDestination, "send", behind)


def begun() -> MemoryImport:
    in_process = MemoryImport(capabilities=USUAL - {"MULTIAPPEND"})
    for number in range(7):
        in_process.old.folder(LOGIN, b"INBOX").add(numbered(number), internaldate=1_700_000_000 + number)
    in_process.submit()
    return in_process


def state(in_process: MemoryImport) -> MailboxState:
    mailbox = in_process.store.mailbox(in_process.mailbox_id)
    assert mailbox is not None
    return mailbox.state


@pytest.mark.parametrize("patient", [True, False], ids=["patient", "control: halved as any other"])
def test_one_that_goes_on_stops_the_mailbox(monkeypatch: pytest.MonkeyPatch, patient: bool) -> None:
    if not patient:
        monkeypatch.setattr(unit_work, "_patience", lambda lease: ATTEMPTS)
    stranger, in_process = Stranger(monkeypatch), begun()
    in_process.to_the_end(rules=ONE_BY_ONE)
    codes = [one.code for one in in_process.store.failures(in_process.mailbox_id)]
    assert set(codes) == {FOREIGN_WRITER}
    assert (state(in_process) is MailboxState.PARKED) is patient
    assert in_process.tally()[Outcome.FAILED] == 0
    if not patient:
        return
    assert len(codes) == UNIT_ATTEMPTS
    assert not in_process.content(in_process.new) - in_process.content(in_process.old), "nothing is there twice"
    stranger.runs = False
    assert in_process.store.retry(in_process.request.import_id, in_process.mailbox_id, ())
    in_process.to_the_end(rules=ONE_BY_ONE)
    in_process.assert_exactly_once()


@pytest.mark.parametrize(("code", "attempts"), [(FOREIGN_WRITER, UNIT_ATTEMPTS), ("source_connection_lost", ATTEMPTS)])
def test_a_batch_that_kills_its_worker_is_halved_in_the_end(code: str, attempts: int) -> None:
    """The last failure stays that of the other writer, since a worker that is killed tells of none."""
    in_process = begun()
    lease = in_process.store.claim("worker/1")
    assert lease is not None
    failure = Failure(code=code, sentence="", detail="", advice="", at=0.0, folder="", times=1)
    assert unit_work._patience(replace(lease, mailbox=replace(lease.mailbox, failure=failure))) == attempts
