"""The principals: programs and people with a token, users with a password.

A token is a long random number, so that a plain SHA-256 of it is a good hash at rest; it is shown once, when it is
made. A user's password comes here already hashed (`producer.web.security.scrypt`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Any, Final, cast

import redis

from shared.nouns import dataclass
from shared.store import Resealed
from shared.store.records.plain_commands import PlainCommands
from shared.store.records.signed import Signer, row_of, signed_row
from shared.store.redis import keys
from shared.wording.phrases import Phrase

NAME: Final = Phrase("principal_name", "a name is 1 to 80 printable characters, without a space at either end")
NO_ROLE: Final = Phrase("role_unknown", "{word} is no role; roles are {names}")
NO_TOKEN: Final = Phrase(
    "first_token",
    "MAILHAUL_WEB_FIRST_TOKEN is no token: deploy/make_secrets.py makes one (producer/web-token)",
)

#: The first letters of a token, so that scanners find one that leaked.
MARK: Final = "mh"
_HEX: Final = re.compile(r"[0-9a-f]{12}")


class Role(IntEnum):
    """The roles; each may do what the lower ones may."""

    #: May read.
    VIEWER = 1
    #: May open and steer imports.
    OPERATOR = 2
    #: May manage users, tokens and limits, and read the audit log.
    ADMIN = 3

    @property
    def word(self) -> str:
        """The role's name as people write it."""
        return self.name.lower()


