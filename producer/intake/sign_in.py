"""The part of a request that tells how to sign in to both sides: reads options, secret files and prompts.

A row's own password takes precedence over the import's way to sign in. At the destination a row's own password is one
given as new_password.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from producer.intake.manifest import Row
from shared.mail.auth.sasl import PASSWORD_MECHANISMS
from shared.model import Endpoint
from shared.model.errors import UsageError
from shared.model.sign_in import BY_ADMIN, BY_ISSUER, USUAL_TEMPLATE, SignIn, Way
from shared.oauth.opening import open_issuer
from shared.runtime.credentials import Secret

#: Longest content of a secret file, in bytes. The longest secret is a key in JSON.
_MOST_BYTES: Final = 64 * 1024
#: Number of rows named in one sentence.
_NAMED: Final = 10
_JSON_WAYS: Final = frozenset({Way.GOOGLE, Way.MICROSOFT})


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInAsked:
    """The way to sign in to one side, and its secret."""

    #: How to sign in; holds no secret.
    sign_in: SignIn = SignIn()
    #: The administrator's password, the token or the key; empty when there is none.
    secret: Secret = Secret("")

    @property
    def by_rows(self) -> bool:
        """Tells whether each row signs in with a password or token of its own."""
        return self.sign_in.way in (Way.PASSWORD, Way.TOKEN) and not self.secret

    def own(self, side: str, row: Row) -> Secret | None:
        """Returns the row's own secret; None if the row signs in as the import does."""
        if side == "source":
            return row.password or None
        return row.new_password or None if self.by_rows or row.own_new_password else None

    def of(self, side: str, row: Row) -> tuple[SignIn, Secret]:
        """Returns how this row signs in, and its secret."""
        own = self.own(side, row)
        return (self.sign_in.own, own) if own else (self.sign_in, self.secret)


def own_sign_in(sign_in: SignIn) -> SignIn:
    """Returns how a row with a secret of its own signs in.

    It uses its password, or its token if the import signs in by tokens that the operator gives.
    """
    return sign_in if sign_in.way in (Way.PASSWORD, Way.TOKEN) else SignIn()


def read_sign_in(side: str, text: str, admin: str, secret_file: str) -> SignInAsked:
    """Reads ``--source-auth``, ``--source-admin`` and ``--source-password-file`` (or the destination's).

    Raises `UsageError`. Does not prompt.
    """
    sign_in = named_sign_in(side, text, admin)
    return SignInAsked(
        sign_in=sign_in, secret=read_secret(side, sign_in.way, secret_file) if secret_file else Secret("")
    )


def named_sign_in(side: str, text: str, admin: str) -> SignIn:
    """Reads the way to sign in, without its secret. Raises `UsageError`."""
    name, _, detail = (text or (Way.MASTER if admin else Way.PASSWORD)).partition(":")
    option = f"--{side}-auth"
    try:
        way = Way(name.lower())
    except ValueError:
        raise UsageError(f"{option}: {name!r} is none of {', '.join(Way)}") from None
    if way in BY_ADMIN and not admin:
        raise UsageError(f"{option} {way} needs --{side}-admin LOGIN")
    if admin and way not in BY_ADMIN:
        raise UsageError(f"--{side}-admin goes with {option} {', '.join(sorted(BY_ADMIN))}, not with {way}")
    return SignIn(way=way, admin=admin, detail=_detail(option, way, detail))


def _detail(option: str, way: Way, detail: str) -> str:
    if way is Way.PASSWORD:
        if detail and detail.upper() not in PASSWORD_MECHANISMS:
            raise UsageError(f"{option}: {detail!r} is none of {', '.join(PASSWORD_MECHANISMS)}")
        return detail.upper()
    if way is Way.MASTER:
        detail = detail or USUAL_TEMPLATE
        if "{admin}" not in detail or not any(blank in detail for blank in ("{user}", "{local}")):
            raise UsageError(f"{option}: the login of a master user needs the names of both, as in {USUAL_TEMPLATE}")
        return detail
    if way in (Way.AUTHZID, Way.PROXYAUTH, Way.TOKEN) and detail:
        raise UsageError(f"{option} {way} takes nothing behind a colon")
    if not detail.isprintable():
        raise UsageError(f"{option}: holds a control character")
    return detail


