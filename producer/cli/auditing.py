"""`mailhaul audit`: prints the audit log."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

from producer.cli.command_context import open_context
from producer.cli.noting import end_noted
from producer.cli.verb import COMPLETE
from producer.intake.wanted import read_moment
from producer.show.audit import csv_lines, json_lines, table_lines
from shared.model.errors import StoreError, UsageError
from shared.store.records.web_records import WebRecords
from shared.store.redis.redis_store import connect
from shared.wording.phrases import FaultsFound, Phrase, faults_of

FORMAT: Final = Phrase("audit_format", "one of {names}")

_FORMATS = {"table": table_lines, "csv": csv_lines, "jsonl": json_lines}


def run_audit(since: str, kind: str, *, state_dir: Path | None) -> int:
    """Prints the whole log, or the entries since a moment, to standard output."""
    lines = _FORMATS.get(kind)
    if lines is None:
        raise FORMAT.error("format", names=", ".join(_FORMATS))
    try:
        moment = read_moment(since)
    except UsageError as error:
        raise FaultsFound(faults_of(error, "since")) from None
    with open_context(state_dir, make=False) as context:
        # A state folder that was never used has no log, and none is made.
        records = None if context.bare else WebRecords(connect(context.urls[1]), context.settings.audit_days)
        with contextlib.suppress(StoreError):  # what cannot be written to now can still be read
            for import_ in context.store.imports() if records else ():
                end_noted(context, import_)
        entries = (entry for page in records.audit_pages(moment) for entry in page) if records else iter(())
        for line in lines(entries):
            sys.stdout.write(line.encode(errors="backslashreplace").decode() + ("\n" if kind == "table" else ""))
    sys.stdout.flush()
    return COMPLETE
