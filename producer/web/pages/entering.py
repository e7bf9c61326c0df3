"""Who is at the browser: signing in with a password, a token, or once with the link that `mailhaul up` prints; signing out.
By an identity provider: `producer.web.pages.oidc`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from producer.web.access import Known, guess, missed, note, right, wrong
from producer.web.counter import Counter
from producer.web.pages.drawing import draw, saying
from producer.web.problems import Refused
from producer.web.proxied import vouched
from producer.web.scrypt import MOST, Crowded, fits
from shared.store.principals import Principal, Role

routes = APIRouter(include_in_schema=False)
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class Stranger(Exception):
    """Nobody is signed in; `to` is where they wanted to go."""

    def __init__(self, to: str) -> None:
        self.to = to
        super().__init__(to)


def session_of(request: Request) -> str:
    """What the browser holds; "" without."""
    return request.cookies.get(_cookie(request), "")


def there(known: Counter, request: Request, *, touch: bool = True) -> Principal | None:
    """Who is at this browser, now."""
    return vouched(request, known) or known.sessions.find(session_of(request), touch=touch)


def _signed_in(request: Request, known: Known) -> Principal:
    # What an open page asks by itself, to draw a part anew, is nobody's presence.
    found = there(known, request, touch=not (request.method == "GET" and _by_script(request)))
    if found is None:
        query = f"?{request.url.query}" if request.url.query else ""
        raise Stranger(f"{request.url.path}{query}" if request.method == "GET" else "")
    return found


#: Whoever may look.
Who = Annotated[Principal, Depends(_signed_in)]


def _acting(who: Who) -> Principal:
    if who.role < Role.OPERATOR:
        raise Refused(403, f"this needs the role operator; yours is {who.role.word}")
    return who


#: Whoever may act.
Actor = Annotated[Principal, Depends(_acting)]
#: Where they wanted to go.
To = Annotated[str, Query(max_length=1000)]


def welcome(
    known: Counter,
    request: Request,
    who: Principal,
    how: str,
    to: str = "",
    *,
    stamp: float = 0,
    groups: Sequence[str] = (),
) -> Response:
    """A session for somebody who is known now; a new one, whatever the browser held before."""
    note(known, request, who, "signed in", how=how)
    known.sessions.end(session_of(request))
    settings = known.settings
    text = known.sessions.begin(
        who,
        idle=settings.web_session_idle_seconds,
        most=settings.web_session_seconds,
        stamp=stamp,
        groups=groups,
    )
    answer = RedirectResponse(_ours(to), 303)
    # "lax": a link to an import, in a mail or from the identity provider, finds who is signed in; what other sites send
    # is refused by `Guard`.
    answer.set_cookie(
        _cookie(request), text, max_age=int(settings.web_session_seconds), httponly=True, samesite="lax",
        secure=is_secure(request),
    )  # fmt: skip
    return answer


def door(request: Request, known: Counter, told: str = "", to: str = "", status: int = 200) -> Response:
    """The page on which one signs in."""
    return draw(
        request, "sign_in.html", None, status, wrong=told, to=_ours(to), passwords=bool(known.principals.users()),
        oidc=urlsplit(known.settings.web_oidc_issuer or "").hostname or "",
    )  # fmt: skip


@routes.get("/favicon.ico")
def icon() -> Response:
    """None."""
    return Response(status_code=204)


@routes.get("/sign-in")
def ask(request: Request, known: Known, to: To = "") -> Response:
    """For a password or a token."""
    return door(request, known, to=to)


@routes.post("/sign-in")
def sign_in(
    request: Request,
    known: Known,
    token: Annotated[str, Form(max_length=200)] = "",
    name: Annotated[str, Form(max_length=80)] = "",
    password: Annotated[str, Form(max_length=MOST)] = "",
    to: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """A session for a token, or for a name and its password."""
    say, name = saying(request).word, name.strip()
    if not _reached_safely(request):
        return door(
            request, known, say("This page came without TLS: nobody can sign in to it over a network."), to, 400
        )
    if not name and (who := known.principals.by_token(token.strip())):
        return welcome(known, request, who, "token", to)
    try:
        return _by_password(request, known, name, password, to) if name else _by_unknown_token(request, known, to)
    except Refused as refused:
        answer = door(request, known, say("Too many wrong guesses; try again in a minute."), to, refused.status)
        answer.headers.update(refused.headers)
        return answer


def _by_password(request: Request, known: Counter, name: str, password: str, to: str) -> Response:
    """Raises `Refused` and `scrypt.Crowded`; a guess that is not looked at is not counted."""
    counted = guess(known, request, name)
    user = known.principals.user(name)
    try:
        fitting = fits(password, user.password_hash if user else "")
    except Crowded:
        right(known, counted)
        raise
    if fitting and user:
        right(known, counted)
        return welcome(known, request, user.principal, "password", to, stamp=user.set_at)
    wrong(known, request, "password", name, known_name=user is not None)
    say = saying(request).word
    return door(request, known, say("Name or password is wrong."), to, 401)


def _by_unknown_token(request: Request, known: Counter, to: str) -> Response:
    """For a token that is not known. Raises `Refused`."""
    missed(known, request, "token")
    say = saying(request).word
    return door(request, known, say("This token is not known."), to, 401)


@routes.get("/enter/{link}")
def enter(request: Request, known: Known, link: str) -> Response:
    """Once. Whoever is signed in already goes on as they are, and the link stays good."""
    if there(known, request):
        return RedirectResponse("/", 303)
    who = known.sessions.by_link(link[:100])
    if who is None:
        missed(known, request, "link")
        say = saying(request).word
        told = say("This link was used already, or it is over. `mailhaul link` prints another one.")
        return door(request, known, told, status=401)
    return welcome(known, request, who, "link")


@routes.post("/sign-out")
def sign_out(request: Request, known: Known) -> Response:
    """Ends the session here, not only in the browser."""
    known.sessions.end(session_of(request))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(_cookie(request), secure=is_secure(request), httponly=True, samesite="lax")
    return answer


def to_the_door(request: Request, error: Stranger) -> Response:
    """For whoever is not signed in."""
    door = f"/sign-in?to={quote(error.to)}" if error.to not in ("", "/") else "/sign-in"
    # A script would put the page on which one signs in into the middle of this one.
    return Response(headers={"HX-Redirect": door}) if _by_script(request) else RedirectResponse(door, 303)


def _by_script(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def _ours(to: str) -> str:
    """A place on this page, whatever a link says: no other site, and no script."""
    safe = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() and "\\" not in to
    return to if safe and not to.startswith(("/sign-in", "/enter/", "/static/", "/api/", "/oidc/")) else "/"


def is_secure(request: Request) -> bool:
    """Whether the browser has TLS: a name that is not local is reached through a proxy that has it."""
    return request.url.scheme == "https" or request.url.hostname not in _LOCAL


def _cookie(request: Request) -> str:
    """With TLS its name says that no neighbour under the same domain set it (RFC 6265bis, `__Host-`)."""
    return "__Host-mailhaul" if is_secure(request) else "mailhaul"


def _reached_safely(request: Request) -> bool:
    """A browser says by which scheme it has the page; without TLS it would not keep the session."""
    return not (is_secure(request) and request.headers.get("origin", "").startswith("http://"))
