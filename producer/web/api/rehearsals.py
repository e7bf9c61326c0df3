"""Check and plan in the background. Nothing is written to any server, and the result waits for whoever asks.

Closing the browser changes nothing. If this process ends, the rehearsals that it left are reported as lost.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from enum import StrEnum
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from producer.intake.account_options import AccountsAsked, AccountsSeen
from producer.intake.checked import Checked, swapped
from producer.intake.scan import Scan
from producer.intake.visiting import ConnectionPlaces
from producer.intake.waving import of_wave
from producer.waves import wave_of
from producer.web.api import answers, cutover_answers
from producer.web.api.request_bodies import RehearsalBody
from producer.web.problems import Refused
from producer.web.security.access import Known, Operator, Viewer, noted
from producer.web.web_context import WebContext
from shared.model import Account, Import
from shared.model.errors import MailhaulError
from shared.model.sides import Side
from shared.runtime.logs import get_logger
from shared.store.ports.brought import between, brought
from shared.store.records.principals import Principal
from shared.wording.kept import as_json
from shared.wording.often_said import INTERNAL_ERROR_SEE_LOG
from shared.wording.phrases import FaultsFound, Phrase, text_of

THERE_IS_NO_REHEARSAL_WITH_THIS_ID: Final = Phrase(
    "there_is_no_rehearsal_with_this_id", "there is no rehearsal with this id; they are kept for a day"
)
BEGIN_THE_REHEARSAL_AGAIN: Final = Phrase(
    "begin_the_rehearsal_again", "the process that ran it has ended: begin it again"
)
TOO_MANY_REHEARSALS_ARE_RUNNING: Final = Phrase(
    "too_many_rehearsals_are_running", "too many rehearsals are running; try again when one is done"
)
TOO_MANY_REHEARSALS_OF_YOURS: Final = Phrase(
    "too_many_rehearsals_of_yours",
    "{number} rehearsals of yours are running, which is the most: wait until one is done",
)

routes = APIRouter(route_class=answers.AnswerRoute, tags=["rehearsals"])
#: Most rehearsals that run in one process. Each visits one mailbox after the other, and may wait long for a server.
MOST: Final = 8
#: Most of one person: servers that drip keep nobody else's waiting.
MOST_OF_ONE: Final = 3
#: Seconds between two heartbeats of a running rehearsal.
BEAT_SECONDS: Final = 1.0
#: Seconds without a heartbeat after which a rehearsal counts as lost.
LOST_SECONDS: Final = 30.0


class Rehearsals:
    """The rehearsals of this process."""

    def __init__(self, known: WebContext) -> None:
        settings = known.settings
        self._known = known
        self._places = ConnectionPlaces(settings.source_host_connections, settings.destination_host_connections)
        self._pool = ThreadPoolExecutor(MOST, thread_name_prefix="rehearsal")
        #: Number of rehearsals that run, by person.
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Cancels the rehearsals that wait."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, import_: Import, kind: str, wave: str, who: Principal) -> dict[str, Any]:
        """Starts a rehearsal of the import, or of a wave, in the background, and returns its document.

        Raises `Refused` if too many run, of all people or of this one.
        """
        with self._lock:
            if self._running[who.principal_id] >= MOST_OF_ONE:
                raise Refused(429, TOO_MANY_REHEARSALS_OF_YOURS.says(number=MOST_OF_ONE))
            if self._running.total() >= MOST:
                raise Refused(429, TOO_MANY_REHEARSALS_ARE_RUNNING.says())
            self._running[who.principal_id] += 1
        found = {
            "id": secrets.token_hex(8),
            "import_id": import_.import_id,
            "kind": kind,
            "state": RehearsalState.RUNNING,
        }
        found |= {"wave": wave} if wave else {}
        run = _Run(self._known, {**found, "done": 0, "total": 0}, self._places)
        try:
            run.keep()
            self._known.records.add_rehearsal(import_.import_id, run.document["id"], kind, wave)
            self._pool.submit(self._go, run, import_, who.principal_id)
        except BaseException:
            self._over(who.principal_id)
            raise
        return run.document

    def _go(self, run: _Run, import_: Import, whose: str) -> None:
        try:
            run.go(import_)
        finally:
            self._over(whose)

    def _over(self, whose: str) -> None:
        with self._lock:
            self._running[whose] -= 1
            self._running += Counter()  # drops people whose count is 0


class RehearsalState(StrEnum):
    """The states of a rehearsal, as page and API name them."""

    RUNNING = "running"
    DONE = "done"
    #: It ended with an error.
    FAILED = "failed"
    #: Its process sent no heartbeat for `LOST_SECONDS`.
    LOST = "lost"


class RehearsalKind(StrEnum):
    """The kinds of rehearsals."""

    #: Logins, folders and sizes.
    CHECK = "check"
    #: The folders and messages that would be copied.
    PLAN = "plan"


class _Run:
    def __init__(self, known: WebContext, document: dict[str, Any], places: ConnectionPlaces) -> None:
        self._known, self.document, self._places = known, document, places
        self._over = threading.Event()

    def keep(self) -> None:
        self._known.records.keep_rehearsal(self.document["id"], {**self.document, "beat_at": time.time()})

    def go(self, import_: Import) -> None:
        beat = threading.Thread(target=self._beat, daemon=True)
        beat.start()
        try:
            found = self._result(import_)
            end: dict[str, Any] = {"state": RehearsalState.DONE, "result": found}
        except FaultsFound as error:
            faults = [as_json(fault) for fault in error.faults]
            end = {"state": RehearsalState.FAILED, "error": text_of(error), "faults": faults}
        except MailhaulError as error:
            end = {"state": RehearsalState.FAILED, "error": text_of(error)}
        except Exception as error:
            get_logger("mailhaul.web").error("fault", exc_info=error)
            end = {"state": RehearsalState.FAILED, "error": INTERNAL_ERROR_SEE_LOG.says()}
        self._over.set()
        beat.join()
        if end["state"] == RehearsalState.DONE:
            # A page shows those with trouble first, and reads no more than it shows.
            boxes = _trouble_first(self.document["kind"], end["result"].pop("mailboxes"))
            self._known.records.keep_rehearsed(self.document["id"], boxes)
        self.document |= end
        self.keep()
        if end["state"] == RehearsalState.DONE:
            self._known.records.note_found(import_.import_id, self.document["id"], broken_of(self.document))

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self.keep()
            except MailhaulError:
                continue  # the store does not answer now; the next heartbeat tries again

    def _told(self, done: int, total: int) -> None:
        self.document |= {"done": done, "total": total}

    def _brought(self, source: Account, destination: Account, uidvalidity: int | None) -> bool:
        books = self._known.store
        return brought(books, between(books, source, destination), uidvalidity)

    def _result(self, import_: Import) -> dict[str, Any]:
        known = self._known
        rows = of_wave(known.operations.rows_of(import_), self.document.get("wave", ""))
        sign_ins = known.operations.sign_ins_of(import_)
        secret = known.operations.accounts_secret_of(import_)
        seen = AccountsSeen(AccountsAsked(text=import_.options.accounts, secret=secret))
        ends = import_.source, import_.destination
        scan = Scan(*ends, known.settings, self._told, seen, sign_ins, self._brought, self._places)
        if self.document["kind"] == RehearsalKind.PLAN:
            return dict(scan.plan(rows, import_.options, (), known.store.limits()).as_json())
        found = scan.check(rows, import_.options)
        return {
            "mailboxes": [_checked(one) for one in found],
            "ok": sum(one.ok for one in found),
            "broken": sum(not one.ok for one in found),
            "swapped": swapped(found) and not import_.options.same_mailbox,
            "messages": sum(one.source.messages for one in found),
            "bytes": sum(one.source.size_bytes or 0 for one in found),
        }


def trouble_of(kind: str, box: Mapping[str, Any]) -> list[str]:
    """Returns what a rehearsal found wrong with a mailbox; nothing where all is well."""
    if kind == RehearsalKind.PLAN:
        return [box["problem"]] if box["problem"] else []
    said = [box[side]["failure"] for side in Side if box[side]["failure"]]
    return said or [box["warning"]] * (not box["ok"])


def _trouble_first(kind: str, boxes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(boxes, key=lambda box: not trouble_of(kind, box))


def boxes_of(known: WebContext, document: Mapping[str, Any], start: int, count: int) -> list[dict[str, Any]]:
    """Returns some of the mailboxes of a rehearsal that is done, those with trouble first."""
    if (kept := _within(document)) is not None:
        return kept[start : start + count]
    return known.records.rehearsed(document["id"], start, count)


def all_boxes(known: WebContext, document: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Returns all the mailboxes of a rehearsal that is done, those with trouble first, while they are read."""
    kept = _within(document)
    return known.records.all_rehearsed(document["id"]) if kept is None else kept


