"""Microsoft 365, by Graph: creates a user, and assigns the licence that gives it a mailbox (`sku=`).

An account that existed keeps what it has; a missing licence stays missing, since licences cost money. For an account
that an earlier call made, what that call left undone is done. The mailbox comes minutes later, and only a sign-in shows
that it has.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from shared.accounts import NewAccount
from shared.accounts.api import Api, Halted, ServiceAnswer, api_of
from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, register
from shared.accounts.looking_first import LooksFirst, first, needs_address
from shared.accounts.vendor_tokens import Bearer, graph_token, json_secret
from shared.model.accounts import Retry
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

API: Final = "https://graph.microsoft.com"


class Graph(LooksFirst):
    """A tenant of Microsoft 365."""

    def __init__(self, api: Api, *, sku: str, location: str, settling_seconds: float) -> None:
        super().__init__(api)
        self._sku, self._location = sku, location
        self.settling_seconds = settling_seconds

    def _find(self, account: NewAccount) -> bool:
        needs_address(account)
        return self._user(account).status == 200

    def _create(self, account: NewAccount) -> bool:
        wanted = {
            "accountEnabled": True,
            "displayName": account.display_name,
            "givenName": account.first_name or None,
            "surname": account.last_name or None,
            "mailNickname": account.user,
            "userPrincipalName": account.login,
            "usageLocation": self._location or None,
            "passwordProfile": {"password": account.password.reveal(), "forceChangePasswordNextSignIn": False},
        }
        answer = self._api.ask("POST", "v1.0/users", json={k: v for k, v in wanted.items() if v is not None})
        if answer.status == 201:
            self._license(account)
            return True
        if answer.status in (400, 409) and "already exists" in str(first(answer.body, "error", "message")):
            return False
        raise self._refused(answer)

    def _ready(self, account: NewAccount) -> Retry | None:
        if self._sku and account.ours:
            self._license(account)
        return None

    def _license(self, account: NewAccount) -> None:
        if not self._sku:
            return
        wanted = {"addLicenses": [{"skuId": self._sku, "disabledPlans": []}], "removeLicenses": []}
        # Assigning the same licence twice has no further effect.
        answer = self._api.ask("POST", f"v1.0/users/{quote(account.login, safe='@')}/assignLicense", json=wanted)
        if answer.status != 200:
            raise self._refused(answer)

    def _user(self, account: NewAccount) -> ServiceAnswer:
        path = f"v1.0/users/{quote(account.login, safe='@')}"
        answer = self._api.ask("GET", path, params={"$select": "id,userPrincipalName"})
        if answer.status not in (200, 404):
            raise self._refused(answer)
        return answer

    def _refused(self, answer: ServiceAnswer) -> Halted:
        return self._api.refusal(str(first(answer.body, "error", "message") or answer.text))


def _opened(url: ServiceUrl, secret: Secret, settling: float) -> Graph:
    app = json_secret(secret, "client_id")
    api = api_of(url, url.options.get("api", API), {}, Bearer(graph_token(url.place, app, url.shown)))
    sku, location = url.options.get("sku", ""), url.options.get("location", "")
    return Graph(api, sku=sku, location=location, settling_seconds=settling)


register(
    AccountKind(
        name="graph",
        place=ServicePlace.NAME,
        example="graph://TENANT",
        title="Microsoft 365",
        secret_is=Phrase(
            "account_secret_of_graph",
            "JSON with client_id and client_secret, or private_key and thumbprint; the app needs User.ReadWrite.All",
        ),
        open=_opened,
        options=frozenset({"sku", "location", "api"}),
        several_lines=True,
        settling_seconds=1800,
    )
)
