"""Bodies of requests that say how to sign in to accounts whose row gives no password. Pure."""

from __future__ import annotations

import json
from typing import Final

from pydantic import Field, SecretStr

from producer.intake.sign_in import SignInAsked, named_sign_in, secret_of
from producer.web.api.body import Body
from shared.model.errors import UsageError
from shared.model.sign_in import Way
from shared.runtime.credentials import Secret

#: The URL at which Google issues tokens.
_GOOGLE: Final = "https://oauth2.googleapis.com/token"
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

    def asked(self, side: str) -> SignInAsked:
        """Returns the way to sign in and its secret. Raises `UsageError`."""
        try:
            sign_in = named_sign_in(side, self.way, self.admin)
            text = self.secret.get_secret_value()
            if sign_in.way is Way.COMMAND:
                raise UsageError("a token command is a program of a machine: it is for the command line")
            if not text and sign_in.way not in (Way.PASSWORD, Way.TOKEN):
                raise UsageError(f"{side}.sign_in.secret: {sign_in.way} needs one")
            at_the_vendor(sign_in.way, text)
            return SignInAsked(sign_in=sign_in, secret=secret_of(sign_in.way, text) if text else Secret(""))
        except UsageError as error:
            raise by_names_of_body(side, error) from None


def by_names_of_body(side: str, error: UsageError) -> UsageError:
    """Returns the error with the options of the command line replaced by the field names of the body."""
    told = str(error)
    for option, field in (("auth", "way"), ("admin", "admin"), ("password-file", "secret")):
        told = told.replace(f"--{side}-{option}", f"{side}.sign_in.{field}")
    return UsageError(told)


def at_the_vendor(way: Way, key: str) -> None:
    """Refuses a key that asks for tokens anywhere but at its vendor. Raises `UsageError`.

    A key file names the URL that workers ask for tokens. A key from a request must not choose it.
    """
    if way not in (Way.GOOGLE, Way.MICROSOFT):
        return
    try:
        known = json.loads(key)
    except ValueError:
        return  # the code that opens the key reports this
    if not isinstance(known, dict):
        return
    where = known.get("token_uri", _GOOGLE) if way is Way.GOOGLE else known.get("authority", "")
    if where and where != _GOOGLE:
        raise UsageError(
            f"the key asks for tokens at {str(where)[:100]!r}: another place than {way}'s own is for the command line"
        )


class SecretsBody(Body):
    """New secrets that sign in for accounts without a password of their own.

    A side that is left out keeps its secret.
    """

    source: SecretStr = Field(default=SecretStr(""), max_length=_MOST_SECRET)
    destination: SecretStr = Field(default=SecretStr(""), max_length=_MOST_SECRET)

    @property
    def given(self) -> dict[str, str]:
        """The secrets that were given, by side."""
        both = {"source": self.source, "destination": self.destination}
        return {side: one.get_secret_value() for side, one in both.items() if one.get_secret_value()}
