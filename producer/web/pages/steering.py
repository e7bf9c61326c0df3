"""Acts on an import or a mailbox: start, pause, resume, cancel, retry, verify, and the hours of an import."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from producer import operations
from producer.web import imports as counterpart
from producer.web.access import Known
from producer.web.pages.changed import Changed, back
from producer.web.pages.drawing import draw
from producer.web.pages.sign_in_page import Actor
from producer.web.problems import Refused
from producer.web.request_bodies import OneMailboxBody, RetryBody, VerifyBody, WindowBody
from shared.lifecycle import ImportState

routes = APIRouter(include_in_schema=False)


@routes.get("/imports/{import_id}/cancel")
def ask(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    mailbox: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """Shows the question before a cancellation, with the number of mailboxes that would be given up."""
    found = known.import_(import_id)
    login = mailbox and known.mailbox(import_id, mailbox)[0].source.login
    given_up, complete = operations.given_up_by_cancel(known.store, found, login)
    return draw(
        request, "cancel.html", who, request=found, login=login, mailbox=mailbox, given_up=given_up, complete=complete,
        back=_there(import_id, mailbox),
    )  # fmt: skip


@routes.post("/imports/{import_id}/{action}")
def act(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    action: str,
    code: Annotated[str, Form(max_length=100)] = "",
    mailbox: Annotated[str, Form(max_length=100)] = "",
    window: Annotated[str, Form(max_length=300)] = "",
    sure: Annotated[str, Form(max_length=10)] = "",
    accept_missing: Annotated[bool, Form()] = False,
    copy_missing: Annotated[bool, Form()] = False,
) -> Response:
    """Does the act, and redirects to the page that shows it, with a sentence on what it changed.

    A cancellation needs the answer to the question first.
    """
    login = mailbox and known.mailbox(import_id, mailbox)[0].source.login
    one = OneMailboxBody(login=login)
    if action == "cancel" and not sure:
        return RedirectResponse(f"/imports/{import_id}/cancel" + (f"?mailbox={mailbox}" if mailbox else ""), 303)
    messages = 0
    match action:
        case "start":
            waited = known.import_(import_id).state is ImportState.OPENING
            mailboxes = counterpart.start(known, who, request, import_id)["mailboxes_total"] * waited
        case "pause":
            mailboxes = counterpart.pause(known, who, request, import_id, one)["mailboxes"]
        case "resume":
            mailboxes = counterpart.resume(known, who, request, import_id, one)["mailboxes"]
        case "cancel":
            mailboxes = counterpart.cancel(known, who, request, import_id, one)["mailboxes"]
        case "retry":
            retried = RetryBody(code=code, login=login, copy_missing=copy_missing)
            done = counterpart.retry(known, who, request, import_id, retried)
            mailboxes, messages = done["mailboxes"], done["messages"]
        case "verify":
            verified = VerifyBody(login=login, accept_missing=accept_missing)
            mailboxes = counterpart.verify(known, who, request, import_id, verified)["mailboxes"]
        case "window":
            wanted = WindowBody(window=window.strip() or "none")
            mailboxes = counterpart.window(known, who, request, import_id, wanted)["mailboxes_total"]
        case _:
            raise Refused(404, "there is no such thing to do")
    request.app.state.glances.forget(import_id)
    return back(
        request, _there(import_id, mailbox), import_id, Changed(act=action, mailboxes=mailboxes, messages=messages)
    )


def _there(import_id: str, mailbox: str) -> str:
    return f"/imports/{import_id}" + (f"/mailboxes/{mailbox}" if mailbox else "")
