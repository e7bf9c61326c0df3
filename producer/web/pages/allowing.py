"""The page's part of what may be connected to: the list, and the one click beside a refusal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Annotated, Final

from fastapi import Form, Request
from fastapi.responses import RedirectResponse, Response

from producer.intake.endpoints import parse_endpoint
from producer.intake.specification import SIDES
from producer.web.api import reach_routes as counterpart
from producer.web.pages.drawing import draw
from producer.web.pages.form import Form as FilledForm
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Chief
from producer.web.problems import Refused
from producer.web.security.access import Known
from producer.web.web_context import WebContext
from shared.model import Endpoint
from shared.model.errors import UsageError
from shared.runtime.config import is_local
from shared.sign_in.reach import NotPublic
from shared.store.records.principals import Principal, Role

routes = page_routes("/admin/reach")
_Text = Annotated[str, Form(max_length=300)]
#: The beginning of the names of principals who came by a link of `mailhaul up` or `mailhaul link`.
_BY_LINK: Final = "link:"
#: Headers, beside those that begin with X-Forwarded, by which a proxy tells that it passed a request on.
_PASSED_ON: Final = frozenset({"forwarded", "via", "x-real-ip"})


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
        return _drawn(request, known, who, 422, error)
    return RedirectResponse("/admin/reach", 303)


@routes.post("/remove")
def refuse(request: Request, known: Known, who: Chief, place: _Text = "") -> Response:
    """Allows a place no longer."""
    try:
        counterpart.refuse(known, who, request, place)
    except (UsageError, Refused) as error:
        return _drawn(request, known, who, 422, error)
    return RedirectResponse("/admin/reach", 303)


def _drawn(
    request: Request, known: WebContext, who: Principal, status: int = 200, fault: str | Exception = ""
) -> Response:
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


def closed(known: WebContext, ends: Sequence[Endpoint], ports: Collection[int] = ()) -> list[str]:
    """Returns the hosts and ports that may not be connected to yet. `ports`: those that are open beside the ports of mail."""
    return list(dict.fromkeys(place for end in ends for place in _closed(known, end, ports)))


def _closed(known: WebContext, end: Endpoint, ports: Collection[int]) -> list[str]:
    usual = known.reach.ports | known.places.granted().ports | {*ports}
    found = [] if end.port in usual else [str(end.port)]
    try:
        known.reach.addresses(end.host, next(iter(known.reach.ports)))
    except NotPublic:
        found.append(end.host)
    except OSError:  # it has no address: there is nothing to allow
        pass
    return found


def heed(
    known: WebContext,
    request: Request,
    who: Principal,
    ends: Sequence[Endpoint],
    asked: str,
    ports: Collection[int] = (),
) -> None:
    """Allows what an administrator asked for beside the refusal.

    Who sits at this machine could connect to anything by the command line: what such a person names is allowed, and
    written down. Of a name that is its present addresses: another address behind it is refused again. Raises `UsageError`.
    """
    if who.role < Role.ADMIN:
        return
    here = is_here(known, request, who)
    wanted = asked.split()
    for end in ends if here or wanted else ():
        for place in _closed(known, end, ports):
            if place in wanted:
                counterpart.allowed(known, who, request, place)
            elif here:
                for one in _addresses(known, end) if place == end.host else [place]:
                    counterpart.allowed(known, who, request, one)


def is_here(known: WebContext, request: Request, who: Principal) -> bool:
    """Tells whether the person sits at this machine: came by a link, to a page on loopback, and through no proxy."""
    settings = known.settings
    return (
        who.principal_id.startswith(_BY_LINK)
        and is_local(settings.web_host)
        and not settings.web_proxies
        and is_local(request.url.hostname or "")
        and request.client is not None
        and is_local(request.client.host)
        and not any(name in _PASSED_ON or name.startswith("x-forwarded") for name in request.headers)
    )


def _addresses(known: WebContext, end: Endpoint) -> list[str]:
    """Returns the present addresses of a host."""
    return [address.partition("%")[0] for address in known.reach.resolve(end.host, end.port)]


def ends_of(form: FilledForm) -> list[Endpoint]:
    """Returns the server of each side that can be read; what is wrong with another one is said elsewhere."""
    found = []
    for side in SIDES:
        with suppress(UsageError):
            found.append(parse_endpoint(form.ends[side].url(side), side=side))
    return found
