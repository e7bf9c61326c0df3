"""Authentication and roles of requests.

A request is authenticated by a bearer token (RFC 6750) or by the user name that a trusted proxy sends. Each principal
has a role. Whatever changes something is written into the audit log. Wrong guesses are counted by address and by name,
and slowed down.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param

from producer.web.problems import Refused
from producer.web.security.places import place
from producer.web.security.proxied import vouched
from producer.web.web_context import WebContext, web_context
from shared.model.errors import UsageError
from shared.store.records.principals import Principal, Role
from shared.store.records.web_records import NotedEntry
from shared.wording.often_said import NEEDS_ROLE
from shared.wording.phrases import faults_of

#: Wrong guesses allowed from one address in a minute. After these, no password and no wrong token from there is looked
#: at until the minute is over.
MOST_TRIES: Final = 20
#: Wrong guesses allowed at one name in a minute, from all addresses together.
MOST_TRIES_AT_A_NAME: Final = 10
_NAMELESS: Final = "give a token: Authorization: Bearer …; `mailhaul token add` makes one"
_scheme = HTTPBearer(auto_error=False, description="A token of `mailhaul token add`.")


def place_of(request: Request) -> str:
    """Returns the address or network under which guesses from this request are counted."""
    return place(_where(request))


def guess(known: WebContext, request: Request, name: str = "") -> tuple[str, ...]:
    """Counts a guess before it is checked, so that none of many parallel guesses goes uncounted.

    Returns where it was counted, for `right`. Raises `Refused` (429, with Retry-After) after too many guesses; the
    refused one is not counted.
    """
    looks = [(place_of(request), MOST_TRIES, "from this address")]
    looks += [(f"name:{name}", MOST_TRIES_AT_A_NAME, "at this name")] if name else []
    counted: list[str] = []
    for whose, most, where in looks:
        number, seconds = known.sessions.guessed(whose)
        counted.append(whose)
        if number > most:
            right(known, counted)
            raise Refused(
                429, f"too many wrong guesses {where}; try again in a minute", headers={"Retry-After": str(seconds)}
            )
    return tuple(counted)


def right(known: WebContext, counted: Iterable[str]) -> None:
    """Takes back what `guess` counted, since the guess was right or was not checked."""
    for whose in counted:
        known.sessions.was_right(whose)


def wrong(known: WebContext, request: Request, how: str, name: str = "", *, known_name: bool = False) -> None:
    """Writes a wrong guess into the audit log, of very many only some and how many there were.

    An unknown name is left out, since it may be a password typed by mistake.
    """
    known.records.add_guess(name if known_name else "?", {"from": _where(request), "how": how})


def missed(known: WebContext, request: Request, how: str) -> None:
    """Counts and notes a wrong token or link, or a failed return from an identity provider.

    The secret was checked first: nobody guesses 192 bits, so a right one is accepted whatever else comes from the
    same address. Raises `Refused` (429) after too many.
    """
    guess(known, request)
    wrong(known, request, how)


def _needs(role: Role) -> Callable[..., Principal]:
    def let_in(
        request: Request,
        given: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)],
        known: Annotated[WebContext, Depends(web_context)],
    ) -> Principal:
        principal = _by_token(known, request, given.credentials) if given else vouched(request, known)
        if principal is None:
            raise Refused(401, _NAMELESS)
        if principal.role < role:
            raise Refused(403, NEEDS_ROLE.says(role=role.word, own_role=principal.role.word))
        request.state.who = principal.principal_id
        return principal

    return let_in


def _by_token(known: WebContext, request: Request, text: str) -> Principal:
    principal = known.principals.by_token(text)
    if principal is None:
        missed(known, request, "token")
        raise Refused(401, "this token is not known")
    return principal


def asker(request: Request, known: WebContext) -> Principal:
    """Returns who asks the API, in whatever role. A wrong token counts as a guess. Raises `Refused`."""
    _, text = get_authorization_scheme_param(request.headers.get("authorization"))
    principal = _by_token(known, request, text) if text else vouched(request, known)
    if principal is None:
        raise Refused(401, _NAMELESS)
    return principal


def viewer(request: Request, known: WebContext) -> Principal:
    """Looks up again who was let in, since a token may have been revoked meanwhile. Raises `Refused`."""
    _, text = get_authorization_scheme_param(request.headers.get("authorization"))
    principal = known.principals.by_token(text) if text else vouched(request, known)
    if principal is None:
        raise Refused(401, "this token is not known")
    return principal


Viewer = Annotated[Principal, Depends(_needs(Role.VIEWER))]
Operator = Annotated[Principal, Depends(_needs(Role.OPERATOR))]
Admin = Annotated[Principal, Depends(_needs(Role.ADMIN))]
Known = Annotated[WebContext, Depends(web_context)]


def note(known: WebContext, request: Request, who: Principal, what: str, **detail: object) -> NotedEntry:
    """Writes an act into the audit log before it is done. If the log cannot be written, the act does not happen."""
    return known.records.note(f"{who.name} ({who.principal_id})", what, {"from": _where(request), **detail})


@contextlib.contextmanager
def noted(
    known: WebContext, request: Request, who: Principal, what: str, **detail: object
) -> Iterator[Callable[[int], int]]:
    """Notes an act before it is done; afterwards also that it was refused, or changed nothing.

    The caller passes the number of mailboxes that the act changed to the yielded function.
    """
    entry = note(known, request, who, what, **detail)
    about = {name: detail[name] for name in ("import_id", "login") if name in detail}

    def told(mailboxes: int) -> int:
        if not mailboxes:
            note(known, request, who, "act changed nothing", act=what, **about)
        return mailboxes

    try:
        yield told
    except (UsageError, Refused) as error:
        known.records.refused(entry, faults_of(error))
        raise


def _where(request: Request) -> str:
    return request.client.host if request.client else "?"
