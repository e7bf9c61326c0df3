"""Which doorbells to ring: for what is ready and nobody may come for by himself. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.model import Unit, UnitKind

#: Doorbells kept in the queue while no worker is there: whoever starts finds something to answer.
WITHOUT_WORKERS = 16


def wanted(ready_units: int, lanes: int, depths: Mapping[UnitKind, int]) -> int:
    """How many doorbells are missing.

    As many should lie in the queue as there are units ready, but no more than all lanes could answer: a lane that is
    done claims the next unit without a bell, and a bell that finds nothing to claim is thrown away, so more would
    only cost the store. A bell in the queue may be stale; that is why a full round is kept there, not just one.
    """
    return max(0, min(ready_units, lanes or WITHOUT_WORKERS) - sum(depths.values()))


def bells(ready: Sequence[Unit], count: int) -> tuple[Unit, ...]:
    """The units to ring for, at most `count` of those that are `ready`: one of each mailbox before a second of any,
    since the lane that comes stays with its mailbox anyway."""
    first: list[Unit] = []
    later: list[Unit] = []
    seen: set[str] = set()
    for unit in ready:
        (later if unit.mailbox_id in seen else first).append(unit)
        seen.add(unit.mailbox_id)
    return tuple((first + later)[:count])