def role_of(word: str) -> Role:
    """Returns the role of this name. Raises `UsageError`."""
    try:
        return Role[word.strip().upper()]
    except KeyError:
        raise NO_ROLE.error(word=f"{word[:40]!r}", names=", ".join(role.word for role in Role)) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """A person or program that is known."""

    #: The permanent id, with the way the principal came: "token:3f…", "user:anna", "oidc:…", "proxy:anna", "link:anna".
    principal_id: str
    #: The name for people.
    name: str
    #: The role, which says what it may do.
    role: Role


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiToken:
    """A token that was made, without its secret."""

    #: The token's public part.
    token_id: str
    #: The person or program that it is for.
    name: str
    #: The role, which says what it may do.
    role: Role
    #: When it was made, seconds since the epoch.
    created_at: float
    #: When it ends, seconds since the epoch; 0 for never.
    expires_at: float = 0.0

    @property
    def over(self) -> bool:
        """Tells whether it has ended."""
        return 0 < self.expires_at <= time.time()

    @property
    def principal(self) -> Principal:
        """The principal that signs in with this token."""
        return Principal(principal_id=f"token:{self.token_id}", name=self.name, role=self.role)


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A user who signs in with a password."""

    #: The name that the user types.
    name: str
    #: The user's role.
    role: Role
    #: The password's hash, as `producer.web.security.scrypt` writes it.
    password_hash: str
    #: When the password was set, seconds since the epoch: sessions that began with an earlier password have ended.
    set_at: float

    @property
    def principal(self) -> Principal:
        """The principal that this user is."""
        return Principal(principal_id=f"user:{self.name}", name=self.name, role=self.role)


class Principals(PlainCommands):
    """The tokens and users in the state database. Thread-safe. Raises `StoreError` while it is away.

    Every row is signed: a row that was written without the key gives no right (`shared.store.records.signed`).
    """

    def __init__(self, client: redis.Redis, signer: Signer) -> None:
        super().__init__(client)
        self._signer = signer

    # -- tokens

    def make_token(self, name: str, role: Role, expires_at: float = 0.0) -> tuple[ApiToken, str]:
        """Makes a token, which ends at `expires_at`; 0: never.

        Returns it and its text, which cannot be read again. Raises `UsageError`.
        """
        token = ApiToken(
            token_id=secrets.token_hex(6),
            name=checked_name(name),
            role=role,
            created_at=time.time(),
            expires_at=expires_at,
        )
        secret = secrets.token_urlsafe(32)
        self._write_token(token, secret)
        return token, f"{MARK}_{token.token_id}_{secret}"

    def admit_first(self, text: str) -> bool:
        """Enters the first token, an administrator's, for the person who set up the installation.

        It does so only while there is no other token. Returns whether it did. Raises `UsageError`.
        """
        mark, token_id, secret = (*text.split("_", 2), "", "")[:3]
        if mark != MARK or not _HEX.fullmatch(token_id) or len(secret) < 32:
            raise NO_TOKEN.error()
        if self.tokens():
            return False
        self._write_token(ApiToken(token_id=token_id, name="first", role=Role.ADMIN, created_at=time.time()), secret)
        return True

    def _write_token(self, token: ApiToken, secret: str) -> None:
        row = {
            "name": token.name,
            "role": token.role.word,
            "hash": _hash(secret),
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        }
        self._write(keys.TOKENS, token.token_id, row)

    def tokens(self) -> list[ApiToken]:
        """Returns all tokens, oldest first."""
        rows = cast(Mapping[bytes, bytes], self._do("hgetall", keys.TOKENS))
        found = [_token(name, row) for name, row in self._signed(keys.TOKENS, rows)]
        return sorted(found, key=lambda token: token.created_at)

    def by_token(self, text: str) -> Principal | None:
        """Returns the principal of this token's text; None when no token matches, or it has ended."""
        mark, _, rest = text.partition("_")
        token_id, _, secret = rest.partition("_")
        if mark != MARK or not _HEX.fullmatch(token_id) or len(text) > 200:
            return None
        row = self._row(keys.TOKENS, token_id)
        if row is None or not hmac.compare_digest(row["hash"], _hash(secret)):
            return None
        token = _token(token_id, row)
        return None if token.over else token.principal

    def revoke(self, token_id: str) -> bool:
        """Ends a token at once. Returns whether there was one."""
        return bool(self._do("hdel", keys.TOKENS, token_id))

    # -- users

    def set_user(self, name: str, role: Role, password_hash: str) -> User:
        """Enters a new user, or a new password and role; sessions that began with the old password have ended.

        Raises `UsageError`.
        """
        user = User(name=checked_name(name), role=role, password_hash=password_hash, set_at=time.time())
        row = {"role": role.word, "hash": password_hash, "set_at": user.set_at}
        self._write(keys.USERS, user.name, row)
        return user

    def users(self) -> list[User]:
        """Returns all users, by name."""
        rows = cast(Mapping[bytes, bytes], self._do("hgetall", keys.USERS))
        return sorted((_user(name, row) for name, row in self._signed(keys.USERS, rows)), key=lambda user: user.name)

    def user(self, name: str) -> User | None:
        """Returns the user of this name, or None."""
        row = self._row(keys.USERS, name)
        return _user(name, row) if row else None

    def remove_user(self, name: str) -> bool:
        """Ends a user with all their sessions. Returns whether there was one."""
        return bool(self._do("hdel", keys.USERS, name))

    # -- both

    def still(self, principal_id: str, stamp: float) -> Principal | None:
        """Returns the principal with this id as it is now.

        Returns None once the token has ended or was revoked, the user removed, or the password replaced since `stamp`. Raises
        `KeyError` for a principal that is not kept here.
        """
        way, _, which = principal_id.partition(":")
        if way == "token":
            row = self._row(keys.TOKENS, which)
            token = _token(which, row) if row else None
            return token.principal if token and not token.over else None
        if way == "user":
            user = self.user(which)
            return user.principal if user and user.set_at == stamp else None
        raise KeyError(principal_id)

    def resign(self) -> Resealed:
        """Signs every row by the first key. Rows that no key signed are left and counted as lost."""
        total = Resealed()
        for key in (keys.TOKENS, keys.USERS):
            pairs: list[bytes | str] = []
            rows = cast(Mapping[bytes, bytes], self._do("hgetall", key))
            for field, text in rows.items():
                place = f"{key}:{field.decode('utf-8', 'replace')}"
                if row := row_of(self._signer, place, text):
                    pairs += [field, text, signed_row(self._signer, place, row)]
                else:
                    total += Resealed(lost=1)
            total += Resealed(renewed=self._swap(key, pairs))
        return total

    def _row(self, key: str, name: str) -> dict[str, Any] | None:
        return row_of(self._signer, f"{key}:{name}", self._do("hget", key, name))

    def _write(self, key: str, name: str, row: Mapping[str, Any]) -> None:
        self._do("hset", key, name, signed_row(self._signer, f"{key}:{name}", row))

    def _signed(self, key: str, rows: Mapping[bytes, bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
        for field, text in rows.items():
            name = field.decode("utf-8", "replace")
            if row := row_of(self._signer, f"{key}:{name}", text):
                yield name, row


def checked_name(name: str) -> str:
    """Returns the name of a token or a user, once checked. Raises `UsageError`."""
    if not 0 < len(name) <= 80 or not name.isprintable() or name != name.strip():
        raise NAME.error()
    return name


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _token(token_id: str, row: Mapping[str, Any]) -> ApiToken:
    return ApiToken(
        token_id=token_id,
        name=row["name"],
        role=role_of(row["role"]),
        created_at=row["created_at"],
        expires_at=row.get("expires_at", 0.0),  # a version before this one wrote none
    )


def _user(name: str, row: Mapping[str, Any]) -> User:
    return User(name=name, role=role_of(row["role"]), password_hash=row["hash"], set_at=row["set_at"])
