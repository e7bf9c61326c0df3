"""The page: the same operations as the API's, as HTML.

It works without a script. With one, an import is redrawn while it runs. Each module has its routes; `install` puts them
together.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles

from producer.web.pages import (
    account_page,
    administering,
    allowing,
    api_docs,
    copying,
    cutting_over,
    everywhere,
    filling,
    following,
    mending,
    new_import,
    oidc,
    outcome,
    overview,
    person,
    putting_away,
    rehearsing,
    sign_in_page,
    steering,
    telling_page,
    ticked_waves,
)
from producer.web.pages.drawing import came_from, draw
from producer.web.pages.glance import Glances
from producer.web.pages.sign_in_page import NotSignedIn, there, to_the_door


def install(app: FastAPI) -> None:
    """Registers the routes, the static files and the page of a refusal."""
    app.state.glances = Glances(app.state.web_context)
    for room in (
        sign_in_page,
        oidc,
        outcome,
        overview,
        new_import,
        rehearsing,
        mending,
        following,
        person,
        cutting_over,
        putting_away,
        copying,
        ticked_waves,
        steering,
        telling_page,
        everywhere,
        filling,
        account_page,
        administering,
        allowing,
        api_docs,
    ):
        app.include_router(room.routes)
    app.mount("/static", StaticFiles(directory=str(resources.files("producer.web") / "static")))

    def refusal(request: Request, status: int, detail: Any) -> Response:
        # After a POST the page is kept for whoever is signed in; else it has nobody's buttons.
        who = there(app.state.web_context, request, touch=False) if request.method == "POST" else None
        return draw(request, "refused.html", who, status, detail=detail, back=came_from(request, who))

    app.state.refusal = refusal

    @app.exception_handler(NotSignedIn)
    def _stranger(request: Request, error: NotSignedIn) -> Response:
        return to_the_door(request, error)
