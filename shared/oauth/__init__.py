"""OAuth 2 access tokens for mail: who gives them out, and how all workers share one.

An `Issuer` asks for a token, over the network or from a program, and knows nothing of sharing; `shared.oauth.tokens`
asks it when no token is at hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from shared.credentials import Secret


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """An access token."""

    #: The token.
    secret: Secret
    #: How long it may be used, seconds from when it was given.
    seconds: float


class Issuer(Protocol):
    """Gives out tokens. Used by several threads."""

    #: Whether each account has a token of its own; else one is for all.
    per_user: bool

    def issue(self, user: str) -> Token:
        """A fresh token that lets in to this user's mailbox. Raises `AuthorizationRefused` when just this user has none,
        `AuthenticationRefused` when nobody has, `Unreachable` and `Throttled`."""
