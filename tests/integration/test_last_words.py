"""Tests what the operator reads when a mailbox is given up.

These are the server's own words, and an internal error only if it is one.
"""

from __future__ import annotations

import pytest

import worker.unit_work
from shared.model import UnitKind
from tests.integration.in_process_import import InProcessImport, Wires
from tests.servers.faults import close, reply
from worker.decisions.failures import UNIT_ATTEMPTS


@pytest.mark.parametrize(
    ("when", "answer", "code"),
    [
        (b"^LIST", b"BAD the index of user 4711 is broken", "source_protocol"),
        (b"^LIST", b"NO the index of user 4711 is broken", "source_folder_refused"),
    ],
)
def test_a_plan_that_fails_every_time_ends_with_what_the_server_said(
    wires: Wires, when: bytes, answer: bytes, code: str
) -> None:
    wires.fill(3)
    wires.source.faults.add(reply(when, answer, times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    failure = in_process.mailbox().failure
    assert in_process.mailbox().state == "parked"
    assert failure is not None
    assert failure.code == code
    assert failure.detail == "the index of user 4711 is broken"
    assert "mailhaul retry" in failure.advice
    assert wires.source.logins() <= UNIT_ATTEMPTS


def test_a_folder_that_fails_every_time_is_named_with_what_the_server_said(wires: Wires) -> None:
    wires.fill(3)
    wires.fill(2, b"Work")
    wires.source.faults.add(reply(b"^EXAMINE .?INBOX", b"BAD the index of user 4711 is broken", times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    (inbox,) = [folder for folder in in_process.every_folder() if folder.unreadable]
    assert inbox.source_name == b"INBOX"
    assert "the index of user 4711 is broken" in inbox.note
    assert in_process.outcomes() == {"copied": 2}
    assert wires.source.logins() <= 3 * UNIT_ATTEMPTS


def test_a_plan_whose_connection_is_closed_every_time_ends_with_that(wires: Wires) -> None:
    wires.fill(3)
    wires.source.faults.add(close(b"^LIST", times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    failure = in_process.mailbox().failure
    assert failure is not None
    assert (failure.code, failure.sentence) == ("source_connection_lost", "source: closed the connection")


def test_a_plan_that_nobody_lives_to_report_is_a_fault_of_ours(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def dies(*args: object) -> None:
        raise Killed

    wires.fill(3)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.submit()
    with monkeypatch.context() as patch:
        patch.setattr(worker.unit_work.MailboxPlan, "run", dies)
        for _ in range(UNIT_ATTEMPTS):
            with pytest.raises(Killed):
                in_process.work()
            in_process.later(120)
    in_process.to_the_end(submit=False)
    failure = in_process.mailbox().failure
    assert failure is not None
    assert failure.code == "fault"
    assert f"{UnitKind.PLAN} was begun {UNIT_ATTEMPTS} times" in failure.sentence
