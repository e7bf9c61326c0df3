"""The JSON objects that hooks and webhooks of a switch are sent, and those that they may answer.

docs/switching.md is the contract.
"""

from __future__ import annotations

import json
from typing import Any, Final

from shared.accounts.api import shortened
from shared.model.accounts import Rejected, Retry
from shared.model.sides import Side
from shared.switching import (
    SwitchedMailbox,
    Turned,
    TurnedBefore,
    TurnLater,
    TurnOutcome,
    TurnRefused,
)
from shared.wording.often_said import ASKS_TO_WAIT_S, SAYS_NO, SERVICE_SAYS
from shared.wording.phrases import Phrase

CHECK_URL_OF_SWITCH: Final = Phrase("check_url_of_switch", "check its URL in MAILHAUL_SWITCHES, and its secret")
TURNS_IT: Final = Phrase("turns_it", "{switch} turns it")
SAYS_THAT_IT_STANDS: Final = Phrase("says_that_it_stands", "{switch} says that it stands so")

VERSION: Final = 1
_USUAL_WAIT: Final = 30.0
_LONGEST_WAIT: Final = 6 * 3600.0


def request_of(action: str, mailbox: SwitchedMailbox, to: Side) -> bytes:
    """Returns the request; `action` is "rehearse" or "turn"."""
    return json.dumps(
        {
            "version": VERSION,
            "action": action,
            "to": str(to),
            "address": mailbox.address,
            "domain": mailbox.domain,
            "old_login": mailbox.old_login,
            "new_login": mailbox.new_login,
            "old_host": mailbox.old_host,
            "new_host": mailbox.new_host,
            "idempotency_key": mailbox.key,
        },
        ensure_ascii=False,
    ).encode()


def outcome_of(result: str, answer: Any, shown: str) -> TurnOutcome:
    """Reads an answer; `result` is turned, already, later or refused."""
    fields = answer if isinstance(answer, dict) else {}
    said = shortened(str(fields.get("reason") or ""))
    if result == "turned":
        return Turned(words=said or TURNS_IT.says(switch=shown))
    if result == "already":
        return TurnedBefore(words=said or SAYS_THAT_IT_STANDS.says(switch=shown))
    if result == "later":
        wait = max(1.0, _seconds(fields.get("retry_after")))
        words = said or ASKS_TO_WAIT_S.says(service=shown, num=f"{wait:.0f}")
        return TurnLater(after_seconds=wait, words=words, everyone=fields.get("everyone") is True)
    return TurnRefused(
        words=SERVICE_SAYS.says(service=shown, said=said) if said else SAYS_NO.says(service=shown),
        advice=shortened(str(fields.get("advice") or "")),
    )


def translated(outcome: Retry | Rejected) -> TurnLater | TurnRefused:
    """Returns what the statuses of `shared.accounts.api` mean for a switch."""
    if isinstance(outcome, Retry):
        return TurnLater(after_seconds=outcome.after_seconds, words=outcome.why, everyone=outcome.everyone)
    return TurnRefused(words=outcome.reason, advice=CHECK_URL_OF_SWITCH.says())


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return _USUAL_WAIT
    return min(float(value), _LONGEST_WAIT)
