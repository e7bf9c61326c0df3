"""Yandex 360's directory: accounts are created on the older host (`api360.yandex.net`), and looked up on the newer one.

The mailbox comes a little after the account, and nothing says when, so a refused sign-in is waited out. The
organisation's administrator must allow IMAP beforehand.
"""

from __future__ import annotations

from typing import Final

from shared.accounts import NewAccount
from shared.accounts.api import Api, Halted, api_of
from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, register
from shared.accounts.looking_first import LooksFirst, first, needs_address
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

API: Final = "https://api360.yandex.net"
DIRECTORY: Final = "https://cloud-api.yandex.net"
#: The department that every user belongs to.
_ROOT_DEPARTMENT: Final = 1


class Yandex360(LooksFirst):
    """An organisation in Yandex 360."""

    def __init__(
        self,
        api: Api,
        organisation: str,
        *,
        directory: str,
        department: int = _ROOT_DEPARTMENT,
        settling_seconds: float,
    ) -> None:
        super().__init__(api)
        self._organisation, self._directory, self._department = organisation, directory, department
        self.settling_seconds = settling_seconds

    def _find(self, account: NewAccount) -> bool:
        needs_address(account)
        url = f"{self._directory}/v1/directory/organizations/{self._organisation}/users"
        answer = self._api.ask("GET", url, params={"email": account.login})
        if answer.status == 404:
            return False
        if answer.status != 200:
            raise self._refused(answer.body, answer.text)
        users = first(answer.body, "users") or first(answer.body, "items") or []
        wanted = account.login.casefold()
        return isinstance(users, list) and any(
            wanted in (str(first(user, "email")).casefold(), str(first(user, "emails", 0)).casefold())
            or str(first(user, "nickname")).casefold() == account.user.casefold()
            for user in users
        )

    def _create(self, account: NewAccount) -> bool:
        wanted = {
            "nickname": account.user,
            "departmentId": self._department,
            # The API requires both names: a person without a name gets the account's.
            "name": {"first": account.first_name or account.user, "last": account.last_name or account.user},
            "displayName": account.display_name,
            "password": account.password.reveal(),
            "passwordChangeRequired": False,
            "isAdmin": False,
            "externalId": account.key,
        }
        answer = self._api.ask("POST", f"directory/v1/org/{self._organisation}/users", json=wanted)
        if answer.status in (200, 201):
            return True
        if answer.status == 409:
            return False
        raise self._refused(answer.body, answer.text)

    def _refused(self, body: object, text: str) -> Halted:
        return self._api.refusal(str(first(body, "message") or text))


def _opened(url: ServiceUrl, secret: Secret, settling: float) -> Yandex360:
    return Yandex360(
        api_of(url, url.options.get("api", API), {"Authorization": f"OAuth {secret.reveal()}"}),
        url.place,
        directory=url.options.get("directory", DIRECTORY).rstrip("/"),
        department=int(url.options.get("department", 1)),
        settling_seconds=settling,
    )


register(
    AccountKind(
        name="yandex360",
        place=ServicePlace.NAME,
        example="yandex360://ORG_ID",
        title="Yandex 360",
        secret_is=Phrase(
            "account_secret_of_yandex360", "an OAuth token with directory:read_users and directory:write_users"
        ),
        open=_opened,
        options=frozenset({"department", "directory", "api"}),
        settling_seconds=900,
        numbered=True,
    )
)
