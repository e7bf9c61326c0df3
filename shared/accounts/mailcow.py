"""mailcow's API (`/api/v1`): it answers every request with 200, and the result stands in the body."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import quote

from shared.accounts import NewAccount
from shared.accounts.api import Halted, ServiceAnswer, api_of
from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, register
from shared.accounts.looking_first import LooksFirst, first, needs_address
from shared.model.accounts import Rejected
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

ADD_DOMAIN_IN_MAILCOW: Final = Phrase("add_domain_in_mailcow", "add the domain in mailcow, then: mailhaul retry {id}")
GIVE_SMALLER_QUOTA_IN_FILE: Final = Phrase(
    "give_smaller_quota_in_file", "give a smaller quota in the file, or allow larger mailboxes in mailcow's domain"
)
RAISE_QUOTA_OF_DOMAIN: Final = Phrase(
    "raise_quota_of_domain", "raise the quota of mailcow's domain, then: mailhaul retry {id}"
)
ALLOW_MORE_MAILBOXES: Final = Phrase(
    "allow_more_mailboxes", "allow more mailboxes in mailcow's domain, then: mailhaul retry {id}"
)
GIVE_LONGER_NEW_PASSWORD: Final = Phrase(
    "give_longer_new_password", "give a longer new_password in the file, or --generate-passwords"
)
GIVE_KEY_OF_MAILCOW_API: Final = Phrase(
    "give_key_of_mailcow_api", "give the key of mailcow's read-write API (--accounts-secret-file)"
)
NOT_AN_ANSWER_OF_MAILCOW: Final = Phrase(
    "not_an_answer_of_mailcow", "{service} answers {status} and no JSON of mailcow's: {said}"
)
CHECK_HOST_IN_ACCOUNTS: Final = Phrase("check_host_in_accounts", "check the host in --accounts")

_ADVICE: Final = {
    "domain_not_found": ADD_DOMAIN_IN_MAILCOW.says(id="IMPORT"),
    "mailbox_quota_exceeded": GIVE_SMALLER_QUOTA_IN_FILE.says(),
    "mailbox_quota_left_exceeded": RAISE_QUOTA_OF_DOMAIN.says(id="IMPORT"),
    "max_mailbox_exceeded": ALLOW_MORE_MAILBOXES.says(id="IMPORT"),
    "password_complexity": GIVE_LONGER_NEW_PASSWORD.says(),
    "access_denied": GIVE_KEY_OF_MAILCOW_API.says(),
}
_TAKEN: Final = ("object_exists", "is_alias_or_mailbox", "mailbox_exists")


class Mailcow(LooksFirst):
    """A mailcow server."""

    def _find(self, account: NewAccount) -> bool:
        needs_address(account)
        found = self._read(f"get/mailbox/{quote(account.login, safe='@')}")
        return isinstance(found, dict) and str(found.get("username", "")).casefold() == account.login.casefold()

    def _create(self, account: NewAccount) -> bool:
        password = account.password.reveal()
        wanted = {
            "local_part": account.user,
            "domain": account.domain,
            "name": account.display_name,
            "authsource": "mailcow",
            "password": password,
            "password2": password,
            "quota": str(self._quota_mib(account)),
            "active": "1",
            "force_pw_update": "0",
            "tls_enforce_in": "0",
            "tls_enforce_out": "0",
        }
        answer = self._api.ask("POST", "add/mailbox", json=wanted)
        said = [(kind, [str(word) for word in words]) for kind, words in _messages(answer)]
        if any(kind == "success" for kind, _ in said) and all(kind != "danger" for kind, _ in said):
            return True
        wrong = next((words for kind, words in said if kind in ("danger", "error")), None)
        if wrong is None:
            raise self._odd(answer)
        if wrong[0] in _TAKEN:
            return False
        raise self._api.refusal(" ".join(wrong), _ADVICE.get(wrong[0], ""))

    def _quota_mib(self, account: NewAccount) -> int:
        if account.quota_bytes is not None:
            return max(1, -(-account.quota_bytes // 1024**2))
        # No quota and 0 both mean "without limit" to mailcow, which is not the domain's default.
        domain = self._read(f"get/domain/{quote(account.domain, safe='')}")
        usual = str(first(domain, "def_new_mailbox_quota") or "")
        return int(usual) // 1024**2 if usual.isascii() and usual.isdigit() else 0

    def _read(self, path: str) -> Any:
        answer = self._api.ask("GET", path)
        if answer.status != 200 or not isinstance(answer.body, dict | list):
            raise self._odd(answer)
        if first(answer.body, "type") in ("error", "danger"):
            raise self._api.refusal(str(first(answer.body, "msg")))
        return answer.body

    def _odd(self, answer: ServiceAnswer) -> Halted:
        said = NOT_AN_ANSWER_OF_MAILCOW.says(service=self._api.shown, status=answer.status, said=answer.text)
        return Halted(Rejected(reason=said, advice=CHECK_HOST_IN_ACCOUNTS.says()))


def _messages(answer: ServiceAnswer) -> list[tuple[str, list[Any]]]:
    """Returns (type, words) of each message."""
    found = answer.body if isinstance(answer.body, list) else [answer.body]
    said = [(str(one.get("type", "")), one.get("msg")) for one in found if isinstance(one, dict)]
    return [(kind, words if isinstance(words, list) and words else [words or kind]) for kind, words in said]


def _opened(url: ServiceUrl, secret: Secret, _: float) -> Mailcow:
    return Mailcow(api_of(url, f"{url.place}/api/v1", {"X-API-Key": secret.reveal()}))


register(
    AccountKind(
        name="mailcow",
        place=ServicePlace.HTTP,
        example="mailcow+https://host",
        title="mailcow",
        secret_is=Phrase("account_secret_of_mailcow", "the read-write API key"),
        open=_opened,
    )
)
