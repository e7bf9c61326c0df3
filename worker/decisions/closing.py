"""The ways in which work on a unit ends well; everything else is an error, which `worker.decisions.failures` judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from shared.model import LedgerEntry, Settled, UnitKind
from shared.model.lifecycle import Disposition, UnitResult
from shared.model.uids import NO_UIDS, UidSet
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

IN_DOUBT_FOR_ANOTHER_S: Final = Phrase("in_doubt_for_another_s", "in doubt for another {num} s")


class SettleLater(Exception):
    """Raised within the work on a unit when something is still in doubt: the unit ends as `InDoubt`."""

    def __init__(self, seconds: float, *, counts: bool = False) -> None:
        super().__init__(IN_DOUBT_FOR_ANOTHER_S.says(num=f"{seconds:.0f}"))
        self.seconds, self.counts = seconds, counts


class Divided(Exception):
    """Raised when the rest of a batch is to be shared out: it is replaced by one batch for each of `parts`.

    `blamed` are tried once more, in a batch of their own. `lanes` are called to the parts, once these can be claimed.
    """

    def __init__(self, parts: Sequence[UidSet], blamed: UidSet = NO_UIDS, lanes: int = 0) -> None:
        super().__init__(f"divided into {len(parts)} batches")
        self.parts, self.blamed, self.lanes = parts, blamed, lanes


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """The unit's messages are done. What is left goes to the store in one round trip."""

    #: Groups that the destination answered and that are not in the ledger yet.
    settled: tuple[Settled, ...] = ()
    #: The batch's whole ledger entry.
    records: tuple[LedgerEntry, ...] = ()
    #: Whether a pass is to follow a look; None for other units.
    found: bool | None = None
    result: ClassVar[UnitResult] = UnitResult.FINISHED


@dataclass(frozen=True, kw_only=True, slots=True)
class InDoubt:
    """Something that was sent before may still arrive; the unit is to be claimed again."""

    #: Seconds until then.
    seconds: float
    #: Whether the attempt counts: it sent what may be sent again.
    counts: bool = False
    result: ClassVar[UnitResult] = UnitResult.IN_DOUBT

    def disposition(self, kind: UnitKind, *, progressed: bool) -> Disposition:
        """Decides what happens to the unit. `progressed`: the attempt brought messages to an outcome."""
        if self.counts and not progressed:
            return Disposition.AGAIN
        # A lane that only waits to verify writes nothing: other lanes need not wait for it.
        return Disposition.LATE if kind is UnitKind.VERIFY else Disposition.DOUBT


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """The unit was replaced by smaller ones."""

    result: ClassVar[UnitResult] = UnitResult.SPLIT


UnitEnd = Finished | InDoubt | Split
