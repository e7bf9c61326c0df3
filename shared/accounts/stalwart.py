"""Stalwart from 0.16 on: accounts are objects of its JMAP (RFC 8620) under the capability `urn:stalwart:jmap`.

It answers every request with 200; refusals stand in `notCreated`. Lists are objects with "0", "1", … for keys.
"""

from __future__ import annotations

from typing import Any, Final

from shared.accounts import NewAccount
from shared.accounts.api import Halted, api_of, login_header
from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, register
from shared.accounts.looking_first import LooksFirst, first, needs_address
from shared.model.accounts import Rejected
from shared.runtime.secret import Secret
from shared.wording.often_said import ANSWERS_AND_NO_JMAP
from shared.wording.phrases import Phrase

NO_WORD_OF_ACCOUNT: Final = Phrase("no_word_of_account", "no word of the account")
HAS_NO_DOMAIN: Final = Phrase("has_no_domain", "{service} has no domain {domain}")
ADD_DOMAIN_THEN_RETRY: Final = Phrase("add_domain_then_retry", "add the domain there, then: mailhaul retry {id}")
GIVE_STRONGER_NEW_PASSWORD: Final = Phrase(
    "give_stronger_new_password", "give a stronger new_password in the file, or --generate-passwords"
)
CHECK_HOST_OF_STALWART: Final = Phrase(
    "check_host_of_stalwart", "check the host in --accounts; Stalwart before 0.16 is reached by a hook"
)

_USING: Final = ["urn:ietf:params:jmap:core", "urn:stalwart:jmap"]
_TAKEN: Final = ("primaryKeyViolation", "alreadyExists")


class Stalwart(LooksFirst):
    """A Stalwart server."""

    def _find(self, account: NewAccount) -> bool:
        needs_address(account)
        wanted = account.login.casefold()
        filter_ = {"name": account.user, "domainId": self._domain(account)}
        return any(
            str(first(one, "emailAddress")).casefold() == wanted and first(one, "@type") in ("User", None)
            for one in self._search("Account", filter_, ["@type", "name", "emailAddress"])
        )

    def _create(self, account: NewAccount) -> bool:
        wanted: dict[str, Any] = {
            "@type": "User",
            "name": account.user,
            "domainId": self._domain(account),
            "description": account.display_name,
            "credentials": {"0": {"@type": "Password", "secret": account.password.reveal()}},
            "roles": {"@type": "User"},
            "permissions": {"@type": "Inherit"},
            "encryptionAtRest": {"@type": "Disabled"},
            "aliases": {},
            "memberGroupIds": {},
        }
        if account.quota_bytes is not None:
            wanted["quotas"] = {"maxDiskQuota": account.quota_bytes}
        answer = self._call("x:Account/set", {"create": {"n1": wanted}})
        if first(answer, "created", "n1") is not None:
            return True
        kind = str(first(answer, "notCreated", "n1", "type") or NO_WORD_OF_ACCOUNT.says())
        if kind in _TAKEN:
            return False
        said = str(first(answer, "notCreated", "n1", "description") or "")
        fields = first(answer, "notCreated", "n1", "properties")
        weak = isinstance(fields, list) and any(
            "secret" in str(field) or "credentials" in str(field) for field in fields
        )
        named = f" ({', '.join(map(str, fields))})" if isinstance(fields, list) and fields else ""
        told = f"{kind}{named}{': ' + said if said else ''}"
        raise self._api.refusal(told, GIVE_STRONGER_NEW_PASSWORD.says() if weak else "")

    def _domain(self, account: NewAccount) -> str:
        for one in self._search("Domain", {"name": account.domain}, ["id", "name"]):
            if str(first(one, "name")).casefold() == account.domain.casefold():
                return str(first(one, "id"))
        raise Halted(
            Rejected(
                reason=HAS_NO_DOMAIN.says(service=self._api.shown, domain=account.domain),
                advice=ADD_DOMAIN_THEN_RETRY.says(id="IMPORT"),
            )
        )

    def _search(self, kind: str, filter_: dict[str, Any], properties: list[str]) -> list[Any]:
        """Returns the objects that the filter finds, which may be more than those that match exactly."""
        query, get = f"x:{kind}/query", f"x:{kind}/get"
        found = self._calls(
            [query, {"filter": filter_}, "q"],
            [get, {"#ids": {"resultOf": "q", "name": query, "path": "/ids"}, "properties": properties}, "g"],
        )
        shown = first(found, "list")
        return list(shown.values()) if isinstance(shown, dict) else shown if isinstance(shown, list) else []

    def _call(self, method: str, arguments: dict[str, Any]) -> Any:
        return self._calls([method, arguments, "c1"])

    def _calls(self, *calls: list[Any]) -> Any:
        """Makes the calls in one request. Returns the answer to the last."""
        answer = self._api.ask("POST", "jmap", json={"using": _USING, "methodCalls": list(calls)})
        said = first(answer.body, "methodResponses")
        if answer.status != 200 or not isinstance(said, list) or not said:
            raise Halted(
                Rejected(
                    reason=ANSWERS_AND_NO_JMAP.says(service=self._api.shown, status=answer.status, said=answer.text),
                    advice=CHECK_HOST_OF_STALWART.says(),
                )
            )
        for one in said:
            if first(one, 0) == "error":
                words = ", ".join(str(word) for key in ("type", "description") if (word := first(one, 1, key)))
                raise self._api.refusal(words)
        return first(said, -1, 1)


def _opened(url: ServiceUrl, secret: Secret, _: float) -> Stalwart:
    return Stalwart(api_of(url, url.place, login_header(secret)))


register(
    AccountKind(
        name="stalwart",
        place=ServicePlace.HTTP,
        example="stalwart+https://host",
        title="Stalwart",
        secret_is=Phrase("account_secret_of_stalwart", "an API key, or user:password"),
        open=_opened,
    )
)
