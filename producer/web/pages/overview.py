"""The page of all imports."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Request
from fastapi.responses import Response

from producer.operations.finding import progress_of
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Who
from producer.web.security.access import Known

routes = page_routes()
_COUNT: Final = 50


@routes.get("/")
def all_imports(
    request: Request,
    known: Known,
    who: Who,
    start: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    closed: Annotated[bool, Query()] = False,
    archived: Annotated[bool, Query()] = False,
) -> Response:
    """Lists the imports, newest first; `archived`: those in the archive, else the others."""
    both = known.store.imports()
    every = [one for one in both if one.archived == archived]
    found = [progress_of(known.store, one) for one in every[start : start + _COUNT]]
    changing = any(not one.finished for one in found)
    partly = request.headers.get("hx-request") == "true"
    return draw(
        request,
        "imports_table.html" if partly else "imports.html",
        who,
        imports=found,
        total=len(every),
        start=start,
        count=_COUNT,
        changing=changing,
        closed=closed,
        archived=archived,
        elsewhere=len(both) - len(every),
    )
