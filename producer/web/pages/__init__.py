"""The page: the same operations as the API's, as HTML.

It works without a script. With one, an import is redrawn while it runs. Each module has its routes; `install` puts them
together.
"""

from __future__ import annotations

from importlib import resources

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
    following,
    mending,
    new_import,
    oidc,
    overview,
    person,
    putting_away,
    rehearsing,
    sign_in_page,
    steering,
    telling_page,
)
from producer.web.pages.drawing import draw
from producer.web.pages.glance import Glances
from producer.web.pages.sign_in_page import NotSignedIn, to_the_door


def install(app: FastAPI) -> None:
    """Registers the routes, the static files and the page of a refusal."""
    app.state.glances = Glances(app.state.web_context)
    for room in (
        sign_in_page,
        oidc,
        overview,
        new_import,
        rehearsing,
        mending,
        following,
        person,
        cutting_over,
        putting_away,
        copying,
        steering,
        telling_page,
        everywhere,
        account_page,
        administering,
        allowing,
        api_docs,
    ):
        app.include_router(room.routes)
    app.mount("/static", StaticFiles(directory=str(resources.files("producer.web") / "static")))
    app.state.refusal = lambda request, status, detail: draw(request, "refused.html", None, status, detail=detail)

    @app.exception_handler(NotSignedIn)
    def _stranger(request: Request, error: NotSignedIn) -> Response:
        return to_the_door(request, error)
