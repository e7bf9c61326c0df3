"""Signing in to the page with a password, a token, or once with the link that `mailhaul up` prints; and signing out.

`producer.web.pages.oidc` signs in by an identity provider.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import quote, urlencode, urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from producer.web.pages import interrupted
from producer.web.pages.drawing import back_to, draw, saying
from producer.web.problems import Refused
from producer.web.security.access import Known, guess, missed, note, right, wrong
from producer.web.security.proxied import vouched
from producer.web.security.scrypt import MOST, Crowded, fits
from producer.web.web_context import WebContext
from shared.store.records.principals import Principal, Role
from shared.wording.often_said import NEEDS_ROLE, TOO_MANY_WRONG_GUESSES
from shared.wording.phrases import Phrase

NAME_OR_PASSWORD_IS_WRONG: Final = Phrase("name_or_password_is_wrong", "Name or password is wrong.")
THIS_TOKEN_IS_NOT_KNOWN: Final = Phrase("this_token_is_not_known", "This token is not known.")
THIS_LINK_WAS_USED_ALREADY: Final = Phrase(
    "this_link_was_used_already", "This link was used already, or it is over. `mailhaul link` prints another one."
)
THIS_PAGE_CAME_WITHOUT_TLS: Final = Phrase(
    "this_page_came_without_tls", "This page came without TLS: nobody can sign in to it over a network."
)

routes = APIRouter(include_in_schema=False)
#: The faults of an attempt to sign in: the word for it in the address, the status, and the sentence.
_WRONG: Final = {
    "password": (401, NAME_OR_PASSWORD_IS_WRONG),
    "token": (401, THIS_TOKEN_IS_NOT_KNOWN),
    "many": (429, TOO_MANY_WRONG_GUESSES),
    "tls": (400, THIS_PAGE_CAME_WITHOUT_TLS),
}
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class NotSignedIn(Exception):
    """An error: nobody is signed in. `to` is the page that was asked for."""

    def __init__(self, to: str) -> None:
        self.to = to
        super().__init__(to)


def session_of(request: Request) -> str:
    """Returns the session's secret that the browser holds; "" without one."""
    return request.cookies.get(_cookie(request), "")


def was(request: Request) -> str:
    """Returns the text of the cookie that says who was signed in at this browser last; "" without one."""
    return request.cookies.get(_cookie(request, interrupted.COOKIE), "")


def there(known: WebContext, request: Request, *, touch: bool = True) -> Principal | None:
    """Returns the principal that is signed in at this browser; None if nobody is."""
    return vouched(request, known) or known.sessions.find(session_of(request), touch=touch)


def _signed_in(request: Request, known: Known) -> Principal:
    # Requests that an open page sends by itself to redraw a part do not extend the session.
    found = there(known, request, touch=not (request.method == "GET" and _by_script(request)))
    if found is None:
        query = f"?{request.url.query}" if request.url.query else ""
        raise NotSignedIn(f"{request.url.path}{query}" if request.method == "GET" else "")
    return found


#: A principal of any role.
Who = Annotated[Principal, Depends(_signed_in)]


def _acting(who: Who) -> Principal:
    if who.role < Role.OPERATOR:
        raise Refused(403, NEEDS_ROLE.says(role=Role.OPERATOR.word, own_role=who.role.word))
    return who


#: A principal of the role operator or higher.
Actor = Annotated[Principal, Depends(_acting)]


def _ruling(who: Who) -> Principal:
    if who.role < Role.ADMIN:
        raise Refused(403, NEEDS_ROLE.says(role=Role.ADMIN.word, own_role=who.role.word))
    return who


#: A principal of the role admin.
Chief = Annotated[Principal, Depends(_ruling)]
#: The page to go to after signing in.
To = Annotated[str, Query(max_length=1000)]


def welcome(
    known: WebContext,
    request: Request,
    who: Principal,
    how: str,
    to: str = "",
    *,
    stamp: float = 0,
    groups: Sequence[str] = (),
) -> Response:
    """Begins a session for a principal who has just signed in. It replaces any session that the browser held."""
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
    answer = RedirectResponse(ours(to), 303)
    # "lax", so that a link in a mail or a return from the identity provider finds the session. `Guard` refuses other
    # requests that come from other sites.
    answer.set_cookie(
        _cookie(request),
        text,
        max_age=int(settings.web_session_seconds),
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )
    answer.set_cookie(
        _cookie(request, interrupted.COOKIE),
        interrupted.named(known, who),
        max_age=interrupted.COOKIE_SECONDS,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )
    return answer


def door(
    request: Request, known: WebContext, told: str = "", to: str = "", status: int = 200, name: str = ""
) -> Response:
    """Shows the page on which one signs in."""
    return draw(
        request,
        "sign_in.html",
        None,
        status,
        wrong=told,
        to=ours(to),
        name=name,
        passwords=bool(known.principals.users()),
        oidc=urlsplit(known.settings.web_oidc_issuer or "").hostname or "",
    )


