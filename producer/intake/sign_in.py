"""The part of a request that tells how to sign in to both sides: reads options, secret files and prompts.

A row's own password takes precedence over the import's way to sign in. At the destination a row's own password is one
given as new_password.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from producer.intake.fitting import named_rows
from producer.intake.manifest_row import Row
from shared.content.json_text import read_json
from shared.mail.auth.sasl import PASSWORD_MECHANISMS
from shared.model import Endpoint
from shared.model.errors import UsageError
from shared.model.sides import Side
from shared.model.sign_in import BY_ADMIN, BY_ISSUER, USUAL_TEMPLATE, SignIn, Way
from shared.nouns import dataclass
from shared.oauth.opening import open_issuer
from shared.runtime.secret import Secret
from shared.wording.phrases import Fault, FieldName, Phrase, text_of

NOTHING_SHARED: Final = Phrase(
    "nothing_shared",
    "{side_word}: the import signs in with {what} there, so there is nothing to be given for all",
)
BY_COMMAND: Final = Phrase("by_token_command", "a token command")
BY_ROWS: Final = Phrase("by_own_passwords", "each mailbox's own password")

#: Longest content of a secret file, in bytes. The longest secret is a key in JSON.
_MOST_BYTES: Final = 64 * 1024
_JSON_WAYS: Final = frozenset({Way.GOOGLE, Way.MICROSOFT})
#: The URL at which Google issues tokens.
_GOOGLE: Final = "https://oauth2.googleapis.com/token"

#: The faults that a way to sign in may have.
NONE_OF: Final = Phrase("sign_in_none_of", "{name} is none of {names}")
NEEDS_ADMIN: Final = Phrase("sign_in_without_admin", "{field} {word} needs {admin} LOGIN")
ADMIN_UNUSED: Final = Phrase("sign_in_admin_unused", "{field} goes with {way} {names}, not with {word}")
TEMPLATE: Final = Phrase("sign_in_template", "the login of a master user needs the names of both, as in {place}")
NO_DETAIL: Final = Phrase("sign_in_detail", "{field} {word} takes nothing behind a colon")
UNPRINTABLE: Final = Phrase("sign_in_unprintable", "holds a control character")
#: The faults that its secret may have.
COMMAND_SECRET: Final = Phrase("secret_of_command", "a token command needs none; it may read its own secret")
UNREADABLE: Final = Phrase("file_unreadable", "{path} cannot be read ({cause})")
NOT_TEXT: Final = Phrase("file_no_text", "{path} cannot be read (it is not text)")
SECRET: Final = Phrase("secret_impossible", "the secret is empty, or holds more than one line")
SECRET_FILE: Final = Phrase("secret_file_impossible", "{path} is empty, or holds more than one line")
SECRET_NEEDED: Final = Phrase("secret_needed", "{word} needs one")
KEY_NEEDED: Final = Phrase("key_needed", "{word} needs its key")
PROGRAM: Final = Phrase("sign_in_program", "a token command is a program of a machine: it is for the command line")
ELSEWHERE: Final = Phrase(
    "key_elsewhere",
    "the key asks for tokens at {place}: another place than {vendor}'s own is for the command line",
)
ROWS: Final = Phrase(
    "row_without_password",
    "these rows give no password for the {side_word}: {rows}; write it, or give {secret}, {admin} or {way}",
    headed=False,
)
KEY_FILE: Final = Phrase("key_file_needed", "{way} {word} needs its key as {field} FILE")
NO_TERMINAL: Final = Phrase("no_terminal", "give {secret} FILE with the password of {name} at the {side_word}")
NOTHING_TYPED: Final = Phrase("nothing_typed", "no password was given for {name} at the {side_word}")
NO_TOKENS: Final = Phrase("no_tokens", "{field} {word}: {what}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SignInAsked:
    """The way to sign in to one side, and its secret."""

    #: The way to sign in; it holds no secret.
    sign_in: SignIn = SignIn()
    #: The administrator's password, the token or the key; empty when there is none.
    secret: Secret = Secret("")

    @property
    def by_rows(self) -> bool:
        """Tells whether each row signs in with a password or token of its own."""
        return self.sign_in.way in (Way.PASSWORD, Way.TOKEN) and not self.secret

    def own(self, side: Side, row: Row) -> Secret | None:
        """Returns the row's own secret; None if the row signs in as the import does."""
        if side == Side.SOURCE:
            return row.password or None
        return row.new_password or None if self.by_rows or row.own_new_password else None

    def of(self, side: Side, row: Row) -> tuple[SignIn, Secret]:
        """Returns how this row signs in, and its secret."""
        own = self.own(side, row)
        return (self.sign_in.own, own) if own else (self.sign_in, self.secret)


def named_sign_in(side: Side, text: str, admin: str) -> SignIn:
    """Reads the way to sign in, without its secret. Raises `FaultsFound`."""
    name, _, detail = (text or (Way.MASTER if admin else Way.PASSWORD)).partition(":")
    field, admins = f"{side}.sign_in.way", f"{side}.sign_in.admin"
    try:
        way = Way(name.lower())
    except ValueError:
        raise NONE_OF.error(field, name=repr(name), names=", ".join(Way)) from None
    if way in BY_ADMIN and not admin:
        raise NEEDS_ADMIN.error(field, word=way, admin=FieldName(admins))
    if admin and way not in BY_ADMIN:
        raise ADMIN_UNUSED.error(admins, way=FieldName(field), names=", ".join(sorted(BY_ADMIN)), word=way)
    return SignIn(way=way, admin=admin, detail=_detail(field, way, detail))


