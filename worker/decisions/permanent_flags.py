"""Decides which flags of a message the destination folder can hold (RFC 9051 §7.1, PERMANENTFLAGS). Pure."""

from __future__ import annotations

from collections.abc import Sequence

_SYSTEM = {"\\seen", "\\answered", "\\flagged", "\\draft", "\\deleted"}


def kept_flags(flags: Sequence[str], permanent: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Splits `flags` into those that the destination folder can hold and the keywords that it cannot.

    RFC 9051 §7.1, PERMANENTFLAGS: without the answer, everything can be stored; with it, only what it lists, or any
    keyword when it lists ``\\*``.
    """
    if not permanent or "\\*" in permanent:
        return tuple(flags), ()
    allowed = {flag.lower() for flag in permanent} | _SYSTEM
    kept = tuple(flag for flag in flags if flag.lower() in allowed)
    return kept, tuple(flag for flag in flags if flag.lower() not in allowed)
