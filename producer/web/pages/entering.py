"""Who is at the browser: signing in with a token, or once with the link that `mailhaul up` prints; signing out."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse, Response

from producer.web.access import MOST_TRIES, Known
from producer.web.pages.drawing import draw, saying
from producer.web.problems import Refused
from shared.store.desk import SESSION_SECONDS, Bearer, Role

routes = APIRouter(include_in_schema=False)
COOKIE: Final = "mailhaul"
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class Stranger(Exception):
    """Nobody is signed in."""


def _signed_in(request: Request, known: Known) -> Bearer:
    found = known.desk.session(request.cookies.get(COOKIE, ""))
    if found is None:
        raise Stranger
    return found


#: Whoever may look.
Who = Annotated[Bearer, Depends(_signed_in)]


def _acting(who: Who) -> Bearer:
    if who.role < Role.OPERATOR:
        raise Refused(403, f"this needs the role operator; yours is {who.role.word}")
    return who


#: Whoever may act.
Actor = Annotated[Bearer, Depends(_acting)]


@routes.get("/favicon.ico")
def icon() -> Response:
    """None."""
    return Response(status_code=204)


@routes.get("/sign-in")
def ask(request: Request) -> Response:
    """For a token."""
    return draw(request, "sign_in.html", None, wrong="")


@routes.post("/sign-in")
def sign_in(request: Request, known: Known, token: Annotated[str, Form(max_length=200)]) -> Response:
    """A session for a token."""
    where = request.client.host if request.client else "?"
    say = saying(request).word
    if known.desk.tries(where) >= MOST_TRIES:
        wrong = say("Too many wrong tokens; try again in a minute.")
        return draw(request, "sign_in.html", None, 429, wrong=wrong)
    bearer = known.desk.bearer(token.strip())
    if bearer is None:
        known.desk.refused(where)
        return draw(request, "sign_in.html", None, 401, wrong=say("This token is not known."))
    answer = RedirectResponse("/", 303)
    # A name that is not local is reached through a proxy with TLS.
    secure = request.url.hostname not in _LOCAL
    session = known.desk.open_session(bearer)
    answer.set_cookie(COOKIE, session, max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=secure)
    return answer


@routes.post("/sign-out")
def sign_out(request: Request, known: Known) -> Response:
    """Ends the session here, not only in the browser."""
    known.desk.end_session(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer
