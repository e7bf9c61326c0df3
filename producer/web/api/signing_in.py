"""Bodies of requests that say how to sign in to accounts whose row gives no password. Pure."""

from __future__ import annotations

from typing import Final

from pydantic import Field, SecretStr

from producer.web.api.body import Body
from shared.model.sides import Side

_MOST_SECRET: Final = 65_536


class SignInBody(Body):
    """The way to sign in to accounts whose row gives no password (docs/signing-in.md)."""

    way: str = Field(
        default="",
        max_length=300,
        description="As --source-auth: master, master:{user}*{admin}, authzid, proxyauth, token, google, microsoft; without "
        "one master where there is an admin, else each account's own password.",
    )
    admin: str = Field(default="", max_length=1000, description="The administrator's login, for ways that have one.")
    secret: SecretStr = Field(
        default=SecretStr(""), max_length=_MOST_SECRET, description="Its password, the token, or the key as JSON."
    )


class SecretsBody(Body):
    """New secrets that sign in for accounts without a password of their own.

    A side that is left out keeps its secret.
    """

    source: SecretStr = Field(default=SecretStr(""), max_length=_MOST_SECRET)
    destination: SecretStr = Field(default=SecretStr(""), max_length=_MOST_SECRET)

    @property
    def given(self) -> dict[Side, str]:
        """The secrets that were given, by side."""
        both = {Side.SOURCE: self.source, Side.DESTINATION: self.destination}
        return {side: one.get_secret_value() for side, one in both.items() if one.get_secret_value()}
