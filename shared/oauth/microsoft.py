"""Microsoft 365: client credentials of an app registration, by secret or certificate (by MSAL).

One token opens every mailbox that the app was given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from shared.content.json_text import read_json
from shared.mail.answers.grammar import clean_text
from shared.model.errors import AuthenticationRefused, MailError, Throttled, Unreachable
from shared.model.sides import Side
from shared.oauth import AccessToken
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

MICROSOFT_GIVES_NO_TOKEN: Final = Phrase("microsoft_gives_no_token", "Microsoft gives no token")
MICROSOFT_DOES_NOT_WORK_NOW: Final = Phrase(
    "microsoft_does_not_work_now", "Microsoft's token endpoint does not work just now"
)
MICROSOFT_ASKS_TO_WAIT: Final = Phrase("microsoft_asks_to_wait", "Microsoft's token endpoint asks to wait")
MICROSOFT_NOT_REACHED: Final = Phrase("microsoft_not_reached", "Microsoft's token endpoint is not reached ({kind})")
NOT_THE_MICROSOFT_ENDPOINT: Final = Phrase(
    "not_the_microsoft_endpoint", "what answers is not Microsoft's token endpoint"
)

NO_TENANT: Final = Phrase("microsoft_tenant", "name the tenant, as in microsoft:contoso.onmicrosoft.com")
NO_APP: Final = Phrase("microsoft_app", "what was given is no Microsoft app: {form}")

SCOPE: Final = "https://outlook.office365.com/.default"
#: The limit for each of the two or three requests that a token takes.
_TIMEOUT_SECONDS: Final = 30
_AUTHORITY: Final = "https://login.microsoftonline.com"
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_FORM: Final = (
    'write a JSON file: {"client_id": "…", "client_secret": "…"}, or with "private_key" (PEM) and "thumbprint" instead of '
    "the secret"
)


class MicrosoftIssuer:
    """The issuer for an app in a tenant. `more` goes to MSAL."""

    per_user = False

    def __init__(self, side: Side, tenant: str, app: str, **more: Any) -> None:
        """Reads `app`, the registered application in JSON.

        It has `client_id`, and `client_secret` or `private_key` with `thumbprint`. It has `authority` for another cloud
        than the public one. Raises `UsageError`.
        """
        self._side, self._more = side, {"timeout": _TIMEOUT_SECONDS, **more}
        if not _TENANT.fullmatch(tenant):
            raise NO_TENANT.error()
        try:
            found = read_json(app)
            self._client_id = str(found["client_id"])
            certificate = {name: found[name] for name in ("private_key", "thumbprint") if name in found}
            self._credential = found.get("client_secret") or certificate
            whole = isinstance(self._credential, str) or len(certificate) == 2
            self._authority = str(found.get("authority", _AUTHORITY)).rstrip("/") + f"/{tenant}"
            if "authority" in found:  # given by the operator: Microsoft is not asked to confirm it
                self._more.setdefault("instance_discovery", False)
        except (ValueError, KeyError, TypeError, AttributeError):
            whole = False
        if not whole or not self._authority.startswith("https://"):
            raise NO_APP.error(form=_FORM)

    def issue(self, user: str) -> AccessToken:
        import msal
        from requests import RequestException

        try:
            # The client is made anew each time: the workers could not share what it remembers.
            client = msal.ConfidentialClientApplication(
                self._client_id, authority=self._authority, client_credential=self._credential, **self._more
            )
            found: Mapping[str, Any] = client.acquire_token_for_client([SCOPE])
        except RequestException as error:
            raise Unreachable(self._side, MICROSOFT_NOT_REACHED.says(kind=type(error).__name__)) from None
        except KeyError:  # the answer is not a token endpoint's
            raise Unreachable(self._side, NOT_THE_MICROSOFT_ENDPOINT.says()) from None
        except ValueError as error:  # an unknown tenant, or an invalid key
            words = clean_text(str(error), secrets=self._secrets())
            raise AuthenticationRefused(self._side, MICROSOFT_GIVES_NO_TOKEN.says(), words) from None
        if "access_token" not in found:
            raise self._refused(found)
        return AccessToken(secret=Secret(str(found["access_token"])), seconds=float(found.get("expires_in") or 300))

    def _refused(self, found: Mapping[str, Any]) -> MailError:
        code = str(found.get("error", ""))
        words = clean_text(f"{code}: {found.get('error_description', '')}", secrets=self._secrets())
        if code in ("temporarily_unavailable", "server_error"):
            return Unreachable(self._side, MICROSOFT_DOES_NOT_WORK_NOW.says(), words)
        if code == "slow_down":
            return Throttled(self._side, MICROSOFT_ASKS_TO_WAIT.says(), words)
        return AuthenticationRefused(self._side, MICROSOFT_GIVES_NO_TOKEN.says(), words)

    def _secrets(self) -> tuple[str, ...]:
        return tuple(self._credential.values()) if isinstance(self._credential, dict) else (self._credential,)
