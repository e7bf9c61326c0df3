"""Check and plan on the page: starting them, waiting for them, and their results."""

from __future__ import annotations

import time
from typing import Annotated, Final, Literal

from fastapi import Form, Query, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from producer.waves import wave_of
from producer.web.api import rehearsals
from producer.web.api.mended import checked_rows
from producer.web.api.rehearsals import Rehearsals
from producer.web.api.report_routes import in_pieces
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Actor, Who
from producer.web.problems import Refused
from producer.web.security.access import Known, noted
from producer.web.web_context import WebContext
from shared.model.waves import MOST_NAME
from shared.wording.phrases import Phrase

THERE_IS_NO_TABLE: Final = Phrase("there_is_no_table", "there is no table of this: only a check that is done has one")

routes = page_routes()
#: Mailboxes of a rehearsal that are shown at once.
_MOST: Final = 50


@routes.post("/imports/{import_id}/rehearsals")
def begin(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    kind: Annotated[Literal["check", "plan"], Form()],
    wave: Annotated[str, Form(max_length=MOST_NAME)] = "",
) -> Response:
    """Starts a rehearsal, or leads to the same one that runs already. Nothing is written to any server."""
    found = known.import_(import_id)
    if wave:
        wave_of(known.store, found, wave)
    there, claim = _running(known, f"rehearse:{import_id}:{kind}:{wave}")
    if there:
        return RedirectResponse(f"/rehearsals/{there}", 303)
    try:
        with noted(known, request, who, f"import {kind}", import_id=import_id, **({"wave": wave} if wave else {})):
            begun: Rehearsals = request.app.state.rehearsals
            rehearsal_id = begun.begin(found, kind, wave, who)["id"]
    except BaseException:
        known.records.drop(claim)
        raise
    known.records.answer(f"rehearse:{import_id}:{kind}:{wave}", "", rehearsal_id)
    return RedirectResponse(f"/rehearsals/{rehearsal_id}", 303)


def _running(known: WebContext, press: str) -> tuple[str, str]:
    """Returns the id of the same rehearsal, if it runs or a click beside this one begins it just now; "" for none.

    With "" comes the claim under which the caller is to begin it. What follows a rehearsal that is over is claimed by
    that one's id: of two clicks, one begins it.
    """
    claim, over = press, ""
    for _ in range(20):
        before = known.records.begin(press, "")
        if before is None:
            return "", press
        there = str(before.get("answer") or "")
        if there and there != over:
            if over or _runs(known, there):
                return there, ""
            over, claim = there, f"{press}:{there}"
            if known.records.begin(claim, "") is None:
                return "", claim
        time.sleep(0.1)  # the click beside this one may be in another process, and tells its rehearsal by the store
    return "", claim


def _runs(known: WebContext, rehearsal_id: str) -> bool:
    """Tells whether a rehearsal is under way; one that its process left is not."""
    try:
        return bool(rehearsals.without_mailboxes(known, rehearsal_id)["state"] == rehearsals.RehearsalState.RUNNING)
    except Refused:  # it is not kept any more
        return False


@routes.get("/rehearsals/{rehearsal_id}.csv")
def table(known: Known, who: Who, rehearsal_id: str) -> Response:
    """Returns what a check found, a row for each mailbox."""
    found = rehearsals.without_mailboxes(known, rehearsal_id)
    if found["kind"] != rehearsals.RehearsalKind.CHECK or found["state"] != rehearsals.RehearsalState.DONE:
        raise Refused(404, THERE_IS_NO_TABLE.says())
    headers = {"Content-Disposition": 'attachment; filename="check.csv"'}
    pieces = in_pieces(checked_rows(rehearsals.all_boxes(known, found)))
    return StreamingResponse(pieces, media_type="text/csv; charset=utf-8", headers=headers)


@routes.get("/rehearsals/{rehearsal_id}")
def one(
    request: Request,
    known: Known,
    who: Who,
    rehearsal_id: str,
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """Shows how far a rehearsal is, or its result, page by page."""
    found = rehearsals.without_mailboxes(known, rehearsal_id)
    partly = request.headers.get("hx-request") == "true"
    return draw(
        request,
        "rehearsal_live.html" if partly else "rehearsal.html",
        who,
        rehearsal=found,
        import_=known.import_(found["import_id"]),
        here=f"/rehearsals/{rehearsal_id}",
        boxes=rehearsals.boxes_of(known, found, start, _MOST),
        start=start,
        count=_MOST,
    )
