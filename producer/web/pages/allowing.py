"""The page's part of what may be connected to: the list, and the one click beside a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from producer.intake.specification import SIDES
from producer.web.api import reach_routes as counterpart
from producer.web.pages.drawing import draw
from producer.web.pages.form import usual_port
from producer.web.pages.sign_in_page import Chief
from producer.web.problems import Refused
from producer.web.security.access import Known
from producer.web.web_context import WebContext
from shared.model.errors import UsageError
from shared.runtime.config import is_local
from shared.store.records.principals import Principal, Role

routes = APIRouter(prefix="/admin/reach", include_in_schema=False)
_Text = Annotated[str, Form(max_length=300)]
#: How the principals begin who came by a link of `mailhaul up` or `mailhaul link`.
_BY_LINK: Final = "link:"


@routes.get("")
def places(request: Request, known: Known, who: Chief) -> Response:
    """Shows what is allowed, by whom and since when."""
    return _drawn(request, known, who)


@routes.post("")
def allow(request: Request, known: Known, who: Chief, place: _Text = "") -> Response:
    """Allows a place."""
    try:
        counterpart.allow(known, who, request, place)
    except UsageError as error:
        return _drawn(request, known, who, 422, str(error))
    return RedirectResponse("/admin/reach", 303)


@routes.post("/remove")
def refuse(request: Request, known: Known, who: Chief, place: _Text = "") -> Response:
    """Allows a place no longer."""
    try:
        counterpart.refuse(known, who, request, place)
    except (UsageError, Refused) as error:
        return _drawn(request, known, who, 422, str(error))
    return RedirectResponse("/admin/reach", 303)


def _drawn(request: Request, known: WebContext, who: Principal, status: int = 200, fault: str = "") -> Response:
    settings = known.settings
    return draw(
        request,
        "admin_reach.html",
        who,
        status,
        places=known.places.all(),
        fault=fault,
        by_settings=[one.strip() for one in (settings.web_allow or "").split(",") if one.strip()],
        ports=settings.web_ports.replace(",", ", "),
    )


def closed(known: WebContext, fields: Mapping[str, str]) -> list[str]:
    """Returns the hosts and ports of a filled-in form that may not be connected to yet."""
    found: list[str] = []
    for host, port in _ends(fields):
        if port not in known.reach.ports | known.places.granted().ports:
            found.append(str(port))
        try:
            known.reach.addresses(host, next(iter(known.reach.ports)))
        except OSError as error:
            if "is not public" in str(error):
                found.append(host)
    return list(dict.fromkeys(found))


def heed(known: WebContext, request: Request, who: Principal, fields: Mapping[str, str]) -> None:
    """Allows what an administrator asked for beside the refusal.

    Whoever came by the link of `mailhaul up` to a page on loopback sits at this machine, and could connect to anything
    by the command line: what such a person names is allowed as it is named, and written down.
    """
    if who.role < Role.ADMIN:
        return
    here = who.principal_id.startswith(_BY_LINK) and is_local(known.settings.web_host)
    asked = fields.get("allow", "").split()
    for place in closed(known, fields) if here or asked else []:
        if here or place in asked:
            counterpart.allowed(known, who, request, place)


def _ends(fields: Mapping[str, str]) -> list[tuple[str, int]]:
    """Returns host and port of each side that names a host."""
    found = []
    for side in SIDES:
        host, port = fields.get(f"{side}_host", "").strip().lower(), fields.get(f"{side}_port", "").strip()
        usual = usual_port(fields.get(f"{side}_protocol", "imap"), fields.get(f"{side}_tls", "tls"))
        if host and (not port or port.isdecimal()):
            found.append((host[:253], int(port[:5] or usual)))
    return found
