"""The administrator's pages: people, programs, limits, the audit log, the state of this machine, erasing a person."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import SecretStr, ValidationError

from producer.operations import limits
from producer.web.api import auditing, general_routes, principals
from producer.web.api.request_bodies import EraseBody, LimitBody, TokenBody, UserBody
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Chief, session_of
from producer.web.problems import Refused
from producer.web.security.access import Known
from shared.model.errors import UsageError
from shared.model.rates import RATES
from shared.store import SCOPES
from shared.store.records.principals import Role
from shared.wording.phrases import Phrase

GIVE_LOGIN_OF_PERSON: Final = Phrase("give_login_of_person", "give the login of the person")
TWO_LOGINS_DIFFER: Final = Phrase("two_logins_differ", "the two logins are not the same: nothing was erased")
PASSWORD_HAS_10_TO_200_CHARACTERS: Final = Phrase(
    "password_has_10_to_200_characters", "a password has 10 to 200 characters"
)
NAME_RULE: Final = Phrase("name_rule", "a name is 1 to 80 printable characters, without a space at either end")

routes = page_routes("/admin")
_ENTRIES: Final = 50
_Text = Annotated[str, Form(max_length=400)]


@routes.get("")
def people(
    request: Request,
    known: Known,
    who: Chief,
    done: Annotated[str, Query(max_length=20)] = "",
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Shows who may sign in, which programs have a token, and which browsers are signed in, page by page."""
    return _people(request, known, who, start=start, done=done)


def _people(request: Request, known: Known, who: Chief, status: int = 200, start: int = 0, **more: Any) -> Response:
    sessions = known.sessions.all()
    start = min(start, max(0, len(sessions) - 1) // _ENTRIES * _ENTRIES)
    usual = {"done": "", "fault": "", "at_form": "", "made": None, "secret": ""}
    return draw(
        request,
        "admin.html",
        who,
        status,
        users=known.principals.users(),
        tokens=known.principals.tokens(),
        sessions=sessions[start : start + _ENTRIES],
        signed_in=len(sessions),
        own=known.sessions.id_of(session_of(request)),
        start=start,
        count=_ENTRIES,
        roles=[one.word for one in Role],
        **(usual | more),
    )


@routes.post("/users")
def set_user(
    request: Request,
    known: Known,
    who: Chief,
    name: _Text = "",
    role: _Text = "",
    password: Annotated[SecretStr, Form(max_length=400)] = SecretStr(""),  # noqa: B008
) -> Response:
    """Adds a user, or gives one a new password and role."""
    try:
        body = UserBody.model_validate({"password": password, "role": role})
        principals.set_user(known, who, request, name.strip(), body)
    except ValidationError:
        return _people(request, known, who, 422, at_form="set-user", fault=PASSWORD_HAS_10_TO_200_CHARACTERS.says())
    except UsageError as error:
        return _people(request, known, who, 422, at_form="set-user", fault=error)
    return RedirectResponse("/admin?done=user", 303)


@routes.post("/users/remove")
def remove_user(request: Request, known: Known, who: Chief, name: _Text = "") -> Response:
    """Removes a user, with all sessions."""
    principals.remove_user(known, who, request, name)
    return RedirectResponse("/admin?done=removed", 303)


@routes.post("/tokens")
def make_token(
    request: Request, known: Known, who: Chief, name: _Text = "", role: _Text = "", expires: _Text = ""
) -> Response:
    """Makes a token, and shows its text this once."""
    try:
        body = TokenBody.model_validate({"name": name.strip(), "role": role, "expires": expires or "never"})
        made = principals.make_token(known, who, request, body)
    except ValidationError:
        return _people(request, known, who, 422, at_form="make-token", fault=NAME_RULE.says())
    except UsageError as error:
        return _people(request, known, who, 422, at_form="make-token", fault=error)
    return _people(request, known, who, made=made["name"], secret=made["token"])


@routes.post("/tokens/revoke")
def revoke(request: Request, known: Known, who: Chief, token_id: _Text = "") -> Response:
    """Ends a token."""
    principals.revoke(known, who, request, token_id)
    return RedirectResponse("/admin?done=revoked", 303)


@routes.post("/sessions/end")
def end_session(request: Request, known: Known, who: Chief, which: _Text = "") -> Response:
    """Signs a browser out."""
    principals.end_session(known, who, request, which)
    return RedirectResponse("/admin?done=ended", 303)


@routes.get("/limits")
def shown_limits(request: Request, known: Known, who: Chief) -> Response:
    """Shows the limits and rates: the defaults, what was set, what is usual at a server."""
    return _limits(request, known, who)


def _limits(request: Request, known: Known, who: Chief, status: int = 200, **more: Any) -> Response:
    found = general_routes.limits(known, who)
    return draw(
        request, "admin_limits.html", who, status, scopes=SCOPES, rates=RATES, **found, **({"fault": ""} | more)
    )


@routes.post("/limits")
def set_limit(
    request: Request, known: Known, who: Chief, scope: _Text = "", rate: _Text = "", key: _Text = "", most: _Text = ""
) -> Response:
    """Sets a limit or a rate, in units of people; "default" takes it away."""
    where = scope + (f".{rate}" if rate else "") + (f":{key.strip()}" if key.strip() else "")
    try:
        wanted = limits.read_limit(where, most.strip())
        general_routes.set_limit(known, who, request, where, LimitBody(most=wanted))
    except UsageError as error:
        return _limits(request, known, who, 422, fault=error)
    except ValidationError:
        return _limits(request, known, who, 422, fault=limits.numbers_of(where).error())
    return RedirectResponse("/admin/limits", 303)


@routes.get("/audit")
def audit(
    request: Request,
    known: Known,
    who: Chief,
    before: Annotated[str, Query(pattern=r"^(\d{1,15}-\d{1,9})?$")] = "",
) -> Response:
    """Shows who did what, newest first."""
    entries = known.records.audit_back(before, _ENTRIES)
    return draw(
        request,
        "admin_audit.html",
        who,
        entries=entries,
        before=before,
        names={one.import_id: one.name for one in known.store.imports()},
        older=entries[-1]["id"] if len(entries) == _ENTRIES else "",
    )


@routes.get("/audit.csv")
def audit_csv(known: Known, who: Chief) -> Response:
    """Returns the whole audit log, for a spreadsheet."""
    return auditing.audit_csv(known, who)


@routes.get("/doctor")
def doctor(request: Request, known: Known, who: Chief) -> Response:
    """Shows what `mailhaul doctor` finds on this machine."""
    return draw(request, "admin_doctor.html", who, **general_routes.doctor(known, who))


@routes.get("/erase")
def ask_erasure(request: Request, who: Chief) -> Response:
    """Shows the form that erases a person from every import."""
    return draw(request, "admin_erase.html", who, receipt=None, fault="", login="")


@routes.post("/erase")
def erase(request: Request, known: Known, who: Chief, login: _Text = "", sure: _Text = "") -> Response:
    """Erases a person, once the login was given twice, and shows the receipt."""
    login, fault = login.strip(), ""
    if not login:
        fault = GIVE_LOGIN_OF_PERSON.says()
    elif sure.strip() != login:
        fault = TWO_LOGINS_DIFFER.says()
    if fault:
        return draw(request, "admin_erase.html", who, 422, receipt=None, fault=fault, login=login)
    try:
        receipt = general_routes.erase(known, who, request, EraseBody(login=login))["erased"]
    except (UsageError, Refused) as error:
        return draw(request, "admin_erase.html", who, 422, receipt=None, fault=error, login=login)
    return draw(request, "admin_erase.html", who, receipt=receipt, fault="", login="")
