"""Opens an adapter for `--accounts URL` and its secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from shared.accounts import AccountService
from shared.accounts.address import SECRETIVE, ServiceUrl
from shared.accounts.api import Api, http_client
from shared.accounts.discreet import Discreet
from shared.model.errors import UsageError
from shared.runtime.credentials import Secret

#: Kind → how long a new account may refuse its password, seconds, unless `settle` says otherwise.
SETTLING: Final[Mapping[str, float]] = {
    "scim": 120,
    "webhook": 120,
    "hook": 120,
    "yandex360": 900,
    "google": 900,
    "graph": 1800,
}
_HOOK_SECONDS: Final = 60.0


def open_service(url: ServiceUrl, secret: Secret) -> AccountService:
    """Opens the adapter; nothing is sent yet. Raises `UsageError` for a secret of the wrong form."""
    if url.kind in SECRETIVE and not secret:
        raise UsageError(f"--accounts {url.kind} needs --accounts-secret-file")
    if any(ord(char) < 32 for char in secret.reveal()) and url.kind not in ("google", "graph"):
        raise UsageError("--accounts-secret-file: the secret must be one line")
    settling = url.number("settle", SETTLING.get(url.kind, 0.0))
    service = _made(url, secret, settling)
    service.settling_seconds = settling
    return Discreet(service, secret)


def _made(url: ServiceUrl, secret: Secret, settling: float) -> AccountService:
    if url.kind == "hook":
        from shared.accounts.hook import Hook

        timeout = url.number("timeout", _HOOK_SECONDS)
        return Hook(url.place, url.arguments, secret, timeout_seconds=timeout, settling_seconds=settling)
    if url.kind == "passwd-file":
        from shared.accounts.passwd_file import PasswdFile

        fields = {name: url.options.get(name, "") for name in ("uid", "gid", "home")}
        return PasswdFile(url.place, **fields)
    if url.kind == "webhook":
        from shared.accounts.webhook import Webhook

        return Webhook(_api(url, url.place, {}), secret, settling_seconds=settling)
    if url.kind == "scim":
        from shared.accounts.scim import Scim

        # Not only scim+json: some services answer 406 to it.
        accept = {"Accept": "application/scim+json, application/json;q=0.9"}
        return Scim(_api(url, url.place, accept | _login(secret)), settling)
    if url.kind == "mailcow":
        from shared.accounts.mailcow import Mailcow

        return Mailcow(_api(url, f"{url.place}/api/v1", {"X-API-Key": secret.reveal()}))
    if url.kind == "stalwart":
        from shared.accounts.stalwart import Stalwart

        return Stalwart(_api(url, url.place, _login(secret)))
    if url.kind == "yandex360":
        from shared.accounts import yandex360

        return yandex360.Yandex360(
            _api(url, url.options.get("api", yandex360.API), {"Authorization": f"OAuth {secret.reveal()}"}),
            url.place,
            directory=url.options.get("directory", yandex360.DIRECTORY).rstrip("/"),
            department=int(url.options.get("department", 1)),
            settling_seconds=settling,
        )
    from shared.accounts import google, graph
    from shared.accounts.vendor_tokens import Bearer, google_token, graph_token

    if url.kind == "google":
        key = json_secret(secret, "client_email", "private_key", "token_uri")
        try:
            token = google_token(key, url.place, url.shown)
        except ValueError:
            raise UsageError("--accounts-secret-file: must be the JSON key of a service account") from None
        api = _api(url, url.options.get("api", google.API), {}, Bearer(token))
        return google.Google(api, unit=url.options.get("unit", "/"), settling_seconds=settling)
    app = json_secret(secret, "client_id")
    api = _api(url, url.options.get("api", graph.API), {}, Bearer(graph_token(url.place, app, url.shown)))
    sku, location = url.options.get("sku", ""), url.options.get("location", "")
    return graph.Graph(api, sku=sku, location=location, settling_seconds=settling)


def _api(url: ServiceUrl, base: str, headers: Mapping[str, str], auth: Any = None) -> Api:
    client = http_client(base, url.shown, headers, ca_file=url.options.get("ca", ""), auth=auth)
    return Api(client, url.shown)


def _login(secret: Secret) -> dict[str, str]:
    """Returns the header for a bearer token (RFC 6750), or for "user:password" as Basic (RFC 7617)."""
    text = secret.reveal()
    if ":" not in text:
        return {"Authorization": f"Bearer {text}"}
    import base64

    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def json_secret(secret: Secret, *names: str) -> dict[str, str]:
    """Returns a secret that is a JSON object with at least these texts. Raises `UsageError`."""
    try:
        found = json.loads(secret.reveal())
    except ValueError:
        found = None
    if not isinstance(found, dict) or any(not isinstance(found.get(name), str) for name in names):
        raise UsageError(f"--accounts-secret-file: must be JSON with {', '.join(names)}")
    return found
