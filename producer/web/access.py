"""Who asks: a bearer token with a role (RFC 6750). What changes something is written into the audit log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from producer.web.counter import Counter, counter
from producer.web.problems import Refused
from shared.store.desk import Bearer, Role

#: Wrong tokens from one address in a minute, before nobody from there is let in for a while.
MOST_TRIES: Final = 20
_scheme = HTTPBearer(auto_error=False, description="A token of `mailhaul token add`.")


def _needs(role: Role) -> Callable[..., Bearer]:
    def let_in(
        request: Request,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)],
        known: Annotated[Counter, Depends(counter)],
    ) -> Bearer:
        where = request.client.host if request.client else "?"
        if given is None:
            raise Refused(401, "give a token: Authorization: Bearer …; `mailhaul token add` makes one")
        if known.desk.tries(where) >= MOST_TRIES:
            raise Refused(429, "too many wrong tokens from this address; try again in a minute")
        bearer = known.desk.bearer(given.credentials)
        if bearer is None:
            known.desk.refused(where)
            raise Refused(401, "this token is not known")
        if bearer.role < role:
            raise Refused(403, f"this needs the role {role.word}; the token's is {bearer.role.word}")
        return bearer

    return let_in


Viewer = Annotated[Bearer, Depends(_needs(Role.VIEWER))]
Operator = Annotated[Bearer, Depends(_needs(Role.OPERATOR))]
Admin = Annotated[Bearer, Depends(_needs(Role.ADMIN))]
Known = Annotated[Counter, Depends(counter)]


def note(known: Counter, request: Request, who: Bearer, what: str, **detail: object) -> None:
    """Into the audit log, before it is done: what is not written down does not happen."""
    where = request.client.host if request.client else "?"
    known.desk.note(f"{who.name} ({who.token_id})", what, {"from": where, **detail})
