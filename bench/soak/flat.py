"""Decides whether a measure grew. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowance:
    """The growth of one measure that is no leak."""

    #: Share of the earlier value.
    share: float = 0.0
    #: Amount beside the share, in the measure's unit.
    amount: float = 0.0


#: Measure → its allowance. Bytes for memory and logs, numbers for the rest.
MEASURES: Final[Mapping[str, Allowance]] = {
    "worker_memory": Allowance(share=0.05, amount=2e6),
    "coordinator_memory": Allowance(share=0.05, amount=2e6),
    "worker_files": Allowance(amount=3),
    "coordinator_files": Allowance(amount=3),
    "worker_threads": Allowance(amount=1),
    "coordinator_threads": Allowance(amount=1),
    "worker_series": Allowance(amount=3),
    "coordinator_series": Allowance(amount=3),
    "leases": Allowance(),
    # A round may leave a notice, a failure or a token that expires; a leak leaves something in every round.
    "keys": Allowance(share=0.01, amount=4),
    # Each round brings mail, whose ledger is kept as long as the import.
    "redis_memory_less_ledger": Allowance(share=0.05, amount=5e5),
    "log_bytes_a_round": Allowance(share=0.5, amount=2e4),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """The growth of a measure from the second third of a run to its last third."""

    #: The measure.
    name: str
    #: Medians of the second and of the last third.
    before: float
    after: float
    #: Whether it is more than its allowance.
    leaks: bool


def growths(rounds: Sequence[Mapping[str, float]]) -> list[Growth]:
    """Compares the second third of the rounds with the last; the first third warms up.

    Raises ValueError for fewer than three rounds.
    """
    if len(rounds) < 3:
        raise ValueError(f"{len(rounds)} rounds say nothing; three are needed: let it run longer")
    third = len(rounds) // 3
    found = []
    for name, allowed in MEASURES.items():
        before = median(one[name] for one in rounds[third : 2 * third])
        after = median(one[name] for one in rounds[2 * third :])
        most = before * (1 + allowed.share) + allowed.amount
        found.append(Growth(name=name, before=before, after=after, leaks=after > most))
    return found
