"""Tests the outlook of an import where its limits are extreme."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from producer.forecast.gathering import ImportLoads
from producer.forecast.outlook import Score, outlook, scores
from producer.show.foreseen import score_line
from shared.model import Tally
from shared.model.forecasts import KeptForecast
from shared.model.lifecycle import ImportState, MailboxState, Outcome
from tests.contract.store_kit import person, request


def test_without_a_connection_the_speed_so_far_is_no_division_by_zero() -> None:
    """Tests an operator who takes every connection away after some thousand messages were copied."""
    whole = replace(request(), passes=1, first_claim_at=1_000.0, last_record_at=2_000.0)
    done = Tally(messages=9_000, size_bytes=9_000_000, outcomes={Outcome.COPIED: 5_000}, done_bytes=5_000_000)
    gathered = ImportLoads(2_000.0)
    gathered.add([(replace(person(whole, 1), state=MailboxState.COPYING), done)])
    found = outlook(whole, gathered, [], {"source_host": 0}, {}, 2_000.0)
    assert found is not None
    assert found.kept.ends_at == 0.0, "it has no end"


def test_a_mailbox_that_is_not_counted_is_as_large_as_the_average_of_the_others() -> None:
    """Tests mailboxes that are read in two pieces, the uncounted one in the first."""
    whole, gathered = request(), ImportLoads(2_000.0)
    gathered.add([(replace(person(whole, 1), state=MailboxState.QUEUED), Tally())])
    gathered.add([(replace(person(whole, 2), state=MailboxState.COPYING), Tally(messages=30, size_bytes=900))])
    gathered.add([(replace(person(whole, 3), state=MailboxState.COMPLETE), Tally(messages=10, size_bytes=100))])
    assert [(load.messages, load.size_bytes) for load in gathered.loads()] == [(20.0, 500.0), (30.0, 900.0)]
    assert (gathered.mailboxes, gathered.assumed, gathered.waiting) == (3, 1, 0)


def test_of_a_mailbox_that_was_read_nothing_is_kept_but_its_load() -> None:
    """Tests what makes the cycle collector stop the page for a quarter of a second: 50,000 mailboxes that are all kept."""
    mailbox, gathered = person(request(), 1), ImportLoads(2_000.0)
    before = sys.getrefcount(mailbox)
    gathered.add([(mailbox, Tally(messages=1))])
    assert len(gathered.loads()) == 1
    assert sys.getrefcount(mailbox) == before


def _kept(seconds: float) -> KeptForecast:
    return KeptForecast(
        made_at=1_000.0,
        passes=1,
        ends_at=1_000.0 + seconds,
        low_at=0,
        high_at=0,
        mailboxes=1,
        size_bytes=1,
        waves={},
        binds=(),
    )


@pytest.mark.parametrize(
    ("seconds", "late", "said"),
    [
        (1.0, 180.0, "it ended 3 min later"),
        (1.0, 20.0, "it ended then"),
        (7_200.0, 1_800.0, "it ended 30 min later (+25%)"),
        (7_200.0, -1_800.0, "it ended 30 min earlier (-25%)"),
    ],
)
def test_a_forecast_of_seconds_is_scored_by_minutes(seconds: float, late: float, said: str) -> None:
    score = Score(wave="", made_at=1_000.0, forecast_at=1_000.0 + seconds, ended_at=1_000.0 + seconds + late)
    assert score_line(score).endswith(said)


def test_what_is_scored_is_the_end_of_the_pass_and_not_of_a_later_look() -> None:
    looked = replace(request(), passes=1, state=ImportState.FINISHED, finished_at=90_000.0)
    (score,) = scores(looked, [_kept(60.0)], {(1, ""): 1_070.0})
    assert score.late_seconds == 10.0
    (score,) = scores(looked, [_kept(60.0)], {})
    assert score.ended_at == 90_000.0, "no end is kept of an import that ended before ends were"
