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


def settable_flags(flags: Sequence[str], permanent: frozenset[str]) -> tuple[str, ...]:
    """Returns those flags that a STORE changes for good: a server may refuse all of a command for one that it does not."""
    return tuple(flag for flag in kept_flags(flags, permanent)[0] if flag not in _unlisted(flags, permanent))


def _unlisted(flags: Sequence[str], permanent: frozenset[str]) -> tuple[str, ...]:
    listed = {flag.lower() for flag in permanent}
    return tuple(flag for flag in flags if flag.startswith("\\") and listed and flag.lower() not in listed)


def doubtful_flags(flags: Sequence[str], permanent: frozenset[str]) -> tuple[str, ...]:
    """Returns those flags for which the destination may refuse the message: keywords, and what PERMANENTFLAGS leaves out.

    Where it lists none, that is each of them: the folder may keep all, or none.
    """
    unlisted = _unlisted(flags, permanent) if permanent else flags
    return tuple(flag for flag in flags if not flag.startswith("\\") or flag in unlisted)