def read_secret(side: str, way: Way, path: str) -> Secret:
    """Reads the file of ``--source-password-file`` (or the destination's). Raises `UsageError`."""
    option = f"--{side}-password-file"
    if way is Way.COMMAND:
        raise UsageError(f"{option}: a token command needs none; it may read its own secret")
    try:
        with Path(path).expanduser().open("rb") as file:
            text = file.read(_MOST_BYTES + 1).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{option}: {path} cannot be read ({reason})") from None
    try:
        return secret_of(way, text)
    except UsageError:
        raise UsageError(f"{option}: {path} is empty, or holds more than one line") from None


def secret_of(way: Way, text: str) -> Secret:
    """Checks the administrator's password, the token or the key. Raises `UsageError`, whose text does not hold it."""
    text = text.strip() if way in _JSON_WAYS else text.removesuffix("\n").removesuffix("\r")
    if not 0 < len(text) <= _MOST_BYTES or (way not in _JSON_WAYS and not text.isprintable()):
        raise UsageError("the secret is empty, or holds more than one line")
    return Secret(text)


def complete(
    side: str, endpoint: Endpoint, asked: SignInAsked, rows: Sequence[Row], *, promised: bool = False
) -> SignInAsked:
    """Prompts for the secret if one is missing, and checks it as far as that needs no server.

    `promised` tells that missing passwords will be generated. Raises `UsageError`.
    """
    named = lacking(side, asked, rows)
    if not named or (promised and asked.by_rows):
        return asked
    if asked.by_rows:
        raise UsageError(
            f"these rows give no password for the {side}: {named}; write it, or give --{side}-password-file, "
            f"--{side}-admin or --{side}-auth"
        )
    if not asked.secret and asked.sign_in.way is not Way.COMMAND:
        asked = replace(asked, secret=_prompt(side, asked.sign_in))
    _opens(side, endpoint, asked)
    return asked


def lacking(side: str, asked: SignInAsked, rows: Sequence[Row]) -> str:
    """Lists the first rows that give no password of their own; "" when each does."""
    lines = [str(row.line) for row in rows if asked.own(side, row) is None]
    return ", ".join(lines[:_NAMED]) + (" …" if lines[_NAMED:] else "")


def renewed(side: str, endpoint: Endpoint, asked: SignInAsked, read: Callable[[Way], Secret]) -> Secret:
    """Returns the new secret of this side: what `read` gives for its way to sign in. Raises `UsageError`."""
    way = asked.sign_in.way
    if asked.by_rows or way is Way.COMMAND:
        whose = "a token command" if way is Way.COMMAND else "each mailbox's own password"
        raise UsageError(f"{side}: the import signs in with {whose} there, so there is nothing to be given for all")
    secret = read(way)
    _opens(side, endpoint, replace(asked, secret=secret))
    return secret


def _opens(side: str, endpoint: Endpoint, asked: SignInAsked) -> None:
    """Checks whether the secret can get tokens, as far as that needs no server. Raises `UsageError`."""
    way = asked.sign_in.way
    if way not in BY_ISSUER:
        return
    try:
        issuer = open_issuer(side, endpoint.protocol, asked.sign_in, asked.secret)
        if check := getattr(issuer, "check", None):
            check()
    except UsageError as error:
        raise UsageError(f"--{side}-auth {way}: {error}") from None


def _prompt(side: str, sign_in: SignIn) -> Secret:
    option = f"--{side}-password-file FILE"
    if sign_in.way in _JSON_WAYS:
        raise UsageError(f"--{side}-auth {sign_in.way} needs its key as {option}")
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise UsageError(f"give {option} with the password of {sign_in.admin} at the {side}") from None
    try:
        given = getpass.getpass(f"Password of {sign_in.admin} at the {side}: ")
    except EOFError:
        given = ""
    if not given:
        raise UsageError(f"no password was given for {sign_in.admin} at the {side}")
    return Secret(given)
