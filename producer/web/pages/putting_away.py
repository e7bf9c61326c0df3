"""The end of an import: passwords forgotten, closed, erased, refused messages taken out; and acts on chosen mailboxes."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Form, Request
from fastapi.responses import RedirectResponse, Response

from producer.operations.acknowledged import together
from producer.web.api import credential_routes, general_routes, imports, spooling
from producer.web.api import steering_routes as counterpart
from producer.web.api.request_bodies import EraseBody, OneMailboxBody, RetryBody, VerifyBody
from producer.web.pages.changed import Changed, back, steered
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Actor, Chief
from producer.web.pages.ticked_waves import CONTROLS
from producer.web.problems import Refused
from producer.web.security.access import Known
from shared.model.errors import UsageError
from shared.model.lifecycle import ImportState
from shared.wording.often_said import THERE_IS_NO_SUCH_THING_TO_DO

routes = page_routes()
#: Acts on chosen mailboxes.
_CHOSEN: Final = ("pause", "resume", "retry", "verify", "cancel")


@routes.get("/imports/{import_id}/close")
def ask(request: Request, known: Known, who: Actor, import_id: str) -> Response:
    """Shows the question before an import is closed or erased."""
    found = known.import_(import_id)
    return draw(request, "close.html", who, import_=found, busy=found.state is ImportState.RUNNING, fault="")


@routes.post("/imports/{import_id}/close")
def close(request: Request, known: Known, who: Actor, import_id: str) -> Response:
    """Closes the import: its ledger, report and passwords are forgotten."""
    try:
        imports.close(known, who, request, import_id)
    except (UsageError, Refused) as error:
        return _not_closed(request, known, who, import_id, error)
    return _gone(request, import_id)


@routes.post("/imports/{import_id}/erase")
def erase(request: Request, known: Known, who: Chief, import_id: str) -> Response:
    """Closes the import, and strikes out what else mentions it."""
    try:
        general_routes.erase(known, who, request, EraseBody(import_id=known.import_(import_id).import_id))
    except (UsageError, Refused) as error:
        return _not_closed(request, known, who, import_id, error)
    return _gone(request, import_id)


def _not_closed(request: Request, known: Known, who: Actor, import_id: str, error: Exception) -> Response:
    found = known.import_(import_id)
    return draw(request, "close.html", who, 409, import_=found, busy=found.state is ImportState.RUNNING, fault=error)


def _gone(request: Request, import_id: str) -> Response:
    request.app.state.glances.forget(import_id)
    return RedirectResponse("/?closed=1", 303)


@routes.get("/imports/{import_id}/forget")
def ask_forgetting(request: Request, known: Known, who: Actor, import_id: str) -> Response:
    """Shows the question before the stored passwords are deleted."""
    return _forgetting(request, known, who, import_id)


def _forgetting(request: Request, known: Known, who: Actor, import_id: str, status: int = 200) -> Response:
    found = known.import_(import_id)
    return draw(request, "forget.html", who, status, import_=found, busy=found.state is not ImportState.FINISHED)


@routes.post("/imports/{import_id}/forget")
def forget(
    request: Request, known: Known, who: Actor, import_id: str, sure: Annotated[str, Form(max_length=5)] = ""
) -> Response:
    """Deletes the stored passwords of a finished import, once the question was answered."""
    if not sure or known.import_(import_id).state is not ImportState.FINISHED:
        return _forgetting(request, known, who, import_id, 409 if sure else 200)
    deleted = credential_routes.forget(known, who, request, import_id)["deleted"]
    request.app.state.glances.forget(import_id)
    return back(request, f"/imports/{import_id}", import_id, Changed(act="forget", mailboxes=int(deleted)))


@routes.post("/imports/{import_id}/spool")
def spool(request: Request, known: Known, who: Chief, import_id: str) -> Response:
    """Returns the messages that were refused or failed, fetched from the source now, as a ZIP."""
    return spooling.spool(known, who, request, import_id, OneMailboxBody())


@routes.post("/imports/{import_id}/chosen")
def chosen(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    act: Annotated[str, Form(max_length=10)] = "",
    mailbox: Annotated[list[str], Form(max_length=500)] = [],  # noqa: B006
    sure: Annotated[str, Form(max_length=5)] = "",
) -> Response:
    """Does an act on the mailboxes that were ticked, each as it would be done alone. A cancellation is asked about first."""
    if act not in _CHOSEN:
        raise Refused(404, THERE_IS_NO_SUCH_THING_TO_DO.says())
    found, logins = known.import_(import_id), [known.mailbox(import_id, one)[0].source.login for one in mailbox]
    if act == "cancel" and logins and not sure:
        return draw(request, "cancel_chosen.html", who, import_=found, boxes=list(zip(mailbox, logins, strict=True)))
    done = messages = 0
    answers: list[dict[str, Any]] = []
    with together(known.operations):
        for login in mailbox:  # by id: one login at two servers is two mailboxes
            one = OneMailboxBody(login=login)
            match act:
                case "pause" | "resume" | "cancel":
                    answers.append(CONTROLS[act](known, who, request, import_id, one))
                case "retry":
                    answer = counterpart.retry(known, who, request, import_id, RetryBody(login=login))
                    done, messages = done + answer["mailboxes"], messages + answer["messages"]
                case "verify":
                    done += _verified(known, who, request, import_id, login)
    request.app.state.glances.forget(import_id)
    changed = (
        steered(act, *answers) if answers else Changed(act=act if logins else "none", mailboxes=done, messages=messages)
    )
    return back(request, f"/imports/{import_id}", import_id, changed)


def _verified(known: Known, who: Actor, request: Request, import_id: str, login: str) -> int:
    """Queues a further pass over one mailbox; 0 if it is under way."""
    try:
        return int(counterpart.verify(known, who, request, import_id, VerifyBody(login=login))["mailboxes"])
    except Refused:
        return 0
