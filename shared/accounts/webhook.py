"""A signed POST for each account: the hook's counterpart over HTTP.

Mailhaul-Timestamp: 1764201600
Mailhaul-Signature: v1=<hex of HMAC-SHA256(secret, timestamp "." body)>
Idempotency-Key: <the same for the same action and account>
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from shared.accounts import Intend, NewAccount
from shared.accounts.api import Api, Halted, api_of
from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, register
from shared.accounts.said import outcome_of, request_of
from shared.model.accounts import Adopted, Created, Ensured, Looked, Missing, Rejected
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

ANSWERS_404: Final = Phrase("answers_404", "{service} answers 404")

CHECK_PATH_IN_ACCOUNTS: Final = Phrase("check_path_in_accounts", "check the path in --accounts")

#: Status → result. Any other status is a rejection; 429, 5xx, 401 and 403 mean the same as for every API.
RESULTS: Final[Mapping[int, str]] = {201: "created", 200: "adopted", 409: "adopted", 404: "missing"}


class Webhook:
    """The webhook at one address."""

    def __init__(
        self, api: Api, secret: Secret, *, settling_seconds: float, now: Callable[[], float] = time.time
    ) -> None:
        self._api, self._secret, self._now = api, secret, now
        self.settling_seconds = settling_seconds

    def ensure(self, account: NewAccount, intend: Intend) -> Ensured:
        """Makes the account as `AccountService.ensure` says."""
        intend()
        outcome = self._ask("ensure", account)
        if isinstance(outcome, Missing):
            return Rejected(reason=ANSWERS_404.says(service=self._api.shown), advice=CHECK_PATH_IN_ACCOUNTS.says())
        return outcome

    def look(self, account: NewAccount) -> Looked:
        """Looks for the account as `AccountService.look` says."""
        outcome = self._ask("look", account)
        return Missing() if isinstance(outcome, Created) else outcome

    def close(self) -> None:
        """Closes the connections."""
        self._api.close()

    def _ask(self, action: str, account: NewAccount) -> Created | Adopted | Missing | Any:
        body = request_of(action, account)
        stamp = str(int(self._now()))
        headers = {
            "Content-Type": "application/json",
            "Mailhaul-Timestamp": stamp,
            "Mailhaul-Signature": "v1=" + signature(self._secret, stamp, body),
            "Idempotency-Key": f"{action}-{account.key}",
        }
        try:
            answer = self._api.ask("POST", "", content=body, headers=headers)
        except Halted as halted:
            return halted.outcome
        fields = answer.body if isinstance(answer.body, dict) else {"reason": answer.text or f"status {answer.status}"}
        return outcome_of(RESULTS.get(answer.status, "rejected"), fields, self._api.shown)


def signature(secret: Secret, stamp: str, body: bytes) -> str:
    """Returns the HMAC-SHA256 over time stamp, a dot and the body, in hex."""
    return hmac.new(secret.reveal().encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _opened(url: ServiceUrl, secret: Secret, settling: float) -> Webhook:
    return Webhook(api_of(url, url.place, {}), secret, settling_seconds=settling)


register(
    AccountKind(
        name="webhook",
        place=ServicePlace.HTTP,
        example="webhook+https://host/path",
        title="Webhook",
        secret_is=Phrase("account_secret_of_webhook", "the key of the signature"),
        open=_opened,
        settling_seconds=120,
    )
)
