"""Routes that steer an import: start, pause, hours, waves, retries and further passes."""

from __future__ import annotations

import time
from typing import Any, Final

from fastapi import APIRouter, Request

from producer.intake.waving import wave_name
from producer.operations import standing
from producer.operations.finding import controls_of, find_mailboxes
from producer.show import document
from producer.show.standing_words import standing_fields
from producer.waves import read_start, wave_of, waves_of
from producer.web.api import answers
from producer.web.api.imports import shown
from producer.web.api.request_bodies import (
    MoveBody,
    OneMailboxBody,
    RetryBody,
    StandingBody,
    VerifyBody,
    WaveBody,
    WindowBody,
)
from producer.web.problems import Refused
from producer.web.security.access import Known, Operator, Viewer, note, noted
from producer.web.web_context import WebContext
from shared.model import Import
from shared.model.lifecycle import SETTLED, Control
from shared.rules.hours import read_hours
from shared.wording.phrases import Phrase

IMPORT_IS_UNDER_WAY_ASK: Final = Phrase(
    "import_is_under_way_ask", "the import is under way: ask again when it is finished"
)

routes = APIRouter(route_class=answers.AnswerRoute, prefix="/imports", tags=["imports"])


@routes.get("/{import_id}/waves", response_model=answers.WavesAnswer)
def waves(known: Known, _: Viewer, import_id: str) -> dict[str, Any]:
    """Lists the waves by their order, each with the number of its mailboxes in each state."""
    found = waves_of(known.store, known.import_(import_id))
    return {"waves": [document.wave_fields(one) for one in found]}


@routes.put("/{import_id}/waves", response_model=answers.WavesAnswer)
def set_wave(known: Known, who: Operator, request: Request, import_id: str, body: WaveBody) -> dict[str, Any]:
    """Sets when a wave starts, its weight and its order, from now on. What is left out stays."""
    found, name = known.import_(import_id), wave_name(body.wave)
    starts_at = read_start(body.starts_at) if body.starts_at is not None else None
    given = {"starts_at": starts_at, "weight": body.weight, "order": body.order}
    asked = {field: one for field, one in given.items() if one is not None}
    with noted(known, request, who, "wave set", import_id=import_id, wave=name, **asked):
        known.operations.set_wave(found, name, starts_at=starts_at, weight=body.weight, order=body.order)
        return waves(known, who, import_id)


@routes.get("/{import_id}/standing", response_model=answers.StandingsAnswer)
def standings(known: Known, _: Viewer, import_id: str) -> dict[str, Any]:
    """Tells which parts of the import stand, and how the looks at its mailboxes go."""
    found = known.import_(import_id)
    return standing_fields(standing.standings(known.store, found), standing.tally_of(known.store, found))


@routes.put("/{import_id}/standing", response_model=answers.StandingsAnswer)
def set_standing(known: Known, who: Operator, request: Request, import_id: str, body: StandingBody) -> dict[str, Any]:
    """Lets the import or a wave stand, or no longer, from now on. What is left out stays as it was, or is usual."""
    found, wave = known.import_(import_id), wave_name(body.wave)
    asked = body.model_dump(include={"least_seconds", "most_seconds", "switch_at", "off"}, exclude_none=True)
    if isinstance(body.switch_at, str):
        asked["switch_at"] = standing.read_switch(body.switch_at)
    with noted(known, request, who, "standing set", import_id=import_id, wave=wave, **asked):
        known.operations.change_standing(found, wave, **asked)
    return standings(known, who, import_id)


@routes.post("/{import_id}/move", response_model=answers.MailboxesChangedAnswer)
def move(known: Known, who: Operator, request: Request, import_id: str, body: MoveBody) -> dict[str, Any]:
    """Moves a mailbox into another wave, or within its own; it is at work within seconds."""
    found = known.import_(import_id)
    wave = None if body.wave is None else wave_name(body.wave)
    given = {"wave": wave, "priority": body.priority, "front": body.front or None}
    asked = {field: one for field, one in given.items() if one is not None}
    login = _named(known, found, body.login)
    with noted(known, request, who, "mailbox moved", import_id=import_id, login=login, **asked) as told:
        moved = told(known.operations.move(found, body.login, wave=wave, priority=body.priority, front=body.front))
    return {"mailboxes": moved}


@routes.post("/{import_id}/start", response_model=answers.ImportAnswer)
def start(known: Known, who: Operator, request: Request, import_id: str) -> dict[str, Any]:
    """Starts the import. Idempotent."""
    known.import_(import_id)
    with noted(known, request, who, "import started", import_id=import_id):
        known.operations.set_going(import_id)
        return shown(known, import_id)


