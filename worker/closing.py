"""The two ways in which work on a unit ends: with something left to close, or with a doubt that has to wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.model import LedgerEntry, Settled
from shared.model.uids import UidSet


class SettleLater(Exception):
    """Raised when something is still in doubt; the batch is to be claimed again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"in doubt for another {seconds:.0f} s")
        self.seconds = seconds


class Divided(Exception):
    """Raised when the rest of a batch is to be shared out: it is replaced by one batch for each of `parts`."""

    def __init__(self, parts: Sequence[UidSet]) -> None:
        super().__init__(f"divided into {len(parts)} batches")
        self.parts = parts


@dataclass(frozen=True, kw_only=True, slots=True)
class Closing:
    """The work that is left for a unit whose messages are done: one round trip."""

    #: Groups that the destination answered and that are not in the ledger yet.
    settled: tuple[Settled, ...] = ()
    #: The batch's whole ledger entry.
    records: tuple[LedgerEntry, ...] = ()
    #: Of a look, whether a pass is to follow; None for other units.
    found: bool | None = None
    #: Called when the store has the records.
    closed: Callable[[], None] = lambda: None
