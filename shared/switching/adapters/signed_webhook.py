"""A signed POST for each turn: the hook's counterpart over HTTP, signed as the webhook of `shared.accounts`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from shared.model.sides import Side
from shared.runtime.secret import Secret
from shared.switching import SwitchedMailbox, TurnOutcome
from shared.switching.adapters.hook_program import per_domain
from shared.switching.kinds import SwitchKind, SwitchPlace, SwitchUrl, register
from shared.switching.told import outcome_of, request_of, translated

if TYPE_CHECKING:
    from shared.accounts.api import Api

#: Status → result. Any other status is a refusal; 429, 5xx, 401 and 403 mean the same as for every API.
RESULTS: Final[Mapping[int, str]] = {200: "turned", 201: "turned", 204: "turned", 208: "already", 202: "later"}


class WebhookSwitch:
    """The adapter for the webhook at one address."""

    def __init__(self, api: Api, secret: Secret, *, per_domain: bool, now: Callable[[], float] = time.time) -> None:
        self._api, self._secret, self._now = api, secret, now
        self.per_domain, self.shown = per_domain, api.shown

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Asks the webhook to look, as `Switch.rehearse` says."""
        return self._ask("rehearse", mailbox, to)

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Asks the webhook to turn, as `Switch.turn` says."""
        return self._ask("turn", mailbox, to)

    def close(self) -> None:
        """Closes the connections."""
        self._api.close()

    def _ask(self, action: str, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        from shared.accounts.api import Halted
        from shared.accounts.webhook import signature

        body, stamp = request_of(action, mailbox, to), str(int(self._now()))
        headers = {
            "Content-Type": "application/json",
            "Mailhaul-Timestamp": stamp,
            "Mailhaul-Signature": "v1=" + signature(self._secret, stamp, body),
            "Idempotency-Key": f"{action}-{to}-{mailbox.key}",
        }
        try:
            answer = self._api.ask("POST", "", content=body, headers=headers)
        except Halted as halted:
            return translated(halted.outcome)
        fields = answer.body if isinstance(answer.body, dict) else {}
        result = RESULTS.get(answer.status, "refused")
        if result == "turned" and fields.get("result") == "already":
            result = "already"
        if result == "refused" and not fields.get("reason"):
            fields = {**fields, "reason": answer.text or f"status {answer.status}"}
        return outcome_of(result, fields, self.shown)


def _opened(url: SwitchUrl, secret: Secret) -> WebhookSwitch:
    # Imported when it is needed: an HTTP client is half as large as a coordinator.
    from shared.accounts.api import Api, http_client

    client = http_client(url.place, url.shown, {}, ca_file=url.options.get("ca", ""))
    return WebhookSwitch(Api(client, url.shown), secret, per_domain=per_domain(url))


register(
    SwitchKind(
        name="webhook",
        place=SwitchPlace.HTTP,
        example="webhook+https://host/path",
        options=frozenset({"ca", "per"}),
        secretive=True,
        open=_opened,
    )
)
