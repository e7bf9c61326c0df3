"""The tokens for the directories of Google and Microsoft.

The httpx2 auth here asks the vendors' libraries, which keep a token until shortly before it expires.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

import httpx2

from shared.accounts.api import Halted, shortened, unreachable
from shared.content.json_text import read_json
from shared.model.accounts import Rejected
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase, text_of

GIVES_NO_TOKEN: Final = Phrase("gives_no_token", "{service} gives no token: {said}")

NO_JSON: Final = Phrase("accounts_secret_json", "must be JSON with {names}")

GOOGLE_SCOPE: Final = "https://www.googleapis.com/auth/admin.directory.user"
GRAPH_SCOPE: Final = "https://graph.microsoft.com/.default"
_ADVICE: Final = Phrase(
    "correct_accounts_secret_file",
    "correct --accounts-secret-file and what the administrator granted, and run the import command again",
).says()


class Bearer(httpx2.Auth):
    """Adds the token that `token` returns to every request. `token` may raise `Halted`."""

    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Implements `httpx2.Auth`."""
        request.headers["Authorization"] = f"Bearer {self._token()}"
        yield request


def google_token(key: Mapping[str, Any], administrator: str, shown: str) -> Callable[[], str]:
    """Returns a function that gives tokens for a service account with domain-wide delegation.

    The service account acts as `administrator`. Raises `ValueError` for an invalid key.
    """
    from google.auth.exceptions import GoogleAuthError, TransportError
    from google.auth.transport.requests import Request
    from google.oauth2.service_account import Credentials
    from requests import Session

    credentials = Credentials.from_service_account_info(dict(key), scopes=[GOOGLE_SCOPE], subject=administrator)  # type: ignore[no-untyped-call]

    session = Session()
    session.max_redirects, session.trust_env = 0, False

    def token() -> str:
        try:
            if not credentials.valid:
                credentials.refresh(Request(session=session))
        except TransportError as error:
            raise Halted(unreachable(shown, error)) from error
        except GoogleAuthError as error:
            raise Halted(_refused(shown, text_of(error))) from error
        return str(credentials.token)

    return token


def graph_token(tenant: str, app: Mapping[str, Any], shown: str, **more: Any) -> Callable[[], str]:
    """Returns a function that gives tokens for the client credentials of an app registration.

    The credentials are `client_id`, and `client_secret` or a certificate (`private_key` and `thumbprint`).
    """
    import msal
    from requests import RequestException

    certificate = {name: app[name] for name in ("private_key", "thumbprint") if name in app}
    secret = app.get("client_secret") or certificate
    made: list[Any] = []

    def token() -> str:
        try:
            if not made:  # here MSAL requests the tenant's metadata
                authority = f"https://login.microsoftonline.com/{tenant}"
                made.append(
                    msal.ConfidentialClientApplication(
                        app["client_id"], authority=authority, client_credential=secret, **more
                    )
                )
            found = made[0].acquire_token_for_client([GRAPH_SCOPE])
        except RequestException as error:
            raise Halted(unreachable(shown, error)) from error
        except ValueError as error:  # an unknown tenant, or an invalid key
            raise Halted(_refused(shown, text_of(error))) from error
        if "access_token" not in found:
            raise Halted(_refused(shown, str(found.get("error_description") or found.get("error"))))
        return str(found["access_token"])

    return token


def _refused(shown: str, said: str) -> Rejected:
    return Rejected(reason=GIVES_NO_TOKEN.says(service=shown, said=shortened(said)), advice=_ADVICE)


def json_secret(secret: Secret, *names: str) -> dict[str, str]:
    """Returns a secret that is a JSON object with at least these texts. Raises `UsageError`."""
    try:
        found = read_json(secret.reveal())
    except ValueError:
        found = None
    if not isinstance(found, dict) or any(not isinstance(found.get(name), str) for name in names):
        raise NO_JSON.error("accounts_secret_file", names=", ".join(names))
    return found
