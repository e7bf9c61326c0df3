"""Account services that the settings name for page and API.

Their URLs come from the settings and never from a request.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter

from producer.intake.account_options import AccountsAsked, read_accounts
from producer.web.security.access import Known, Viewer
from producer.web.web_context import WebContext
from shared.model.errors import UsageError
from shared.runtime.config import Settings
from shared.wording.phrases import Phrase

NO_SUCH_SERVICE: Final = Phrase(
    "web_accounts_secret_unknown",
    "MAILHAUL_WEB_ACCOUNTS_SECRET_FILES: MAILHAUL_WEB_ACCOUNTS names no {text}",
)
NOT_NAMED: Final = Phrase("web_accounts_not_named", "{setting}: {text} is not NAME=…, each name once")
SERVICE_IMPOSSIBLE: Final = Phrase("web_accounts_impossible", "MAILHAUL_WEB_ACCOUNTS, {name}: {what}")

routes = APIRouter(tags=["servers"])
NO_SERVICE: Final = Phrase("account_service_unknown", "{name} is no service here ({rows})")
NONE_SET: Final = Phrase("account_services_unset", "{name} is no service here: none is set by MAILHAUL_WEB_ACCOUNTS")


@routes.get("/accounts")
def accounts(known: Known, _: Viewer) -> dict[str, Any]:
    """Lists the names of the services that can make accounts at the destination."""
    return {"accounts": sorted(known.makers)}


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
            raise SERVICE_IMPOSSIBLE.error(name=name, what=str(error)) from None
    return found


def chosen(known: WebContext, name: str) -> AccountsAsked:
    """Returns the service of this name; none without a name. Raises `FaultsFound`."""
    if not name:
        return AccountsAsked()
    if name not in known.makers:
        there, named = ", ".join(sorted(known.makers)), repr(name[:80])
        raise NO_SERVICE.error(name=named, rows=there) if there else NONE_SET.error(name=named)
    return known.makers[name]


def _pairs(setting: str, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split():
        name, sign, value = part.partition("=")
        if not (sign and value and name.isidentifier()) or name in found:
            raise NOT_NAMED.error(setting=setting, text=f"{part[:60]!r}")
        found[name] = value
    return found
