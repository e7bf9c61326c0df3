"""Chooses the ready units to send a job for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.model import Unit, UnitKind

#: Number of jobs kept in the queue while no worker runs, so that a worker that starts finds some.
WITHOUT_WORKERS = 16


def wanted(ready_units: int, lanes: int, busy: int, depths: Mapping[UnitKind, int]) -> int:
    """Returns how many jobs are missing.

    The queue should hold as many jobs as there are ready units, but no more than the lanes that are not `busy` could take. A
    lane that is done claims the next unit without a job, and a job that finds nothing to claim is dropped, so more would
    only cost the store. A job in the queue may be stale; that is why a full round is kept there, not just one. One job is
    wanted even where all lanes seem busy: a worker may have more lanes than the coordinator was told.
    """
    return max(0, min(ready_units, max(1, lanes - busy) if lanes else WITHOUT_WORKERS) - sum(depths.values()))


def bells(ready: Sequence[Unit], count: int) -> tuple[Unit, ...]:
    """Returns the units to send jobs for, at most `count` of those that are `ready`.

    One unit of each mailbox comes before a second of any, since a lane stays with its mailbox anyway.
    """
    first: list[Unit] = []
    later: list[Unit] = []
    seen: set[str] = set()
    for unit in ready:
        (later if unit.mailbox_id in seen else first).append(unit)
        seen.add(unit.mailbox_id)
    return tuple((first + later)[:count])
