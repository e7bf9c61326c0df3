"""Tells in words where each mailbox goes, before anything is copied. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from producer.intake.manifest_row import Row
from shared.runtime.logs import clean

#: Number of rows that are named one by one.
_NAMED = 10


def destination_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yields the destination of the first rows, and how many rows give no login, so that the same login is assumed."""
    for row in rows[:_NAMED]:
        yield f"  {clean(row.login)} → {clean(row.new_login)}{'' if row.own_new_login else ' (the same login)'}"
    if len(rows) > _NAMED:
        yield f"  … and {len(rows) - _NAMED:,} more; mailhaul plan names them all"
    assumed = sum(not row.own_new_login for row in rows)
    if 0 < assumed < len(rows):
        yield f"  {assumed:,} of {len(rows):,} rows name no login at the destination: the same login is taken there"
