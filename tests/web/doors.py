"""The list of all routes of the API and the page."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

from fastapi.routing import APIRoute

from producer.web.app import make_app
from producer.web.web_context import WebContext
from shared.runtime.config import load_settings


def doors() -> list[tuple[str, str]]:
    """Returns (method, path with its parameters), sorted."""
    app = make_app(cast(WebContext, SimpleNamespace(settings=load_settings())))
    found = {(method.upper(), path) for path, item in app.openapi()["paths"].items() for method in item}
    found |= {(method, room.path) for room in _rooms(app.routes) for method in room.methods}
    assert len(found) > 60
    return sorted(found | {("GET", "/api/v1/openapi.json")})


def _rooms(routes: Any) -> Iterator[APIRoute]:
    """Yields the routes that are not in the OpenAPI document: those of the page."""
    for route in routes:
        if isinstance(route, APIRoute) and not route.include_in_schema:
            yield route
        elif included := getattr(route, "original_router", None):
            yield from _rooms(included.routes)
