"""Tests that other lanes begin with what is planned while the rest of the mailbox is still being planned."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from shared.model import Options
from shared.model.lifecycle import MailboxState
from shared.rules.batching import Worth
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport
from tests.mail import make_mailbox, populate
from worker.decisions.batch_ahead import BatchAhead
from worker.planning.batch_planner import PlanRules
from worker.planning.plan import MailboxPlan

COUNTS = {"INBOX": 6, "A": 5, "B": 5}
#: Of which no other folder is worth a lane beside the one that plans.
ONE_LARGE = {"INBOX": 6, "A": 1, "B": 1, "C": 1}


def _import(
    pair: DovecotPair, worth: int, options: Options | None = None, counts: dict[str, int] = COUNTS
) -> InProcessImport:
    login = pair.account()
    populate(pair.source.host, pair.source.port, login, pair.password, make_mailbox(1, counts))
    stage = InProcessImport(pair.source, pair.destination, logins=(login,), password=pair.password, options=options)
    stage.plan_rules = PlanRules(batch_messages=50, worth=Worth(messages=worth))
    return stage


@pytest.mark.parametrize(
    ("worth", "options", "early"),
    [
        (5, None, [11]),
        (8, None, []),
        (5, Options(newest_first=True), []),
    ],
    ids=["two of three", "control: only the last makes it enough", "control: the newest of all folders first"],
)
def test_a_lane_that_is_called_copies_what_was_planned_so_far(
    dovecot_pair: DovecotPair, worth: int, options: Options | None, early: list[int]
) -> None:
    """Serves in each call as another lane would: while less than all was entered, the plan was not at its end."""
    stage = _import(dovecot_pair, worth, options)
    copied: list[int] = []

    def serve() -> None:
        if stage.mailbox().state is MailboxState.PLANNING:
            stage.ring = lambda: None
            stage.work()
            copied.append(stage.outcomes()["copied"])
            stage.ring = serve

    stage.ring = serve
    stage.to_the_end()
    whole = sum(COUNTS.values())
    assert [messages for messages in copied if messages < whole] == early
    assert stage.outcomes() == {"copied": whole}
    assert stage.held("destination") == stage.held("source")


def test_no_more_lanes_are_called_than_the_work_is_worth(dovecot_pair: DovecotPair) -> None:
    stage = _import(dovecot_pair, 5)
    rung: list[MailboxState] = []
    stage.ring = lambda: rung.append(stage.mailbox().state)
    stage.to_the_end()
    # Three folders are worth three lanes, of which the planner is one; two are called while it plans.
    assert rung == [MailboxState.PLANNING, MailboxState.PLANNING]


@pytest.mark.parametrize(
    ("counts", "called", "foretold"),
    [(ONE_LARGE, 0, 3), (COUNTS, 2, 0)],
    ids=["one lane's work", "control: three lanes' work"],
)
def test_either_lanes_are_called_or_it_is_foretold_what_comes_next(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch, counts: dict[str, int], called: int, foretold: int
) -> None:
    stage = _import(dovecot_pair, 5, counts=counts)
    rung: list[MailboxState] = []
    stage.ring = lambda: rung.append(stage.mailbox().state)
    coming, told = MailboxPlan.coming, list[int]()

    def counting(self: MailboxPlan, below: int) -> Mapping[str, BatchAhead]:
        found = coming(self, below)
        told.append(len(found))
        return found

    monkeypatch.setattr(MailboxPlan, "coming", counting)
    stage.to_the_end()
    assert (len(rung), told) == (called, [foretold])
