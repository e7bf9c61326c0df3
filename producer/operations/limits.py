"""Limits on connections and rates, as the operator sets them."""

from __future__ import annotations

from typing import Final

from producer.intake.wanted import read_size
from shared.model.rates import MOST_RATE, RATES, is_rate
from shared.store import SCOPES
from shared.wording.phrases import Phrase

NO_LIMIT: Final = Phrase(
    "limit_unknown",
    "{scope} is no limit; the limits are {names}, each also for one server or account, e.g. "
    "source_host:mail.example.org, and of each the rates {rates}, e.g. source_account.bytes_per_day",
)
NO_CONNECTIONS: Final = Phrase("limit_of_connections", "give a number of connections, or: default")
NO_BYTES: Final = Phrase("rate_of_bytes", "give a number of bytes, e.g. 2GB; 0 (no cap), or: default")
NO_MESSAGES: Final = Phrase("rate_of_messages", "give a number of messages, or: default")

#: The values that a limit and a rate may have; a rate of 0 is no cap, a limit of 0 stops everybody.
LIMIT: Final = Phrase("limit_out_of_bounds", "a limit is a number from 0 (nobody connects) to 10000, or: default")
RATE: Final = Phrase(
    "rate_out_of_bounds",
    "a rate is a number of messages or bytes, e.g. 500 or 2GB; 0 (no cap), or: default",
)


def numbers_of(scope: str) -> Phrase:
    """Returns the phrase that says which numbers this limit or rate takes."""
    return RATE if is_rate(scope) else LIMIT


def check_limit(scope: str, most: int | None) -> None:
    """Raises `UsageError` for a limit on connections or on a rate that nobody may set.

    `scope` is a scope, one key of it as "scope:key", or a rate of either, as "scope.bytes_per_day:key". None restores
    the default.
    """
    kind, _, rate = scope.split(":", 1)[0].partition(".")
    if kind not in SCOPES or (is_rate(scope) and rate not in RATES):
        raise NO_LIMIT.error(scope=f"{scope!r}", names=", ".join(SCOPES), rates=", ".join(RATES))
    if is_rate(scope):
        if most is not None and not 0 <= most <= MOST_RATE:
            raise RATE.error()
    elif most is not None and not 0 <= most <= 10_000:
        raise LIMIT.error()


def read_limit(scope: str, text: str) -> int | None:
    """Reads a limit for `Operations.set_limit` as the operator writes it: "16", "2GB" for a rate of bytes, "default".

    Raises `UsageError`.
    """
    if text == "default":
        return None
    if is_rate(scope) and ".bytes" in scope:
        if not text:
            raise NO_BYTES.error()
        return read_size(text)
    if not (text.isascii() and text.isdecimal()):
        if is_rate(scope):
            raise NO_MESSAGES.error()
        raise NO_CONNECTIONS.error()
    return int(text)
