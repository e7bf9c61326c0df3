"""Routes about the servers that may be connected to: what administrators allowed beside the settings."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request

from producer.web.api import admin_answers, answers
from producer.web.problems import Refused
from producer.web.security.access import Admin, Known, noted
from producer.web.web_context import WebContext
from shared.sign_in.allowed_places import AllowedPlace, read_place
from shared.store.records.principals import Principal
from shared.wording.phrases import Phrase

THIS_PLACE_WAS_NOT_ALLOWED: Final = Phrase("this_place_was_not_allowed", "this place was not allowed")

routes = APIRouter(route_class=answers.AnswerRoute, prefix="/reach", tags=["servers"])
Place = Annotated[str, Path(max_length=300, description="A host, an address, a network as in 10.0.0.0/8, or a port.")]


@routes.get("", response_model=admin_answers.PlacesAnswer)
def places(known: Known, _: Admin) -> dict[str, Any]:
    """Lists the hosts, networks and ports that are allowed beside public servers and the usual ports, with who and when."""
    settings = known.settings
    return {
        "places": [asdict(one) for one in known.places.all()],
        "settings": {"allow": settings.web_allow or "", "ports": settings.web_ports},
    }


@routes.put("/{place:path}", response_model=admin_answers.PlaceAnswer)
def allow(known: Known, who: Admin, request: Request, place: Place) -> dict[str, Any]:
    """Allows a place from now on, in this process and in all workers."""
    return asdict(allowed(known, who, request, place))


def allowed(known: WebContext, who: Principal, request: Request, place: str) -> AllowedPlace:
    """Allows a place, once the audit log has it. Raises `UsageError`."""
    place = read_place(place)
    with noted(known, request, who, "place allowed", place=place):
        return known.places.add(place, who.name, time.time())


@routes.delete("/{place:path}", status_code=204)
def refuse(known: Known, who: Admin, request: Request, place: Place) -> None:
    """Allows a place no longer: nothing new is connected to there."""
    place = read_place(place)
    with noted(known, request, who, "place refused", place=place):
        if not known.places.remove(place):
            raise Refused(404, THIS_PLACE_WAS_NOT_ALLOWED.says())
