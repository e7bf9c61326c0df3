"""Routes of an import's mailboxes: the list page by page, and one mailbox with all that is known of it."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from producer.show import document
from producer.show.notes import notes_of
from producer.web.api import answers, mailbox_answers
from producer.web.api.request_bodies import PasswordsBody
from producer.web.problems import Refused
from producer.web.security.access import Known, Operator, Viewer, noted
from shared.model.lifecycle import MailboxState
from shared.model.search import Search
from shared.model.waves import MOST_NAME
from shared.wording.often_said import GIVE_AT_LEAST_ONE_PASSWORD

routes = APIRouter(route_class=answers.AnswerRoute, prefix="/imports/{import_id}/mailboxes", tags=["mailboxes"])

#: The keys of `shared.model.search.ORDERS`; a test keeps them equal.
Order = Literal["row", "login", "destination_login", "state", "messages", "bytes", "done_bytes", "failed", "refused"]


@routes.get("", response_model=mailbox_answers.MailboxesAnswer)
def page(
    known: Known,
    _: Viewer,
    import_id: str,
    state: MailboxState | None = None,
    code: Annotated[str, Query(max_length=100, description="Only with a failure of this code.")] = "",
    text: Annotated[str, Query(max_length=200, description="Only with this in a login.")] = "",
    wave: Annotated[str, Query(max_length=MOST_NAME, description="Only of this wave.")] = "",
    order: Order = "row",
    descending: bool = False,
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    count: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Lists mailboxes that match. `total` is the number of all matches."""
    known.import_(import_id)
    wanted = Search(
        state=state, code=code, text=text, wave=wave, order=order, descending=descending, start=start, count=count
    )
    total, found = known.store.find_mailboxes(import_id, wanted)
    return {"total": total, "start": start, "mailboxes": [document.row_fields(*one) for one in found]}


@routes.get("/{mailbox_id}", response_model=mailbox_answers.WholeMailboxAnswer)
def one(known: Known, _: Viewer, import_id: str, mailbox_id: str) -> dict[str, Any]:
    """Returns one mailbox with its folders and its last failures, in the servers' own words."""
    mailbox, tally = known.mailbox(import_id, mailbox_id)
    failures = [document.failure_fields(failure, import_id) for failure in known.store.failures(mailbox_id)]
    return {**document.mailbox_fields(known.store, mailbox, tally), "failures": failures}


@routes.put("/{mailbox_id}/passwords", response_model=answers.QueuedOneAnswer)
def give(
    known: Known, who: Operator, request: Request, import_id: str, mailbox_id: str, body: PasswordsBody
) -> dict[str, Any]:
    """Replaces passwords, each side for itself. A mailbox that waits for one goes on."""
    found, (mailbox, _) = known.import_(import_id), known.mailbox(import_id, mailbox_id)
    if not body.given:
        raise Refused(422, GIVE_AT_LEAST_ONE_PASSWORD.says())
    login, sides = mailbox.source.login, sorted(body.given)
    with noted(known, request, who, "credentials replaced", import_id=import_id, login=login, sides=sides):
        goes_on = known.operations.replace_passwords(found, mailbox, body.given)
        return {"queued": goes_on}


@routes.get("/{mailbox_id}/folders", response_model=mailbox_answers.FoldersAnswer)
def folders(known: Known, _: Viewer, import_id: str, mailbox_id: str) -> dict[str, Any]:
    """Lists the folders in the order of the plan, with notes on single messages."""
    known.mailbox(import_id, mailbox_id)
    return {
        "folders": [
            {
                **document.folder_fields(folder, tally),
                "notes": [
                    {"uid": note.uid, "what": note.what, "reason": note.reason, "message_id": note.message_id}
                    for note in islice(notes_of(known.store, folder), 1000)
                ],
            }
            for folder, tally in known.store.folders(mailbox_id)
        ]
    }
