"""OAuth 2 access tokens for mail: the issuers, and how all workers share a token.

An `Issuer` requests a token, over the network or from a program, and knows nothing of sharing. `shared.oauth.shared_tokens`
asks it when no token is at hand.
"""

from __future__ import annotations

from typing import Protocol

from shared.nouns import dataclass
from shared.runtime.secret import Secret


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessToken:
    """An access token."""

    #: The token.
    secret: Secret
    #: The time for which the token may be used, seconds from when it was issued.
    seconds: float


class Issuer(Protocol):
    """An issuer of tokens. Several threads use it."""

    #: Whether each account has a token of its own; otherwise one token is for all.
    per_user: bool

    def issue(self, user: str) -> AccessToken:
        """Issues a fresh token for this user's mailbox.

        Raises `AuthorizationRefused` when only this user gets none, `AuthenticationRefused` when no user does,
        `Unreachable` and `Throttled`.
        """
