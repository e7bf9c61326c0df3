"""Account services for page and API: those that the settings name, and those that administrators set up."""

from __future__ import annotations

import time
from dataclasses import asdict, replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request

from producer.intake.account_options import AccountsAsked, AccountSeen, read_accounts
from producer.intake.named_services import BY_SETTINGS, Addresses, reached, read_service, tried
from producer.web.api import admin_answers, answers
from producer.web.api.request_bodies import LookBody, ServiceBody
from producer.web.problems import Refused
from producer.web.security.access import Admin, Known, Viewer, noted
from producer.web.web_context import WebContext
from shared.accounts.several import parse_services, shown
from shared.model.errors import UsageError
from shared.runtime.config import Settings
from shared.runtime.secret import Secret
from shared.store.records.named_services import NamedService
from shared.wording.phrases import Phrase, faults_of, several

SERVICE_GONE: Final = Phrase("service_gone", "there is no account service of this name")

NO_SUCH_SERVICE: Final = Phrase(
    "web_accounts_secret_unknown",
    "MAILHAUL_WEB_ACCOUNTS_SECRET_FILES: MAILHAUL_WEB_ACCOUNTS names no {text}",
)
NOT_NAMED: Final = Phrase("web_accounts_not_named", "{setting}: {text} is not NAME=…, each name once")
SERVICE_IMPOSSIBLE: Final = Phrase("web_accounts_impossible", "MAILHAUL_WEB_ACCOUNTS, {name}: {what}")

routes = APIRouter(route_class=answers.AnswerRoute, tags=["servers"])
NO_SERVICE: Final = Phrase("account_service_unknown", "{name} is no service here ({rows})")
NONE_SET: Final = Phrase(
    "account_services_unset",
    "{name} is no service here: none is set up, by an administrator or by MAILHAUL_WEB_ACCOUNTS",
)
#: The port that is open to services beside the ports of mail.
HTTPS: Final = 443
_Name = Annotated[str, Path(max_length=40, description="The name of the service.")]


@routes.get("/accounts", response_model=admin_answers.NamesAnswer)
def accounts(known: Known, _: Viewer) -> dict[str, Any]:
    """Lists the names of the services that can make accounts at the destination."""
    return {"accounts": names(known)}


@routes.get("/account-services", response_model=admin_answers.ServicesAnswer)
def services(known: Known, _: Admin) -> dict[str, Any]:
    """Lists the services that can make accounts, without their secrets."""
    return {"services": listed(known)}


@routes.put("/account-services/{name}", response_model=admin_answers.NamedServiceAnswer)
def set_service(known: Known, who: Admin, request: Request, name: _Name, body: ServiceBody) -> dict[str, Any]:
    """Sets a service up, in place of one that has its name. Nothing is sent to it."""
    if name in known.makers:
        raise BY_SETTINGS.error()
    asked = read_service(name, body.url, Secret(body.secret.get_secret_value().strip()), _addresses(known))
    with noted(known, request, who, "account service set", service=name, to=shown(asked.text)):
        made = NamedService(name=name, text=asked.text, secret=asked.secret, by=who.name, at=time.time(), guarded=True)
        known.services.set(made)
        return _fields(made)


@routes.delete("/account-services/{name}", status_code=204)
def remove_service(known: Known, who: Admin, request: Request, name: _Name) -> None:
    """Removes a service. Imports that chose it keep what they need."""
    with noted(known, request, who, "account service removed", service=name):
        if not known.services.remove(name):
            raise Refused(404, SERVICE_GONE.says())


@routes.post("/account-services/{name}/test", response_model=AccountSeen)
def try_service(known: Known, who: Admin, request: Request, name: _Name, body: LookBody) -> dict[str, Any]:
    """Asks a service about one account, and makes none.

    `state`: "there", "missing" (it would be made), or "unknown" with the `failure` and the `advice`.
    """
    asked = chosen(known, name)
    with noted(known, request, who, "account service tried", service=name):
        return asdict(tried(asked, body.login))


def names(known: WebContext) -> list[str]:
    """Returns the names of all services."""
    return sorted({*known.makers, *known.services.all()})


def listed(known: WebContext) -> list[dict[str, Any]]:
    """Returns the fields of all services, without secrets."""
    by_settings = [
        {"name": name, "service": shown(asked.text), "by": "", "at": None} for name, asked in known.makers.items()
    ]
    return by_settings + [_fields(one) for name, one in known.services.all().items() if name not in known.makers]


def _fields(one: NamedService) -> dict[str, Any]:
    return {"name": one.name, "service": shown(one.text), "by": one.by, "at": one.at}


def makers_of(settings: Settings) -> dict[str, AccountsAsked]:
    """Returns the account services of the settings, by name. Opens no connection. Raises `UsageError`."""
    urls = _pairs("MAILHAUL_WEB_ACCOUNTS", settings.web_accounts or "")
    files = _pairs("MAILHAUL_WEB_ACCOUNTS_SECRET_FILES", settings.web_accounts_secret_files or "")
    if strange := sorted(set(files) - set(urls)):
        raise NO_SUCH_SERVICE.error(text=f"{strange[0]!r}")
    found = {}
    for name, url in urls.items():
        try:
            found[name] = read_accounts([url], [files[name]] if name in files else [], generate=False)
        except UsageError as error:
            told = several(fault.sentence for fault in faults_of(error))
            raise SERVICE_IMPOSSIBLE.error(name=name, what=told) from None
    return found


def known_name(known: WebContext, text: str) -> str | None:
    """Returns the name of the service that is asked so, "" for none; None where no service has this text."""
    by_text = {"": ""} | {one.text: name for name, one in known.services.all().items()}
    by_text |= {maker.text: name for name, maker in known.makers.items()}
    return by_text.get(text)


def chosen(known: WebContext, name: str) -> AccountsAsked:
    """Returns the service of this name; none without a name. Raises `FaultsFound`."""
    if not name:
        return AccountsAsked()
    if name in known.makers:
        return known.makers[name]
    if one := known.services.all().get(name):
        if one.guarded:
            reached(parse_services(one.text), _addresses(known))
        return AccountsAsked(text=one.text, secret=one.secret)
    there, named = ", ".join(names(known)), repr(name[:80])
    raise NO_SERVICE.error(name=named, rows=there) if there else NONE_SET.error(name=named)


def _addresses(known: WebContext) -> Addresses:
    """Returns what refuses places that may not be connected to; beside the ports of mail, that of HTTPS is allowed."""
    return replace(known.reach, ports=known.reach.ports | {HTTPS}).addresses


def _pairs(setting: str, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split():
        name, sign, value = part.partition("=")
        if not (sign and value and name.isidentifier()) or name in found:
            raise NOT_NAMED.error(setting=setting, text=f"{part[:60]!r}")
        found[name] = value
    return found
