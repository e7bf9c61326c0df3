"""The page of one mailbox: folders, failures in the server's words, events, and how it was verified."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

from fastapi import Form, Request
from fastapi.responses import Response
from pydantic import SecretStr

from producer.operations.trouble import addressed
from producer.show.naming import left_out_note
from producer.show.notes import notes_of
from producer.web.api import mailboxes as counterpart
from producer.web.api.request_bodies import PasswordsBody
from producer.web.pages.changed import Changed, back, changed_by, told
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Actor, Who
from producer.web.security.access import Known
from shared.model import Mailbox
from shared.model.lifecycle import SETTLED, Control, ImportState, MailboxState

routes = page_routes()
#: Maximum number of notes on single messages that are shown.
_NOTES = 200


@routes.get("/imports/{import_id}/mailboxes/{mailbox_id}")
def one_mailbox(request: Request, known: Known, who: Who, import_id: str, mailbox_id: str) -> Response:
    """Shows the page, or for the script the part that changes."""
    mailbox, tally = known.mailbox(import_id, mailbox_id)
    found = known.import_(import_id)
    folders = known.store.folders(mailbox_id)
    notes: list[Any] = []
    for folder, _ in folders:
        if len(notes) >= _NOTES:
            break
        notes += [(folder, note) for note in islice(notes_of(known.store, folder), _NOTES)]
    events = [
        event
        for event in reversed(known.page_state.events(import_id))
        if event["detail"].get("login", "") in ("", mailbox.source.login)
    ]
    values: dict[str, Any] = {
        "import_": found,
        "mailbox": mailbox,
        "tally": tally,
        "folders": folders,
        "notes": notes[:_NOTES],
        "failures": known.store.failures(mailbox_id),
        "events": events[:30],
        "actions": _actions(mailbox),
        "left_out": left_out_note(mailbox),
        "advice": lambda failure: addressed(failure.advice, import_id),
        "settled": mailbox.state in SETTLED,
        "changing": mailbox.state not in SETTLED or found.state is not ImportState.FINISHED,
        "here": f"/imports/{import_id}/mailboxes/{mailbox_id}",
    }
    if request.headers.get("hx-request") == "true":
        return draw(request, "mailbox_live.html", who, **values)
    changed = changed_by(request)
    page = draw(request, "mailbox.html", who, **values, changed=changed)
    return told(page, import_id) if changed else page


@routes.post("/imports/{import_id}/mailboxes/{mailbox_id}/passwords")
def give(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    mailbox_id: str,
    source: Annotated[str, Form(max_length=1000)] = "",
    destination: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    """Replaces the mailbox's passwords, each side for itself."""
    body = PasswordsBody(source=SecretStr(source), destination=SecretStr(destination))
    queued = counterpart.give(known, who, request, import_id, mailbox_id, body)["queued"]
    request.app.state.glances.forget(import_id)
    changed = Changed(act="passwords", mailboxes=1, queued=int(queued))
    return back(request, f"/imports/{import_id}/mailboxes/{mailbox_id}", import_id, changed)


def _actions(mailbox: Mailbox) -> list[tuple[str, str]]:
    if mailbox.state is MailboxState.CANCELLED:
        return [("resume", "Go on")]
    if mailbox.state is MailboxState.PARKED:
        return [("retry", "Retry"), ("cancel", "Cancel")]
    if mailbox.state is MailboxState.COMPLETE:
        return [("verify", "Sync again")]
    pause = ("resume", "Resume") if mailbox.control is Control.PAUSE else ("pause", "Pause")
    return [pause, ("cancel", "Cancel")]
