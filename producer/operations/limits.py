"""Limits on connections and rates, as the operator sets them."""

from __future__ import annotations

from typing import Final

from producer.intake.wanted import read_size
from shared.model.errors import UsageError
from shared.model.rates import MOST_RATE, RATES, is_rate
from shared.store import SCOPES

#: What a limit and a rate may be; of a rate 0 is no cap, of a limit it stops everybody.
_LIMIT: Final = "a limit is a number from 0 (nobody connects) to 10000, or: default"
_RATE: Final = "a rate is a number of messages or bytes, e.g. 500 or 2GB; 0 (no cap), or: default"


def numbers_of(scope: str) -> str:
    """Returns the sentence that says which numbers this limit or rate takes."""
    return _RATE if is_rate(scope) else _LIMIT


def check_limit(scope: str, most: int | None) -> None:
    """Raises `UsageError` for a limit on connections or on a rate that nobody may set.

    `scope` is a scope, one key of it as "scope:key", or a rate of either, as "scope.bytes_per_day:key". None restores
    the default.
    """
    kind, _, rate = scope.split(":", 1)[0].partition(".")
    if kind not in SCOPES or (is_rate(scope) and rate not in RATES):
        raise UsageError(
            f"{scope!r} is no limit; the limits are {', '.join(SCOPES)}, each also for one server or account, e.g. "
            f"source_host:mail.example.org, and of each the rates {', '.join(RATES)}, e.g. source_account.bytes_per_day"
        )
    if is_rate(scope):
        if most is not None and not 0 <= most <= MOST_RATE:
            raise UsageError(_RATE)
    elif most is not None and not 0 <= most <= 10_000:
        raise UsageError(_LIMIT)


def read_limit(scope: str, text: str) -> int | None:
    """Reads a limit for `Operations.set_limit` as the operator writes it: "16", "2GB" for a rate of bytes, "default".

    Raises `UsageError`.
    """
    if text == "default":
        return None
    if is_rate(scope) and ".bytes" in scope:
        if not text:
            raise UsageError("give a number of bytes, e.g. 2GB; 0 (no cap), or: default")
        return read_size(text)
    if not (text.isascii() and text.isdecimal()):
        if is_rate(scope):
            raise UsageError("give a number of messages, or: default")
        raise UsageError("give a number of connections, or: default")
    return int(text)
