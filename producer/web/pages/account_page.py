"""The page of the services that make accounts: a list, a form for each kind, a try that makes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode, urlsplit

from fastapi import Depends, Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import SecretStr, ValidationError

from producer.intake.named_services import OPTIONS_OF_MACHINE
from producer.translations.said import SERVICE_OPTIONS
from producer.web.api import account_services as counterpart
from producer.web.api.request_bodies import LookBody, ServiceBody
from producer.web.pages import allowing
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Chief
from producer.web.security.access import Known
from producer.web.web_context import WebContext
from shared.accounts.kinds import AccountKind, ServicePlace, kind_of, kinds
from shared.model import Endpoint, Tls
from shared.model.errors import UsageError
from shared.store.records.principals import Principal
from shared.wording.phrases import Phrase

routes = page_routes("/admin/accounts")
_Name = Annotated[str, Form(max_length=80)]
NO_KIND: Final = Phrase("service_no_kind", "choose the kind of the service")
NO_PLACE: Final = Phrase("service_no_place", "say where the service is")
LONG: Final = Phrase("service_long", "an address has at most 2000 characters, a secret 65536")
_LONGEST: Final = 2000


async def _given(request: Request) -> dict[str, str]:
    form = await request.form(max_files=0, max_fields=40)
    return {name: value.strip() for name, value in form.multi_items() if isinstance(value, str)}


Given = Annotated[dict[str, str], Depends(_given)]


@routes.get("")
def all_services(request: Request, known: Known, who: Chief, kind: str = "", done: str = "") -> Response:
    """Shows the services, the kinds, and the form of the kind that was chosen."""
    return _drawn(request, known, who, given={"kind": kind[:40]}, done=done[:40])


@routes.post("")
def set_service(request: Request, known: Known, who: Chief, given: Given) -> Response:
    """Sets a service up. What was typed stays in the form where something is wrong; the secret is dots there."""
    ends = _ends(given)
    try:
        allowing.heed(known, request, who, ends, given.get("allow", ""), [counterpart.HTTPS])
        body = ServiceBody.model_validate({"url": _url(given), "secret": SecretStr(given.get("secret", ""))})
        counterpart.set_service(known, who, request, given.get("name", "")[:80], body)
    except ValidationError:
        return _drawn(request, known, who, 422, given=given, fault=LONG.error())
    except UsageError as error:
        closed = allowing.closed(known, ends, [counterpart.HTTPS])
        return _drawn(request, known, who, 422, given=given, fault=error, closed=closed)
    return RedirectResponse("/admin/accounts?done=set", 303)


@routes.post("/remove")
def remove(request: Request, known: Known, who: Chief, name: _Name = "") -> Response:
    """Removes a service."""
    counterpart.remove_service(known, who, request, name)
    return RedirectResponse("/admin/accounts?done=removed", 303)


@routes.post("/test")
def try_service(
    request: Request, known: Known, who: Chief, name: _Name = "", login: Annotated[str, Form(max_length=320)] = ""
) -> Response:
    """Asks a service about an account, and shows what it says. Nothing is made."""
    try:
        seen = counterpart.try_service(known, who, request, name, LookBody.model_construct(login=login))
    except UsageError as error:
        return _drawn(request, known, who, 422, tried=name, login=login, fault=error)
    return _drawn(request, known, who, tried=name, login=login, seen=seen)


def _url(given: Mapping[str, str]) -> str:
    """Returns the service as `--accounts` names it. Raises `FaultsFound`."""
    kind = offered().get(given.get("kind", ""))
    if kind is None:
        raise NO_KIND.error()
    place = given.get("place", "")
    if not place:
        raise NO_PLACE.error()
    if kind.place is ServicePlace.HTTP:
        url = f"{kind.name}+{place if '://' in place else 'https://' + place}"
    else:
        url = f"{kind.name}://{quote(place, safe='@.-')}"
    options = {name: given[f"option_{name}"] for name in options_of(kind) if given.get(f"option_{name}")}
    domain = given.get("domain", "")
    return (f"{domain}=" if domain else "") + url + (f"?{urlencode(options)}" if options else "")


def _ends(given: Mapping[str, str]) -> list[Endpoint]:
    """Returns the server of a service at an address of its own; none for one that a vendor runs."""
    kind = offered().get(given.get("kind", ""))
    if kind is None or kind.place is not ServicePlace.HTTP:
        return []
    place = given.get("place", "")
    with suppress(ValueError):
        there = urlsplit(place if "://" in place else f"https://{place}")
        if there.hostname:
            return [Endpoint(host=there.hostname, port=there.port or counterpart.HTTPS, tls=Tls.IMPLICIT)]
    return []


def offered() -> dict[str, AccountKind]:
    """Returns the kinds that the page sets up: those that are no file or program of a machine."""
    return {name: kind for name, kind in kinds().items() if kind.place is not ServicePlace.PATH}


def options_of(kind: AccountKind) -> list[str]:
    """Returns the names of the options that the form asks for."""
    return sorted(kind.known - set(OPTIONS_OF_MACHINE))


def _drawn(
    request: Request,
    known: WebContext,
    who: Principal,
    status: int = 200,
    *,
    given: Mapping[str, str] = {},
    **more: Any,
) -> Response:
    chosen = kind_of(given.get("kind", "")) if given.get("kind", "") in offered() else None
    shown = {name: text[:_LONGEST] for name, text in given.items() if name != "secret"}
    usual: dict[str, Any] = {"fault": None, "done": "", "tried": "", "login": "", "seen": None, "closed": []}
    return draw(
        request,
        "admin_accounts.html",
        who,
        status,
        services=counterpart.listed(known),
        kinds=list(offered().values()),
        chosen=chosen,
        options=options_of(chosen) if chosen else [],
        option_names=SERVICE_OPTIONS,
        given=shown,
        **(usual | more),
    )
