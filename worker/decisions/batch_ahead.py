"""Foretells which batch a lane claims next, so that both servers are asked for it before its turn. Pure.

It does so for a mailbox that one lane plans and copies: with more lanes, each may claim what another one expects. What is foretold
need not come true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

from shared.model import Folder, FolderPlan, Unit
from shared.nouns import dataclass

#: The bytes that a source is asked for ahead of a batch, at most: where another batch comes, they are read and dropped.
AHEAD_BYTES: Final = 8 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchAhead:
    """The batch that comes next."""

    #: The batch.
    unit: Unit
    #: Its folder.
    folder: Folder


def coming_after(plans: Iterable[tuple[FolderPlan, int]], below_messages: int) -> Mapping[str, BatchAhead]:
    """Returns unit id → the batch that is claimed after it, of plans with their places in the order of the mailbox.

    A batch of `below_messages` and more, or one of several in a folder, is left out: how much of it is copied first is decided when
    it is claimed.
    """
    batches = [(unit.band, order, unit, plan) for plan, order in plans for unit in plan.batches]
    batches.sort(key=lambda one: one[:2])
    return {
        before.unit_id: BatchAhead(unit=unit, folder=plan.folder)
        for (_, _, before, _), (_, _, unit, plan) in pairwise(batches)
        if len(plan.batches) == 1 and len(unit.uids) < below_messages
    }
