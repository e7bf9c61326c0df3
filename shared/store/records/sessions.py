"""The sessions of browsers, and what else belongs to signing in.

That is links that sign in once, wrong guesses of passwords, and who came back from an identity provider.

A browser holds a long random number, which is kept here as its SHA-256. A session ends on the server when it was not
used for a while, or when its time is over. It also ends together with the token or the password that it began with.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import redis

from shared.nouns import dataclass
from shared.store import Resealed
from shared.store.records.plain_commands import PlainCommands
from shared.store.records.principals import Principal, Principals, Role, role_of
from shared.store.records.signed import Signer, row_of, signed_row
from shared.store.redis import keys

#: A link that signs in works for so long, seconds.
LINK_SECONDS: Final = 3600
#: The way to an identity provider and back may take so long, seconds.
WAY_SECONDS: Final = 600
#: Wrong guesses are remembered for so long, seconds.
TRIES_SECONDS: Final = 60


#: Name and groups of somebody whom an identity provider let in → their role, if any.
Vouched = Callable[[str, Sequence[str]], Role | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class BrowserSession:
    """A browser that is signed in."""

    #: The session's id; the browser holds another number.
    session_id: str
    #: The principal that signed in.
    principal: Principal
    #: When the principal signed in, seconds since the epoch.
    began_at: float


class BrowserSessions(PlainCommands):
    """The sessions in the state database. Thread-safe. Raises `StoreError` while it is away.

    Sessions and links are signed (`shared.store.records.signed`).
    """

    def __init__(self, client: redis.Redis, signer: Signer, vouched: Vouched | None = None) -> None:
        """Takes `vouched`, which returns the role that somebody has now whom an identity provider let in.

        It goes by name and groups; the role None ends the session. Without `vouched`, they have the role of their
        sign-in.
        """
        super().__init__(client)
        self._signer, self._vouched = signer, vouched
        self._principals = Principals(client, signer)

    def _keep(self, key: str, row: Mapping[str, Any], seconds: int) -> None:
        # The end stands in the row too, since Redis' own is not signed.
        whole = {"until": time.time() + seconds, **row}
        self._do("set", key, signed_row(self._signer, key, whole), ex=seconds)

    def _kept(self, key: str, command: str = "get") -> dict[str, Any] | None:
        row = row_of(self._signer, key, self._do(command, key))
        return row if row and row.get("until", 0) > time.time() else None

    # -- sessions

    def begin(
        self, principal: Principal, *, idle: float, most: float, stamp: float = 0, groups: Sequence[str] = ()
    ) -> str:
        """Signed in; the session's text, for a cookie.

        It ends after `idle` seconds without a request, and after `most`. `stamp`: of the password that was given
        (`User.set_at`). `groups`: those that the identity provider told.
        """
        text, now = secrets.token_urlsafe(32), time.time()
        row = {
            "id": principal.principal_id,
            "name": principal.name,
            "role": principal.role.word,
            "began_at": now,
            "until": now + most,
            "idle": idle,
            "stamp": stamp,
            "groups": list(groups),
        }
        place = _hash(text)
        self._do("zremrangebyscore", keys.SESSIONS, "-inf", now)
        self._do("zadd", keys.SESSIONS, {place: row["until"]})
        self._keep(keys.session(place), row, max(1, int(min(idle, most))))
        return text

    def find(self, text: str, *, touch: bool = True) -> Principal | None:
        """Returns the principal of the session, or None once the session has ended.

        It also returns None once the token or password that the session began with has ended. `touch` renews the idle
        time: a person is there, and not only a page that was left open.
        """
        place = _hash(text)
        row, now = self._kept(keys.session(place)) if text else None, time.time()
        if row is None:
            return None
        principal = self._still(row)
        if principal is None:
            return None
        if touch:
            self._do("expire", keys.session(place), max(1, int(min(row["idle"], row["until"] - now))))
        return principal

    def _still(self, row: Mapping[str, Any]) -> Principal | None:
        try:
            return self._principals.still(row["id"], row["stamp"])
        except KeyError:  # known elsewhere: at the identity provider, or as whoever started all this
            role: Role | None = role_of(row["role"])
            if self._vouched and row["id"].startswith("oidc:"):
                role = self._vouched(row["name"], row.get("groups", ()))
            return Principal(principal_id=row["id"], name=row["name"], role=role) if role else None

    def all(self) -> list[BrowserSession]:
        """Returns the sessions that have not ended, newest first."""
        found = []
        for place in self._do("zrange", keys.SESSIONS, 0, -1):
            row = self._kept(keys.session(place.decode()))
            if row and (principal := self._still(row)):
                session_id = place.decode()[:12]
                found.append(BrowserSession(session_id=session_id, principal=principal, began_at=row["began_at"]))
        return sorted(found, key=lambda session: -session.began_at)

    def id_of(self, text: str) -> str:
        """Returns the id under which `all` tells of the session with this text."""
        return _hash(text)[:12]

    def end(self, text: str) -> None:
        """Ends the session on the server, whatever the browser keeps."""
        self._end(_hash(text))

    def end_of(self, which: str) -> int:
        """Ends the session with this id, or all sessions of the principal with this id or name. Returns how many."""
        meant = [one for one in self.all() if which in (one.session_id, one.principal.principal_id, one.principal.name)]
        ids = {one.session_id for one in meant}
        places = [place.decode() for place in self._do("zrange", keys.SESSIONS, 0, -1)]
        for place in places:
            if place[:12] in ids:
                self._end(place)
        return len(ids)

    def _end(self, place: str) -> None:
        self._do("delete", keys.session(place))
        self._do("zrem", keys.SESSIONS, place)

    def resign(self) -> Resealed:
        """Signs the rows of sessions by the first key; they end when they would have ended.

        Links are left: they are over within the hour.
        """
        total = Resealed()
        for place in self._do("zrange", keys.SESSIONS, 0, -1):
            key = keys.session(place.decode())
            if row := self._kept(key):
                there = self._do("set", key, signed_row(self._signer, key, row), xx=True, keepttl=True)
                total += Resealed(renewed=int(bool(there)))
        return total

    # -- links

    def make_link(self, name: str, role: Role) -> str:
        """Makes a link's text that signs its first user in as `name`, within the hour."""
        text = secrets.token_urlsafe(24)
        row = {"id": f"link:{name}", "name": name, "role": role.word}
        self._keep(keys.link(_hash(text)), row, LINK_SECONDS)
        return text

    def by_link(self, text: str) -> Principal | None:
        """Returns the principal whom the link signs in, and ends the link."""
        row = self._kept(keys.link(_hash(text)), "getdel")
        if row is None:
            return None
        return Principal(principal_id=row["id"], name=row["name"], role=role_of(row["role"]))

    # -- ways to an identity provider

    def comes_back(self, number: str) -> bool:
        """Notes that the browser with this number was let in by the provider. Returns False where it was before."""
        return bool(self._do("set", keys.way(_hash(number)), "", nx=True, ex=WAY_SECONDS))

    # -- guesses

    def guessed(self, place: str) -> tuple[int, int]:
        """Counts one more guess, from this address or at this name, before it is looked at.

        Many guesses at once are each counted. Returns the guesses lately, with this one, and the seconds until they are
        forgotten.
        """
        number = int(self._do("incr", keys.tries(_hash(place))))
        return number, self._ends(place)

    def was_right(self, place: str) -> None:
        """Takes one guess back."""
        self._do("incrby", keys.tries(_hash(place)), -1)
        self._ends(place)

    def _ends(self, place: str) -> int:
        # The end is set after the count: a key that ended between the two would come back without one, for good.
        key = keys.tries(_hash(place))
        if (seconds := int(self._do("ttl", key))) < 0:  # "expire … nx" needs Redis 7
            self._do("expire", key, TRIES_SECONDS)
            return TRIES_SECONDS
        return max(1, seconds)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