@routes.get("/favicon.ico")
def icon() -> Response:
    """Answers 204, since there is no icon."""
    return Response(status_code=204)


@routes.get("/sign-in")
def ask(
    request: Request,
    known: Known,
    to: To = "",
    why: Annotated[str, Query(max_length=20)] = "",
    name: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """Shows the page on which one signs in, with what was wrong with the attempt before."""
    if why not in _WRONG:
        return door(request, known, to=to, name=name)
    status, phrase = _WRONG[why]
    answer = door(request, known, saying(request).word(phrase.says()), to, status)
    if status == 429:
        answer.headers["Retry-After"] = "60"
    return answer


def _told(why: str, to: str) -> Response:
    """Leads back to the page on which one signs in, and tells there what was wrong."""
    return RedirectResponse(f"/sign-in?{urlencode({'why': why, 'to': to})}", 303)


@routes.post("/sign-in")
def sign_in(
    request: Request,
    known: Known,
    token: Annotated[str, Form(max_length=200)] = "",
    name: Annotated[str, Form(max_length=80)] = "",
    password: Annotated[str, Form(max_length=MOST)] = "",
    to: Annotated[str, Form(max_length=1000)] = "",
    lang: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Begins a session for a token, or for a name and its password. Another language is a button of the form."""
    name = name.strip()
    if lang:
        return back_to(f"/sign-in?{urlencode({'to': to, 'name': name})}", "", lang)
    if not _reached_safely(request):
        return _told("tls", to)
    if not name and (who := known.principals.by_token(token.strip())):
        return welcome(known, request, who, "token", to)
    try:
        return _by_password(request, known, name, password, to) if name else _by_unknown_token(request, known, to)
    except Refused as refused:
        answer = _told("many", to)
        answer.headers.update(refused.headers)
        return answer


def _by_password(request: Request, known: WebContext, name: str, password: str, to: str) -> Response:
    """Signs in with a password. Raises `Refused` and `scrypt.Crowded`; a guess that was not checked is not counted."""
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
    return _told("password", to)


def _by_unknown_token(request: Request, known: WebContext, to: str) -> Response:
    """Counts the unknown token as a guess, and shows the page on which one signs in. Raises `Refused`."""
    missed(known, request, "token")
    return _told("token", to)


@routes.get("/enter/{link}")
def enter(request: Request, known: Known, link: str) -> Response:
    """Signs in with a link, which works once.

    A browser that is signed in keeps its session, and the link stays valid.
    """
    if there(known, request):
        return RedirectResponse("/", 303)
    who = known.sessions.by_link(link[:100])
    if who is None:
        missed(known, request, "link")
        say = saying(request).word
        told = say(THIS_LINK_WAS_USED_ALREADY.says())
        return door(request, known, told, status=401)
    return welcome(known, request, who, "link")


@routes.post("/sign-out")
def sign_out(request: Request, known: Known) -> Response:
    """Ends the session in the store, not only in the browser."""
    known.sessions.end(session_of(request))
    answer = RedirectResponse("/sign-in", 303)
    for cookie in (_cookie(request), _cookie(request, interrupted.COOKIE)):
        answer.delete_cookie(cookie, secure=is_secure(request), httponly=True, samesite="lax")
    return answer


def to_the_door(request: Request, error: NotSignedIn) -> Response:
    """Redirects a browser that is not signed in."""
    door = f"/sign-in?to={quote(error.to)}" if error.to not in ("", "/") else "/sign-in"
    # After a redirect the script would insert the sign-in page into the middle of this one.
    return Response(headers={"HX-Redirect": door}) if _by_script(request) else RedirectResponse(door, 303)


def _by_script(request: Request) -> bool:
    return request.headers.get("hx-request") == "true"


def ours(to: str) -> str:
    """Returns `to` if it is a path of this page, else "/". Never returns another site or a script."""
    safe = to.startswith("/") and not to.startswith(("//", "/\\")) and to.isprintable() and "\\" not in to
    return to if safe and not to.startswith(("/sign-in", "/enter/", "/static/", "/api/", "/oidc/")) else "/"


def is_secure(request: Request) -> bool:
    """Tells whether the browser has TLS. A host name that is not local is reached through a proxy with TLS."""
    return request.url.scheme == "https" or request.url.hostname not in _LOCAL


def _cookie(request: Request, name: str = "mailhaul") -> str:
    """Returns a cookie's name. With TLS its prefix `__Host-` keeps neighbours under the same domain from setting it.

    See RFC 6265bis.
    """
    return f"__Host-{name}" if is_secure(request) else name


def _reached_safely(request: Request) -> bool:
    """Tells whether the session cookie can be set: without TLS the browser would not store it.

    The browser names its scheme in the header Origin.
    """
    return not (is_secure(request) and request.headers.get("origin", "").startswith("http://"))
