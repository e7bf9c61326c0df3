"""Tests the outlook of an import where its limits are extreme."""

from __future__ import annotations

import sys
from dataclasses import replace

from producer.forecast.gathering import ImportLoads
from producer.forecast.outlook import outlook
from shared.model import Tally
from shared.model.lifecycle import MailboxState, Outcome
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
