"""Routes that read the audit log: page by page, or as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from producer.show.audit import csv_lines, json_lines
from producer.web.api import admin_answers, answers
from producer.web.security.access import Admin, Known
from producer.web.web_context import WebContext

routes = APIRouter(route_class=answers.AnswerRoute, tags=["audit"])
_LINES: Final = 500
Since = Annotated[datetime | None, Query(description="Not what is older; without a zone it is UTC.")]


class Csv(StreamingResponse):
    """A response with CSV."""

    media_type = "text/csv"


class JsonLines(StreamingResponse):
    """A response with JSON documents, one a line."""

    media_type = "application/x-ndjson"


@routes.get("/audit", response_model=admin_answers.AuditAnswer)
def audit(
    known: Known,
    _: Admin,
    after: Annotated[str, Query(pattern=r"^(\d{1,15}-\d{1,9})?$", description="The last id that was seen.")] = "",
    count: Annotated[int, Query(ge=1, le=5000)] = 500,
) -> dict[str, Any]:
    """Lists who did what, oldest first."""
    return {"entries": known.records.audit(after, count)}


@routes.get("/audit.csv", response_class=Csv)
def audit_csv(known: Known, _: Admin, since: Since = None) -> Csv:
    """Returns the whole log, for a spreadsheet."""
    return Csv(_bytes(known, since, csv_lines), headers=_named("audit.csv"))


@routes.get("/audit.jsonl", response_class=JsonLines)
def audit_jsonl(known: Known, _: Admin, since: Since = None) -> JsonLines:
    """Returns the whole log, for a program."""
    return JsonLines(_bytes(known, since, json_lines), headers=_named("audit.jsonl"))


def _bytes(
    known: WebContext, since: datetime | None, lines: Callable[[Iterable[Mapping[str, Any]]], Iterator[str]]
) -> Iterator[bytes]:
    """Yields the log while it is read, since it may be larger than memory.

    The first page is read before the answer begins, since no problem can be reported after that.
    """
    moment = None if since is None else (since if since.tzinfo else since.replace(tzinfo=UTC)).timestamp()
    pages = known.records.audit_pages(moment)
    first = next(pages, [])
    told = lines(entry for page in chain((first,), pages) for entry in page)
    # Each piece has many lines, since each piece costs a switch to another thread.
    pieces = iter(lambda: "".join(islice(told, _LINES)), "")
    return (piece.encode(errors="backslashreplace") for piece in pieces)


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
