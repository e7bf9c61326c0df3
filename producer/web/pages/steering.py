"""Start, pause, resume, cancel, retry, verify: of an import, or of one mailbox of it; the hours of an import."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from producer.web import imports as counterpart
from producer.web.access import Known
from producer.web.asked import OneMailboxBody, RetryBody, VerifyBody, WindowBody
from producer.web.pages.entering import Actor
from producer.web.problems import Refused

routes = APIRouter(include_in_schema=False)


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
    accept_missing: Annotated[bool, Form()] = False,
    copy_missing: Annotated[bool, Form()] = False,
) -> Response:
    """Does it, and goes back to where that is seen."""
    login = mailbox and known.mailbox(import_id, mailbox)[0].source.login
    one = OneMailboxBody(login=login)
    match action:
        case "start":
            counterpart.start(known, who, request, import_id)
        case "pause":
            counterpart.pause(known, who, request, import_id, one)
        case "resume":
            counterpart.resume(known, who, request, import_id, one)
        case "cancel":
            counterpart.cancel(known, who, request, import_id, one)
        case "retry":
            counterpart.retry(
                known, who, request, import_id, RetryBody(code=code, login=login, copy_missing=copy_missing)
            )
        case "verify":
            counterpart.verify(known, who, request, import_id, VerifyBody(login=login, accept_missing=accept_missing))
        case "window":
            counterpart.window(known, who, request, import_id, WindowBody(window=window.strip() or "none"))
        case _:
            raise Refused(404, "there is no such thing to do")
    request.app.state.glances.forget(import_id)
    return RedirectResponse(f"/imports/{import_id}" + (f"/mailboxes/{mailbox}" if mailbox else ""), 303)
