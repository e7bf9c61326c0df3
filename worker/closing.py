"""How the work on a unit ends: with something left to close, or with a doubt that has to wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.model import LedgerEntry, Settled


class SettleLater(Exception):
    """Something is still in doubt; the batch is to be claimed again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"in doubt for another {seconds:.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Closing:
    """What is left to do with a unit whose work is done: one round trip."""

    #: Groups that were answered and are not yet in the ledger.
    settled: tuple[Settled, ...] = ()
    #: The batch's whole ledger entry.
    records: tuple[LedgerEntry, ...] = ()
    #: To be called when the store has it.
    closed: Callable[[], None] = lambda: None
