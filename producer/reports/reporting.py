"""The report of one page of an import in the store, in the reader's language and zone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from producer.forecast.outlook import Outlook
from producer.operations import forecasting
from producer.operations.finding import every_mailbox, progress_of
from producer.reports.one_page import OnePage, ReaderSheet, lines_of
from shared.model import Import
from shared.model.lifecycle import ImportState
from shared.store import Store

#: The files of the report.
FILES = ("one-page.html", "one-page.csv")


def one_page(
    store: Store,
    import_: Import,
    language: str = "en",
    zone: str = "UTC",
    wave: str = "",
    *,
    look_ahead: Callable[[Store, Import], Outlook | None],
) -> ReaderSheet:
    """Returns the report of an import, or of one of its waves. Raises `UsageError`.

    `look_ahead` makes its forecast (`forecasting.look_ahead`), with the limits and threads of the settings.
    """
    rows = every_mailbox(store, import_, wave)
    progress = progress_of(store, import_, wave=wave)
    found = None if import_.state is ImportState.FINISHED else look_ahead(store, import_)
    kept = found.kept if found else None
    scored = forecasting.scored(store, import_)
    whole, waves = lines_of(rows, scored, kept.waves if kept else {}, kept.ends_at if kept and not wave else 0.0)
    page = OnePage(
        name=import_.name,
        word=progress.word,
        source=import_.source.host,
        destination=import_.destination.host,
        made_at=time.time(),
        whole=whole,
        waves=waves,
        binds=kept.binds if kept else (),
    )
    return ReaderSheet(page, language, zone)


def write_one_page(sheet: ReaderSheet, folder: Path) -> list[Path]:
    """Writes both files of the report, each whole or not at all. Returns their paths. Raises OSError."""
    found = []
    for name, content in zip(FILES, (sheet.html().encode(), sheet.csv()), strict=True):
        draft = folder / f"{name}.new"
        draft.write_bytes(content)
        found.append(draft.replace(folder / name))
    return found
