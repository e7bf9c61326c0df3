"""The JSON objects that hooks and webhooks are sent, and those that they may answer. docs/accounts.md is the contract."""

from __future__ import annotations

import json
from typing import Any, Final

from shared.accounts import NewAccount
from shared.accounts.api import shortened
from shared.model.accounts import Adopted, Created, Missing, Rejected, Retry
from shared.wording.often_said import ASKS_TO_WAIT_S, SAYS_NO, SERVICE_SAYS

VERSION: Final = 1
_USUAL_WAIT: Final = 30.0
_LONGEST_WAIT: Final = 6 * 3600.0


def request_of(action: str, account: NewAccount) -> bytes:
    """Returns the request; `action` is "ensure" or "look". For a look it holds no password."""
    told: dict[str, Any] = {
        "version": VERSION,
        "action": action,
        "login": account.login,
        "first_name": account.first_name,
        "last_name": account.last_name,
        "quota_bytes": account.quota_bytes,
        "idempotency_key": account.key,
    }
    if action == "ensure":
        told["password"] = account.password.reveal()
    return json.dumps(told, ensure_ascii=False).encode()


def outcome_of(result: str, answer: Any, shown: str) -> Created | Adopted | Missing | Retry | Rejected:
    """Reads an answer; `result` is created, adopted, missing, retry or rejected."""
    fields = answer if isinstance(answer, dict) else {}
    said = shortened(str(fields.get("reason") or ""))
    if result == "created":
        return Created(ready_seconds=_seconds(fields.get("ready_after"), 0.0))
    if result == "adopted":
        return Adopted()
    if result == "missing":
        return Missing()
    if result == "retry":
        everyone = fields.get("everyone") is True
        wait = max(1.0, _seconds(fields.get("retry_after"), _USUAL_WAIT))
        return Retry(
            after_seconds=wait, why=said or ASKS_TO_WAIT_S.says(service=shown, num=f"{wait:.0f}"), everyone=everyone
        )
    return Rejected(
        reason=SERVICE_SAYS.says(service=shown, said=said) if said else SAYS_NO.says(service=shown),
        advice=shortened(str(fields.get("advice") or "")),
    )


def _seconds(value: Any, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        return default
    return min(float(value), _LONGEST_WAIT)
