"""Tests random kills of workers, coordinator and Redis during an import.

No message is lost or twice, and the import finishes by itself.
"""

from __future__ import annotations

import pytest

from bench.chaos import run
from tests.conftest import DovecotPair
from tests.integration.office import Office


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_random_kills_lose_nothing_and_double_nothing(dovecot_pair: DovecotPair, seed: int) -> None:
    with Office(dovecot_pair.source, dovecot_pair.destination) as office:
        figures, whole = run(
            office, messages=1_500, kills=12, seed=seed, workers=2, mailboxes=2, folders=5, patience_seconds=1.5
        )
        assert sum(figures.kills.values()) == 12
        assert set(figures.kills) == {"worker", "coordinator", "redis"}
        office.assert_exactly_once(whole)