def _detail(field: str, way: Way, detail: str) -> str:
    if way is Way.PASSWORD:
        if detail and detail.upper() not in PASSWORD_MECHANISMS:
            raise NONE_OF.error(field, name=repr(detail), names=", ".join(PASSWORD_MECHANISMS))
        return detail.upper()
    if way is Way.MASTER:
        detail = detail or USUAL_TEMPLATE
        if "{admin}" not in detail or not any(blank in detail for blank in ("{user}", "{local}")):
            raise TEMPLATE.error(field, place=USUAL_TEMPLATE)
        return detail
    if way in (Way.AUTHZID, Way.PROXYAUTH, Way.TOKEN) and detail:
        raise NO_DETAIL.error(field, word=way)
    if not detail.isprintable():
        raise UNPRINTABLE.error(field)
    return detail


def secret_text(side: Side, way: Way, path: str) -> str:
    """Returns the content of the file of ``--source-password-file`` (or the destination's). Raises `FaultsFound`."""
    field = f"{side}.sign_in.secret"
    if way is Way.COMMAND:
        raise COMMAND_SECRET.error(field)
    try:
        with Path(path).expanduser().open("rb") as file:
            return file.read(_MOST_BYTES + 1).decode("utf-8")
    except UnicodeDecodeError:
        raise NOT_TEXT.error(field, path=path) from None
    except OSError as error:
        raise UNREADABLE.error(field, path=path, cause=str(error.strerror)) from None


def read_secret(side: Side, way: Way, path: str) -> Secret:
    """Reads the file of ``--source-password-file`` (or the destination's). Raises `FaultsFound`."""
    return secret_of(way, secret_text(side, way, path), side, path)


def secret_of(way: Way, text: str, side: Side | None = None, path: str = "") -> Secret:
    """Checks the administrator's password, the token or the key.

    `path`: the file that it comes from, for messages. Raises `FaultsFound`, whose text does not hold it.
    """
    text = text.strip() if way in _JSON_WAYS else text.removesuffix("\n").removesuffix("\r")
    if not 0 < len(text) <= _MOST_BYTES or (way not in _JSON_WAYS and not text.isprintable()):
        fields = (f"{side}.sign_in.secret",) if side else ()
        raise SECRET_FILE.error(*fields, path=path) if path else SECRET.error(*fields)
    return Secret(text)


def at_the_vendor(way: Way, key: str) -> None:
    """Refuses a key that asks for tokens anywhere but at its vendor. Raises `FaultsFound`.

    A key file names the URL that workers ask for tokens. A key from a request must not choose it.
    """
    if way not in _JSON_WAYS:
        return
    try:
        known = read_json(key)
    except ValueError:
        return  # the code that opens the key reports this
    if not isinstance(known, dict):
        return
    where = known.get("token_uri", _GOOGLE) if way is Way.GOOGLE else known.get("authority", "")
    if where and where != _GOOGLE:
        raise ELSEWHERE.error(place=repr(str(where)[:100]), vendor=way)


def lacking(side: Side, asked: SignInAsked, rows: Sequence[Row]) -> str:
    """Lists the first rows that give no password of their own; "" when each does."""
    return named_rows([row.line for row in rows if asked.own(side, row) is None])


def without_password(side: Side, rows: str) -> Fault:
    """Returns the fault of rows that sign in by themselves and give no password."""
    secret, admin, way = (FieldName(f"{side}.sign_in.{name}") for name in ("secret", "admin", "way"))
    return ROWS.at("manifest", side_word=side, rows=rows, secret=secret, admin=admin, way=way)


def renewed(side: Side, endpoint: Endpoint, asked: SignInAsked, read: Callable[[Way], Secret]) -> Secret:
    """Returns the new secret of this side: what `read` gives for its way to sign in. Raises `UsageError`."""
    way = asked.sign_in.way
    if asked.by_rows or way is Way.COMMAND:
        whose = BY_COMMAND if way is Way.COMMAND else BY_ROWS
        raise NOTHING_SHARED.error(side_word=side, what=whose.says())
    secret = read(way)
    opens(side, endpoint, replace(asked, secret=secret))
    return secret


def opens(side: Side, endpoint: Endpoint, asked: SignInAsked) -> None:
    """Checks whether the secret can get tokens, as far as that needs no server. Raises `FaultsFound`."""
    way = asked.sign_in.way
    if way not in BY_ISSUER:
        return
    try:
        issuer = open_issuer(side, endpoint.protocol, asked.sign_in, asked.secret)
        if check := getattr(issuer, "check", None):
            check()
    except UsageError as error:
        raise NO_TOKENS.error(f"{side}.sign_in.way", word=way, what=text_of(error)) from None


def prompted(side: Side, sign_in: SignIn) -> Secret:
    """Asks at the terminal for the administrator's password. Raises `FaultsFound` where that is impossible."""
    field = f"{side}.sign_in.secret"
    if sign_in.way in _JSON_WAYS:
        raise KEY_FILE.error(field, way=FieldName(f"{side}.sign_in.way"), word=sign_in.way)
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise NO_TERMINAL.error(secret=FieldName(field), name=sign_in.admin, side_word=side) from None
    try:
        given = getpass.getpass(f"Password of {sign_in.admin} at the {side}: ")
    except EOFError:
        given = ""
    if not given:
        raise NOTHING_TYPED.error(name=sign_in.admin, side_word=side)
    return Secret(given)
