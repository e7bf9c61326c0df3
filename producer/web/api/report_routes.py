"""The route of the report's files. Each is written while the mailboxes are read, since there may be many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from producer.coordinator.tally import exit_code
from producer.notices.setup import checked_reader
from producer.operations import forecasting
from producer.operations.finding import errors_of, every_mailbox, progress_of
from producer.reports.reporting import FILES, one_page
from producer.show import document
from producer.show.report import CSV_FILES, csv_lines, summary_pieces
from producer.web.api import answers
from producer.web.api.imports import OneWave
from producer.web.api.mended import failed_rows
from producer.web.security.access import Known, Viewer
from producer.web.web_context import WebContext
from shared.model import Import
from shared.model.lifecycle import MailboxState

routes = APIRouter(route_class=answers.AnswerRoute, prefix="/imports", tags=["imports"])
ReportFile = Literal[
    "results.csv",
    "failures.csv",
    "notes.csv",
    "folders.csv",
    "summary.json",
    "failed-rows.csv",
    "one-page.html",
    "one-page.csv",
]
#: Lines that are sent at once, since each piece costs a switch to another thread.
_LINES: Final = 200
_KINDS: Final = {".json": "application/json", ".html": "text/html; charset=utf-8", ".csv": "text/csv; charset=utf-8"}


@routes.get("/{import_id}/report/{file}", response_class=StreamingResponse)
def report(
    known: Known,
    _: Viewer,
    import_id: str,
    file: ReportFile,
    wave: OneWave = "",
    language: Annotated[str, Query(max_length=20, description="Of the one page: en or ru.")] = "en",
    zone: Annotated[str, Query(max_length=60, description="Of the one page, as in Europe/Berlin.")] = "UTC",
) -> StreamingResponse:
    """Returns a file of the report. failed-rows.csv can be corrected and sent to …/credentials."""
    found = known.import_(import_id)
    if file in FILES:
        checked_reader(language, zone)
        look_ahead = partial(
            forecasting.look_ahead,
            default=known.settings.limits,
            threads=known.settings.worker_threads,
            rest=known.at_work.rests(own=1),
        )
        page = one_page(known.store, found, language, zone, wave, look_ahead=look_ahead)
        pieces = iter([page.html().encode() if file.endswith(".html") else page.csv()])
    else:
        pieces = in_pieces(_lines(known, found, file, wave))
    return StreamingResponse(
        pieces,
        media_type=_KINDS[file[file.rindex(".") :]],
        headers={"Content-Disposition": f'attachment; filename="{import_id[:8]}-{file}"'},
    )


def _lines(known: WebContext, import_: Import, file: str, wave: str) -> Iterator[str]:
    store = known.store
    rows = partial(every_mailbox, store, import_, wave)
    if file in CSV_FILES:
        return csv_lines(store, file, rows())
    if file == "failed-rows.csv":
        return failed_rows(mailbox for mailbox, _ in rows(MailboxState.PARKED))
    progress = progress_of(store, import_, wave=wave)
    code = exit_code(progress) if progress.finished else None
    groups = errors_of(store, import_, wave=wave)
    whole = document.without_mailboxes(store, progress, groups, exit_code=code, wave=wave)
    return summary_pieces(store, whole, rows())


def in_pieces(lines: Iterable[str]) -> Iterator[bytes]:
    """Yields lines as octets, many at once. The first are read at once: no problem can be told after an answer has begun."""
    left = iter(lines)
    pieces = iter(lambda: "".join(islice(left, _LINES)).encode(errors="backslashreplace"), b"")
    return chain((next(pieces, b""),), pieces)
