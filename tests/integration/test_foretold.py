"""Tests a lane that has the next folder opened before its turn, where something goes wrong meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from shared.mail.imap.imap_destination import ImapDestination
from shared.mail.imap.imap_source import ImapSource
from shared.model import Lease, UnitKind
from shared.model.uids import UidSet
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport
from tests.mail import make_mailbox, populate
from worker.decisions.batch_ahead import BatchAhead
from worker.decisions.closing import UnitEnd
from worker.planning.plan import MailboxPlan
from worker.planning.plans_at_work import PlansAtWork
from worker.unit_work import UnitWork

COUNTS = {"INBOX": 4, "A": 4, "B": 4, "C": 4}


@pytest.fixture
def stage(dovecot_pair: DovecotPair) -> InProcessImport:
    login = dovecot_pair.account()
    place = dovecot_pair.source.host, dovecot_pair.source.port, login, dovecot_pair.password
    populate(*place, make_mailbox(1, COUNTS))
    return InProcessImport(
        dovecot_pair.source, dovecot_pair.destination, logins=(login,), password=dovecot_pair.password
    )


@pytest.fixture
def struck(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Ends the connection where another folder is opened behind INBOX; gives which ones that were."""
    selecting, struck = ImapDestination._selecting, list[bytes]()

    def dying(self: ImapDestination, name: bytes) -> list[bytes]:
        if name != self._opened == b"INBOX":
            struck.append(name)
            self.abort()
        return selecting(self, name)

    monkeypatch.setattr(ImapDestination, "_selecting", dying)
    return struck


def test_a_folder_whose_neighbour_ends_the_connection_is_copied(stage: InProcessImport, struck: list[bytes]) -> None:
    stage.to_the_end()
    assert len(struck) == 1
    assert stage.outcomes() == {"copied": sum(COUNTS.values())}
    assert len(stage.failures()) == 1
    assert stage.held("destination") == stage.held("source")


@pytest.mark.parametrize(("attempts", "opened"), [(1, 3), (2, 0)], ids=["control: the first", "the second"])
def test_at_a_second_attempt_no_other_folder_is_opened(
    stage: InProcessImport, monkeypatch: pytest.MonkeyPatch, attempts: int, opened: int
) -> None:
    """A batch that failed must tell which folder was to blame."""
    selecting, ahead, run = ImapDestination._selecting, list[bytes](), UnitWork.run

    def watched(self: ImapDestination, name: bytes) -> list[bytes]:
        ahead.extend({name} - {self._opened})
        return selecting(self, name)

    def again(self: UnitWork, lease: Lease) -> UnitEnd:
        tried = attempts if lease.unit.kind is UnitKind.COPY else 1
        return run(self, replace(lease, unit=replace(lease.unit, attempts=tried)))

    monkeypatch.setattr(ImapDestination, "_selecting", watched)
    monkeypatch.setattr(UnitWork, "run", again)
    stage.to_the_end()
    assert len(ahead) == opened
    assert stage.outcomes() == {"copied": sum(COUNTS.values())}


@pytest.mark.parametrize("known", [True, False], ids=["control: known", "unknown"])
def test_bodies_of_unknown_size_are_not_asked_for_ahead(
    stage: InProcessImport, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    coming, foresee, ahead = MailboxPlan.coming, ImapSource.foresee, list[bytes]()

    def told(self: MailboxPlan, below: int) -> Mapping[str, BatchAhead]:
        found = coming(self, below)
        return found if known else {k: replace(v, unit=replace(v.unit, size_bytes=0)) for k, v in found.items()}

    def watched(self: ImapSource, name: bytes, uids: UidSet | None = None) -> None:
        if uids is not None:
            ahead.append(name)
        foresee(self, name, uids)

    monkeypatch.setattr(MailboxPlan, "coming", told)
    monkeypatch.setattr(ImapSource, "foresee", watched)
    stage.to_the_end()
    assert stage.outcomes() == {"copied": sum(COUNTS.values())}
    # Each folder is foreseen in its turn, and all but the first before it.
    assert len(ahead) == len(COUNTS) + (len(COUNTS) - 1) * known


@pytest.mark.parametrize("waited", [True, False], ids=["after a wait", "control: at once"])
def test_a_plan_that_waited_for_room_asks_for_its_numbers_again(
    stage: InProcessImport, monkeypatch: pytest.MonkeyPatch, waited: bool
) -> None:
    stage.to_the_end()

    @contextmanager
    def turn(self: PlansAtWork, *given: Any) -> Iterator[bool]:
        yield waited

    monkeypatch.setattr(PlansAtWork, "turn", turn)
    before = stage.told.count(b"STATUS ")
    stage.later(3600)
    stage.to_the_end()
    assert stage.told.count(b"STATUS ") - before == len(COUNTS) * (1 + waited)
