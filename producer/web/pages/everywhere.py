"""The page that finds a mailbox in all imports, and the list of known providers."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query, Request
from fastapi.responses import Response

from producer.intake.providers import catalogue
from producer.operations.searching import search_everywhere
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Who
from producer.web.security.access import Known

routes = page_routes()
_COUNT: Final = 50


@routes.get("/search")
def search(
    request: Request,
    known: Known,
    who: Who,
    text: Annotated[str, Query(max_length=200)] = "",
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    archived: Annotated[bool, Query()] = False,
) -> Response:
    """Shows where a mailbox is: in which imports, and how it does there."""
    total, found = search_everywhere(known.store, text, start, _COUNT, archived=archived) if text.strip() else (0, [])
    there = any(one.archived for one in known.store.imports())
    return draw(
        request,
        "search.html",
        who,
        text=text.strip(),
        total=total,
        found=found,
        start=start,
        count=_COUNT,
        archived=archived,
        archive=there,
    )


@routes.get("/providers")
def providers(request: Request, who: Who) -> Response:
    """Lists the providers that mailhaul knows, with their servers and what to do first."""
    return draw(request, "providers.html", who, providers=[one for one in catalogue().providers if one.sites])
