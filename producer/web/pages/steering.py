"""Acts on an import or a mailbox: start, pause, resume, cancel, retry, verify, and the hours of an import."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from producer.operations.finding import given_up_by_cancel
from producer.operations.standing import read_span, read_switch
from producer.web.api import imports
from producer.web.api import steering_routes as counterpart
from producer.web.api.request_bodies import (
    MoveBody,
    OneMailboxBody,
    RetryBody,
    StandingBody,
    VerifyBody,
    WaveBody,
    WindowBody,
)
from producer.web.pages.changed import Changed, back, steered
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Actor
from producer.web.pages.ticked_waves import CONTROLS, MOST_WAVES, WaveName
from producer.web.problems import Refused
from producer.web.security.access import Known
from shared.model.lifecycle import ImportState
from shared.model.waves import MOST_NAME
from shared.wording.often_said import THERE_IS_NO_SUCH_THING_TO_DO
from shared.wording.phrases import Phrase

WEIGHT_AND_ORDER_ARE_WHOLE_NUMBERS: Final = Phrase(
    "weight_and_order_are_whole_numbers", "weight and order are whole numbers"
)

routes = page_routes()


@routes.get("/imports/{import_id}/cancel")
def ask(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    mailbox: Annotated[str, Query(max_length=100)] = "",
    wave: Annotated[list[WaveName], Query(max_length=MOST_WAVES)] = [],  # noqa: B006
) -> Response:
    """Shows the question before a cancellation, with the number of mailboxes that would be given up."""
    found = known.import_(import_id)
    login = mailbox and known.mailbox(import_id, mailbox)[0].source.login
    counts = [given_up_by_cancel(known.store, found, mailbox, one) for one in dict.fromkeys(wave) or [""]]
    given_up, complete = map(sum, zip(*counts, strict=True))
    return draw(
        request,
        "cancel.html",
        who,
        import_=found,
        login=login,
        mailbox=mailbox,
        given_up=given_up,
        complete=complete,
        back=_there(import_id, mailbox),
        waves=[one for one in dict.fromkeys(wave) if one],
    )


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
    wave: Annotated[str, Form(max_length=MOST_NAME)] = "",
    starts_at: Annotated[str, Form(max_length=40)] = "",
    weight: Annotated[str, Form(max_length=3)] = "",
    order: Annotated[str, Form(max_length=4)] = "",
    front: Annotated[bool, Form()] = False,
    least: Annotated[str, Form(max_length=12)] = "",
    most: Annotated[str, Form(max_length=12)] = "",
    switch_at: Annotated[str, Form(max_length=40)] = "",
    off: Annotated[bool, Form()] = False,
) -> Response:
    """Does the act, and redirects to the page that shows it, with a sentence on what it changed.

    A cancellation needs the answer to the question first.
    """
    if mailbox:
        known.mailbox(import_id, mailbox)  # raises where the import has none with this id
    one = OneMailboxBody(login=mailbox, wave="" if mailbox else wave)
    if action == "cancel" and not sure:
        asked = {name: text for name, text in (("mailbox", mailbox), ("wave", wave)) if text}
        return RedirectResponse(f"/imports/{import_id}/cancel" + (f"?{urlencode(asked)}" if asked else ""), 303)
    messages = 0
    match action:
        case "start":
            waited = known.import_(import_id).state is ImportState.OPENING
            mailboxes = counterpart.start(known, who, request, import_id)["mailboxes_total"] * waited
        case "pause" | "resume" | "cancel":
            answer = CONTROLS[action](known, who, request, import_id, one)
            request.app.state.glances.forget(import_id)
            return back(request, _there(import_id, mailbox), import_id, steered(action, answer))
        case "retry":
            retried = RetryBody(code=code, login=mailbox, wave=one.wave, copy_missing=copy_missing)
            done = counterpart.retry(known, who, request, import_id, retried)
            mailboxes, messages = done["mailboxes"], done["messages"]
        case "verify":
            verified = VerifyBody(login=mailbox, wave=one.wave, accept_missing=accept_missing)
            mailboxes = counterpart.verify(known, who, request, import_id, verified)["mailboxes"]
        case "window":
            wanted = WindowBody(window=window.strip() or "none", wave=wave.strip())
            mailboxes = counterpart.window(known, who, request, import_id, wanted)["mailboxes_total"]
        case "wave":
            given = WaveBody(
                wave=wave.strip(), starts_at=starts_at or None, weight=_number(weight), order=_number(order)
            )
            counterpart.set_wave(known, who, request, import_id, given)
            mailboxes = 1
        case "forecast":
            imports.forecast(known, who, request, import_id)
            return RedirectResponse(_there(import_id, ""), 303)
        case "standing":
            stood = StandingBody(wave=wave.strip(), off=True) if off else _stood(wave, least, most, switch_at)
            counterpart.set_standing(known, who, request, import_id, stood)
            mailboxes = 1
        case "move":
            moved = MoveBody(login=mailbox, wave=None if front else wave.strip(), front=front)
            mailboxes = counterpart.move(known, who, request, import_id, moved)["mailboxes"]
        case "archive" | "unarchive":
            mailboxes = imports.archived(known, who, request, import_id, away=action == "archive")
        case _:
            raise Refused(404, THERE_IS_NO_SUCH_THING_TO_DO.says())
    request.app.state.glances.forget(import_id)
    return back(
        request, _there(import_id, mailbox), import_id, Changed(act=action, mailboxes=mailboxes, messages=messages)
    )


def _number(text: str) -> int | None:
    """Returns the number of a field of the form; None for an empty one. Raises `Refused`."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise Refused(422, WEIGHT_AND_ORDER_ARE_WHOLE_NUMBERS.says())
    return int(text)


def _stood(wave: str, least: str, most: str, switch_at: str) -> StandingBody:
    """Returns what the form asks for. Raises `UsageError`."""
    return StandingBody(
        wave=wave.strip(),
        least_seconds=read_span(least, "least_seconds") if least.strip() else None,
        most_seconds=read_span(most, "most_seconds") if most.strip() else None,
        switch_at=read_switch(switch_at) if switch_at.strip() else None,
    )


def _there(import_id: str, mailbox: str) -> str:
    return f"/imports/{import_id}" + (f"/mailboxes/{mailbox}" if mailbox else "")
