"""Google Workspace, by the Directory API (admin.directory.user). A mailbox exists once `isMailboxSetup` says so.

Storage belongs to the licence, so no quota is sent.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from shared.accounts import NewAccount
from shared.accounts.api import Api, Halted, ServiceAnswer, api_of
from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, register
from shared.accounts.looking_first import LooksFirst, first, needs_address
from shared.accounts.vendor_tokens import Bearer, google_token, json_secret
from shared.model.accounts import Retry
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

IS_SETTING_MAILBOX_UP: Final = Phrase("is_setting_mailbox_up", "{service} is setting the mailbox up")

NO_KEY: Final = Phrase("accounts_google_key", "must be the JSON key of a service account")

API: Final = "https://admin.googleapis.com"
_USERS: Final = "admin/directory/v1/users"
#: The wait before the next question about a mailbox that is being set up, seconds.
_SETUP_WAIT: Final = 30.0


class Google(LooksFirst):
    """A Google Workspace."""

    def __init__(self, api: Api, *, unit: str = "/", settling_seconds: float) -> None:
        super().__init__(api)
        self._unit = unit
        self.settling_seconds = settling_seconds

    def _find(self, account: NewAccount) -> bool:
        needs_address(account)
        answer = self._user(account)
        # Google answers a query for an alias with the user to whom it belongs.
        email = str(first(answer.body, "primaryEmail")).casefold()
        return answer.status == 200 and email == account.login.casefold()

    def _create(self, account: NewAccount) -> bool:
        wanted = {
            "primaryEmail": account.login,
            "name": {
                "givenName": account.first_name or account.user,
                "familyName": account.last_name or account.user,
            },
            "password": account.password.reveal(),
            "changePasswordAtNextLogin": False,
            "orgUnitPath": self._unit,
        }
        answer = self._api.ask("POST", _USERS, json=wanted)
        if answer.status in (200, 201):
            return True
        if answer.status == 409:
            return False
        raise self._refused(answer)

    def _ready(self, account: NewAccount) -> Retry | None:
        if first(self._user(account).body, "isMailboxSetup") is True:
            return None
        return Retry(after_seconds=_SETUP_WAIT, why=IS_SETTING_MAILBOX_UP.says(service=self._api.shown))

    def _user(self, account: NewAccount) -> ServiceAnswer:
        answer = self._api.ask("GET", f"{_USERS}/{quote(account.login, safe='@')}")
        if answer.status not in (200, 404):
            raise self._refused(answer)
        return answer

    def _refused(self, answer: ServiceAnswer) -> Halted:
        return self._api.refusal(str(first(answer.body, "error", "message") or answer.text))


def _opened(url: ServiceUrl, secret: Secret, settling: float) -> Google:
    key = json_secret(secret, "client_email", "private_key", "token_uri")
    try:
        token = google_token(key, url.place, url.shown)
    except ValueError:
        raise NO_KEY.error("accounts_secret_file") from None
    api = api_of(url, url.options.get("api", API), {}, Bearer(token))
    return Google(api, unit=url.options.get("unit", "/"), settling_seconds=settling)


register(
    AccountKind(
        name="google",
        place=ServicePlace.NAME,
        example="google://ADMIN@DOMAIN",
        title="Google Workspace",
        secret_is=Phrase(
            "account_secret_of_google",
            "the JSON key of a service account with domain-wide delegation of admin.directory.user",
        ),
        open=_opened,
        options=frozenset({"unit", "api"}),
        several_lines=True,
        settling_seconds=900,
        has_login=True,
    )
)