def _steer(
    known: WebContext, who: Operator, request: Request, import_id: str, word: Control, body: OneMailboxBody
) -> dict[str, Any]:
    found = known.import_(import_id)
    detail = {"import_id": import_id, "login": _named(known, found, body.login), **_of_wave(body)}
    with noted(known, request, who, f"import {word.value}", **detail) as told:
        before = controls_of(known.store, found, body.login, body.wave)
        concerned = known.operations.control(found, word, body.login, body.wave)
        changed = controls_of(known.store, found, body.login, body.wave) != before
        told(concerned or changed)
    return {"mailboxes": concerned, "changed": changed, "import": shown(known, import_id)}


@routes.post("/{import_id}/pause", response_model=answers.ChangedAnswer)
def pause(known: Known, who: Operator, request: Request, import_id: str, body: OneMailboxBody) -> dict[str, Any]:
    """Pauses within two seconds, until resumed."""
    return _steer(known, who, request, import_id, Control.PAUSE, body)


@routes.post("/{import_id}/resume", response_model=answers.ChangedAnswer)
def resume(known: Known, who: Operator, request: Request, import_id: str, body: OneMailboxBody) -> dict[str, Any]:
    """Resumes what was paused or cancelled."""
    return _steer(known, who, request, import_id, Control.RUN, body)


@routes.post("/{import_id}/cancel", response_model=answers.ChangedAnswer)
def cancel(known: Known, who: Operator, request: Request, import_id: str, body: OneMailboxBody) -> dict[str, Any]:
    """Cancels what is not finished. What was copied stays."""
    return _steer(known, who, request, import_id, Control.CANCEL, body)


@routes.put("/{import_id}/window", response_model=answers.ImportAnswer)
def window(known: Known, who: Operator, request: Request, import_id: str, body: WindowBody) -> dict[str, Any]:
    """Sets the hours in which the import may work, from now on. A pause is independent of them."""
    found, hours = known.import_(import_id), read_hours(body.window)
    if body.wave:
        wave_of(known.store, found, body.wave)
    with noted(known, request, who, "hours set", import_id=import_id, window=hours.text, **_of_wave(body)):
        known.operations.set_window(found, hours, time.time(), body.wave)
        return shown(known, import_id)


@routes.post("/{import_id}/retry", response_model=answers.RetriedAnswer)
def retry(known: Known, who: Operator, request: Request, import_id: str, body: RetryBody) -> dict[str, Any]:
    """Tries again what is parked, refused or failed."""
    found = known.import_(import_id)
    asked = _when(copy_missing=body.copy_missing)
    login = _named(known, found, body.login)
    detail = {"import_id": import_id, "login": login, "code": body.code, **_of_wave(body), **asked}
    with noted(known, request, who, "import retried", **detail) as told:
        mailboxes, messages = known.operations.retry(
            found, body.login, body.code, wave=body.wave, copy_missing=body.copy_missing
        )
        told(mailboxes)
    return {"mailboxes": mailboxes, "messages": messages, "import": shown(known, import_id)}


@routes.post("/{import_id}/verify", response_model=answers.VerifiedAnswer)
def verify(known: Known, who: Operator, request: Request, import_id: str, body: VerifyBody) -> dict[str, Any]:
    """Queues a further pass over finished mailboxes. It copies what is new and compares both sides."""
    found = known.import_(import_id)
    chosen = find_mailboxes(known.store, found, body.login, body.wave)
    asked = _when(accept_missing=body.accept_missing)
    login = _named(known, found, body.login)
    detail = {"import_id": import_id, "login": login, "full": body.full, **_of_wave(body), **asked}
    with noted(known, request, who, "verification asked for", **detail) as told:
        if all(one.state not in SETTLED for one, _ in chosen):
            raise Refused(409, IMPORT_IS_UNDER_WAY_ASK.says(), code="under-way")
        queued, accepted = known.operations.verify(
            found,
            full=body.full,
            login=body.login,
            wave=body.wave,
            accept_missing=body.accept_missing,
        )
        if told(queued):
            about = {"import_id": import_id, "login": login, **_of_wave(body)}
            note(known, request, who, "verification queued", **about, mailboxes=queued)
    return {"mailboxes": queued, "accepted": accepted, "import": shown(known, import_id)}


def _named(known: WebContext, import_: Import, login: str) -> str:
    """Returns the login for the audit log, also where a mailbox was named by its id."""
    found = known.store.mailbox(login) if login else None
    return found.source.login if found and found.import_id == import_.import_id else login


def _of_wave(body: OneMailboxBody | WindowBody) -> dict[str, str]:
    """Returns the wave for the audit log, where one is named."""
    return {"wave": body.wave} if body.wave else {}


def _when(**asked: bool) -> dict[str, bool]:
    """Keeps only the flags that are set, for the audit log."""
    return {name: value for name, value in asked.items() if value}