def _within(document: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Returns the mailboxes of a rehearsal that a version before 0.2.0 kept within its result; None for a later one."""
    boxes = (document.get("result") or {}).get("mailboxes")
    return None if boxes is None else _trouble_first(document["kind"], [{"server": "", **box} for box in boxes])


def broken_of(document: Mapping[str, Any]) -> int:
    """Returns in how many mailboxes a rehearsal that is done found trouble. They come first among those that are kept."""
    result = document["result"]
    return int(result["broken"] if document["kind"] == RehearsalKind.CHECK else result["totals"]["problems"])


def _checked(one: Checked) -> dict[str, Any]:
    return {**asdict(one), "ok": one.ok, "warning": one.overfull or one.warning}


@routes.post("/imports/{import_id}/rehearsals", status_code=202, response_model=cutover_answers.RehearsalAnswer)
def begin(
    known: Known, who: Operator, request: Request, response: Response, import_id: str, body: RehearsalBody
) -> dict[str, Any]:
    """Starts a rehearsal: signs in to every account once, on both sides. The answer's `Location` shows its progress."""
    found = known.import_(import_id)
    if body.wave:
        wave_of(known.store, found, body.wave)
    named = {"wave": body.wave} if body.wave else {}
    with noted(known, request, who, f"import {body.kind}", import_id=import_id, **named):
        rehearsals: Rehearsals = request.app.state.rehearsals
        document = rehearsals.begin(found, body.kind, body.wave, who)
        response.headers["Location"] = f"/api/v1/rehearsals/{document['id']}"
        return document


@routes.get("/imports/{import_id}/rehearsals", response_model=cutover_answers.RehearsalsAnswer)
def every(known: Known, _: Viewer, import_id: str) -> dict[str, Any]:
    """Lists the checks and plans of the import that are still kept, newest first."""
    known.import_(import_id)
    return {"rehearsals": known.records.rehearsals_of(import_id)}


@routes.get("/rehearsals/{rehearsal_id}", response_model=cutover_answers.RehearsalAnswer)
def one(known: Known, _: Viewer, rehearsal_id: str) -> dict[str, Any]:
    """Returns a rehearsal. `state` is running, done, failed or lost."""
    found = without_mailboxes(known, rehearsal_id)
    if found["state"] == RehearsalState.DONE:
        found["result"]["mailboxes"] = sorted(all_boxes(known, found), key=lambda box: int(box["row"]))
    return found


def without_mailboxes(known: WebContext, rehearsal_id: str) -> dict[str, Any]:
    """Returns a rehearsal without its mailboxes, of which there may be many (`boxes_of`). Raises `Refused` (404)."""
    found = _found(known, rehearsal_id)
    if found is None:
        raise Refused(404, THERE_IS_NO_REHEARSAL_WITH_THIS_ID.says())
    return found


def running(known: WebContext, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Returns the newest rehearsal that is under way; None if there is none. `rows`: those of an import, newest first."""
    begun = [row["id"] for row in rows if "broken" not in row][:MOST]
    found = (_found(known, rehearsal_id) for rehearsal_id in begun)
    return next((one for one in found if one and one["state"] == RehearsalState.RUNNING), None)


def _found(known: WebContext, rehearsal_id: str) -> dict[str, Any] | None:
    """Returns a rehearsal, "lost" where its process has ended; None if it is not kept."""
    found = known.records.rehearsal(rehearsal_id)
    if found is None:
        return None
    beat = found.pop("beat_at")
    if found["state"] == RehearsalState.RUNNING and time.time() - beat > LOST_SECONDS:
        found |= {"state": RehearsalState.LOST, "error": BEGIN_THE_REHEARSAL_AGAIN.says()}
    return found
