"""What the page and the API keep beside imports: tokens, the audit log, answers to repeated requests, rehearsals.

Tokens are long random numbers, so that a plain SHA-256 of one is a good hash at rest; it is shown once, when it is made.
The audit log is a stream that is only ever added to.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, cast

from shared.errors import UsageError
from shared.store import keys
from shared.store.asking import Asking
from shared.store.shelf import MOST_EVENTS, STORY_SECONDS

#: What a token begins with, so that scanners find one that leaked.
MARK: Final = "mh"
#: Answers to repeated requests are kept so long, seconds.
ANSWER_SECONDS: Final = 86_400
#: Rehearsals are kept so long, seconds.
REHEARSAL_SECONDS: Final = 86_400
#: A browser is signed in so long, seconds.
SESSION_SECONDS: Final = 12 * 3600
#: A request that was begun and never answered blocks its key so long, seconds.
_BEGUN_SECONDS: Final = 900


class Role(IntEnum):
    """Who may do what; each may do what those below may."""

    #: Reads.
    VIEWER = 1
    #: Opens and steers imports.
    OPERATOR = 2
    #: Tokens, limits, the audit log.
    ADMIN = 3

    @property
    def word(self) -> str:
        """As written by people."""
        return self.name.lower()


def role_of(word: str) -> Role:
    """The role that is called so. Raises `UsageError`."""
    try:
        return Role[word.upper()]
    except KeyError:
        raise UsageError(f"{word[:40]!r} is no role; roles are {', '.join(role.word for role in Role)}") from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Bearer:
    """Who a token stands for."""

    #: Public part of the token.
    token_id: str
    #: What a person calls it.
    name: str
    #: What it may do.
    role: Role
    #: When it was made, seconds since the epoch.
    created_at: float


class Desk(Asking):
    """On the state database. Thread-safe. Raises `StoreError` while it is away."""

    # -- tokens

    def make_token(self, name: str, role: Role) -> tuple[Bearer, str]:
        """A new token and its text, which nobody can read again. Raises `UsageError`."""
        if not 0 < len(name) <= 80 or not name.isprintable():
            raise UsageError("a token's name is 1 to 80 printable characters")
        bearer = Bearer(token_id=secrets.token_hex(6), name=name, role=role, created_at=time.time())
        secret = secrets.token_urlsafe(32)
        row = {"name": name, "role": role.word, "hash": _hash(secret), "created_at": bearer.created_at}
        self._do("hset", keys.TOKENS, bearer.token_id, json.dumps(row))
        return bearer, f"{MARK}_{bearer.token_id}_{secret}"

    def admit_first(self, text: str) -> bool:
        """The token of whoever set all this up, an administrator's; only while there is no other. Raises `UsageError`."""
        mark, token_id, secret = (*text.split("_", 2), "", "")[:3]
        if mark != MARK or not re.fullmatch(r"[0-9a-f]{12}", token_id) or len(secret) < 32:
            raise UsageError(
                "MAILHAUL_WEB_FIRST_TOKEN is no token: deploy/make_secrets.py makes one (producer/web-token)"
            )
        if self.tokens():
            return False
        row = {"name": "first", "role": Role.ADMIN.word, "hash": _hash(secret), "created_at": time.time()}
        self._do("hset", keys.TOKENS, token_id, json.dumps(row))
        return True

    def tokens(self) -> list[Bearer]:
        """All, oldest first."""
        rows = cast(Mapping[bytes, bytes], self._do("hgetall", keys.TOKENS))
        found = [_bearer(name.decode(), json.loads(row)) for name, row in rows.items()]
        return sorted(found, key=lambda bearer: bearer.created_at)

    def bearer(self, text: str) -> Bearer | None:
        """Whose token this is; None when it is nobody's."""
        mark, _, rest = text.partition("_")
        token_id, _, secret = rest.partition("_")
        if mark != MARK or not token_id.isalnum() or len(text) > 200:
            return None
        row = self._do("hget", keys.TOKENS, token_id)
        if row is None:
            return None
        known = json.loads(row)
        return _bearer(token_id, known) if hmac.compare_digest(known["hash"], _hash(secret)) else None

    def revoke(self, token_id: str) -> bool:
        """Ends a token at once; whether there was one."""
        return bool(self._do("hdel", keys.TOKENS, token_id))

    # -- browsers

    def open_session(self, bearer: Bearer) -> str:
        """Signed in by a token; the session's text, for a cookie."""
        text = secrets.token_urlsafe(32)
        self._do("set", keys.session(_hash(text)), bearer.token_id, ex=SESSION_SECONDS)
        return text

    def session(self, text: str) -> Bearer | None:
        """Whose session this is; nobody's any more once the token has ended."""
        token_id = self._do("get", keys.session(_hash(text)))
        row = self._do("hget", keys.TOKENS, token_id) if token_id else None
        return _bearer(token_id.decode(), json.loads(row)) if row else None

    def end_session(self, text: str) -> None:
        """Ended here, whatever the browser keeps."""
        self._do("delete", keys.session(_hash(text)))

    # -- audit

    def note(self, who: str, what: str, detail: Mapping[str, object]) -> None:
        """Adds to the audit log. Never give it a secret."""
        fields = {"who": who, "what": what, "detail": json.dumps(detail, ensure_ascii=False)}
        self._do("xadd", keys.AUDIT, fields)
        if isinstance(import_id := detail.get("import_id"), str):
            self._do("xadd", keys.events(import_id), fields, maxlen=MOST_EVENTS)
            self._do("expire", keys.events(import_id), STORY_SECONDS)

    def audit(self, after: str = "", count: int = 500) -> list[dict[str, Any]]:
        """Entries after the one with this id, oldest first."""
        rows = self._do("xrange", keys.AUDIT, f"({after}" if after else "-", "+", count=count)
        return [
            {
                "id": entry.decode(),
                "at": int(entry.split(b"-")[0]) / 1000,
                "who": row[b"who"].decode(),
                "what": row[b"what"].decode(),
                "detail": json.loads(row[b"detail"]),
            }
            for entry, row in rows
        ]

    # -- requests that may be repeated

    def begin(self, key: str, digest: str) -> dict[str, Any] | None:
        """None: it is ours to do. Else what is known of it: digest, and its answer once there is one."""
        row = json.dumps({"digest": digest})
        if self._do("set", keys.once(key), row, nx=True, ex=_BEGUN_SECONDS):
            return None
        known = self._do("get", keys.once(key))
        return cast(dict[str, Any], json.loads(known)) if known else self.begin(key, digest)

    def answer(self, key: str, digest: str, answer: object) -> None:
        """What the same request gets from now on."""
        self._do("set", keys.once(key), json.dumps({"digest": digest, "answer": answer}), ex=ANSWER_SECONDS)

    def drop(self, key: str) -> None:
        """It came to nothing: the same key may be used again."""
        self._do("delete", keys.once(key))

    # -- rehearsals

    def keep_rehearsal(self, rehearsal_id: str, document: Mapping[str, Any]) -> None:
        """Its state or its result."""
        self._do("set", keys.rehearsal(rehearsal_id), json.dumps(document), ex=REHEARSAL_SECONDS)

    def rehearsal(self, rehearsal_id: str) -> dict[str, Any] | None:
        """As kept last."""
        row = self._do("get", keys.rehearsal(rehearsal_id))
        return cast(dict[str, Any], json.loads(row)) if row else None

    # -- wrong tokens

    def refused(self, where: str, seconds: int = 60) -> int:
        """A wrong token came from here; how many in the last minute or so."""
        key = keys.tries(where)
        tries = int(self._do("incr", key))
        if tries == 1:
            self._do("expire", key, seconds)
        return tries

    def tries(self, where: str) -> int:
        """Wrong tokens from here lately."""
        return int(self._do("get", keys.tries(where)) or 0)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _bearer(token_id: str, row: Mapping[str, Any]) -> Bearer:
    return Bearer(token_id=token_id, name=row["name"], role=role_of(row["role"]), created_at=row["created_at"])
