"""SCIM 2.0 (RFC 7643, RFC 7644), by scim2-client. Only this file uses that library, whose API still changes.

The standard's User has no place for a quota, so none is sent.
"""

from __future__ import annotations

import json
from typing import Any, Final

import httpx2
from pydantic import ValidationError
from scim2_client import RequestNetworkException, SCIMClientException
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import Email, Error, ListResponse, Name, SCIMException, ScimProvider, SearchRequest, User

from shared.accounts import NewAccount
from shared.accounts.api import Api, Halted, api_of, login_header, unreachable
from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, register
from shared.accounts.looking_first import LooksFirst
from shared.model.accounts import Rejected
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

DOES_NOT_SPEAK_SCIM_2: Final = Phrase("does_not_speak_scim_2", "{service} does not speak SCIM 2.0 there ({kind})")
CHECK_PATH_OF_SCIM: Final = Phrase(
    "check_path_of_scim", "check the path in --accounts: it ends where /Users follows, often in /scim/v2"
)


class Scim(LooksFirst):
    """A SCIM service."""

    def __init__(self, api: Api, settling_seconds: float) -> None:
        super().__init__(api)
        self.settling_seconds = settling_seconds
        self._scim = SyncSCIMClient(api.client, provider=ScimProvider(models=[User]), raise_scim_errors=False)

    def _find(self, account: NewAccount) -> bool:
        # The filter's grammar asks for a JSON string (RFC 7644 §3.4.2.2).
        filter_ = f"userName eq {json.dumps(account.login, ensure_ascii=False)}"
        wanted: SearchRequest[Any] = SearchRequest.model_validate({"filter": filter_})
        try:
            found = self._scim.query(User, query_parameters=wanted)
        except (SCIMClientException, SCIMException) as error:
            raise self._halted(error) from error
        if isinstance(found, Error):
            raise self._refused(found)
        # A service that supports no filter answers with all users.
        users = found.resources or [] if isinstance(found, ListResponse) else []
        return any((user.user_name or "").casefold() == account.login.casefold() for user in users)

    def _create(self, account: NewAccount) -> bool:
        names = {"given_name": account.first_name, "family_name": account.last_name, "formatted": account.display_name}
        user: User[Any] = User(
            user_name=account.login,
            name=Name(**{name: value for name, value in names.items() if value}),
            display_name=account.display_name,
            password=account.password.reveal(),
            active=True,
            emails=_emails(account.login),
        )
        try:
            answer = self._scim.create(user)
        except (SCIMClientException, SCIMException) as error:
            raise self._halted(error) from error
        if isinstance(answer, Error):
            if answer.status == httpx2.codes.CONFLICT:
                return False
            raise self._refused(answer)
        return True

    def _refused(self, error: Error) -> Halted:
        return self._api.refusal(", ".join(filter(None, (error.scim_type, error.detail))) or str(error.status))

    def _halted(self, error: SCIMClientException | SCIMException) -> Halted:
        if isinstance(error, RequestNetworkException):
            return Halted(unreachable(self._api.shown, error))
        # The text of these errors may hold the request, and with it the password.
        return Halted(
            Rejected(
                reason=DOES_NOT_SPEAK_SCIM_2.says(service=self._api.shown, kind=type(error).__name__),
                advice=CHECK_PATH_OF_SCIM.says(),
            )
        )


def _emails(login: str) -> list[Email] | None:
    """Returns the login as an address; None where it is none, or one that the library does not accept.

    The library does not accept addresses in `.test` and `.local`.
    """
    try:
        return [Email(value=login, primary=True)]
    except ValidationError:
        return None


def _opened(url: ServiceUrl, secret: Secret, settling: float) -> Scim:
    # Not only scim+json: some services answer 406 to it.
    accept = {"Accept": "application/scim+json, application/json;q=0.9"}
    return Scim(api_of(url, url.place, accept | login_header(secret)), settling)


register(
    AccountKind(
        name="scim",
        place=ServicePlace.HTTP,
        example="scim+https://host/path",
        title="SCIM 2.0",
        secret_is=Phrase("account_secret_of_scim", "a bearer token, or user:password"),
        open=_opened,
        settling_seconds=120,
    )
)
