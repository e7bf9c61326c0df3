"""`mailhaul audit`: prints the audit log."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from producer.cli.ground import open_ground
from producer.cli.noting import end_noted
from producer.cli.verb import COMPLETE
from producer.intake.wanted import read_moment
from producer.show.audit import csv_lines, json_lines, table_lines
from shared.errors import StoreError, UsageError
from shared.store.desk import Desk
from shared.store.redis import connect

_FORMATS = {"table": table_lines, "csv": csv_lines, "jsonl": json_lines}


def run_audit(since: str, kind: str, *, state_dir: Path | None) -> int:
    """Prints the whole log, or the entries since a moment, to standard output."""
    lines = _FORMATS.get(kind)
    if lines is None:
        raise UsageError(f"--format: one of {', '.join(_FORMATS)}")
    try:
        moment = read_moment(since)
    except UsageError as error:
        raise UsageError(f"--since: {error}") from None
    with open_ground(state_dir, make=False) as ground:
        # A state folder that was never used has no log, and none is made.
        desk = None if ground.bare else Desk(connect(ground.urls[1]))
        with contextlib.suppress(StoreError):  # what cannot be written to now can still be read
            for request in ground.store.imports() if desk else ():
                end_noted(ground, request)
        entries = (entry for page in desk.audit_pages(moment) for entry in page) if desk else iter(())
        for line in lines(entries):
            sys.stdout.write(line.encode(errors="backslashreplace").decode() + ("\n" if kind == "table" else ""))
    sys.stdout.flush()
    return COMPLETE
