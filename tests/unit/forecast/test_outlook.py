"""Tests the outlook of an import where its limits are extreme."""

from __future__ import annotations

from dataclasses import replace

from producer.forecast.outlook import outlook
from shared.model import Tally
from shared.model.lifecycle import MailboxState, Outcome
from tests.contract.store_kit import person, request


def test_without_a_connection_the_speed_so_far_is_no_division_by_zero() -> None:
    """Tests an operator who takes every connection away after some thousand messages were copied."""
    whole = replace(request(), passes=1, first_claim_at=1_000.0, last_record_at=2_000.0)
    done = Tally(messages=9_000, size_bytes=9_000_000, outcomes={Outcome.COPIED: 5_000}, done_bytes=5_000_000)
    rows = [(replace(person(whole, 1), state=MailboxState.COPYING), done)]
    found = outlook(whole, rows, [], {"source_host": 0}, {}, 2_000.0)
    assert found is not None
    assert found.kept.ends_at == 0.0, "it has no end"
