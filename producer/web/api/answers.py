"""The answers of the API, as its OpenAPI document describes them.

The routes return what `producer.show.document` and its neighbours say; these models describe it, and say times as ISO
8601 in UTC. A field that is not described here is answered all the same; tests/web/test_answers.py finds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from producer.operations.trouble import FailedMailbox
from shared.model.lifecycle import Control, ImportState, MailboxState
from shared.runtime.logs import get_logger


def moment_of(found: object) -> object:
    """Returns the moment of seconds since the epoch; pydantic takes those after the year 2603 for milliseconds.

    Raises `ValueError` for a number that no year has.
    """
    if not isinstance(found, (int, float)) or isinstance(found, bool):
        return found
    try:
        return datetime.fromtimestamp(found, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError from error


def as_said(found: object, name: str = "") -> object:
    """Returns an answer that does not fit its model, with its moments as ISO 8601. Pure.

    JSON has no word for infinity, nor ISO 8601 for a year above 9999: such a number becomes None.
    """
    match found:
        case dict():
            return {str(key): as_said(value, str(key)) for key, value in found.items()}
        case list() | tuple():
            return [as_said(one) for one in found]
        case float() | int() if name in _MOMENTS or name.endswith("_at"):
            try:
                moment = moment_of(found)
            except ValueError:
                return None
            return moment.isoformat().replace("+00:00", "Z") if isinstance(moment, datetime) else moment
        case float() if not math.isfinite(found):
            return None
    return found


#: Fields that are moments, beside those that end in "_at".
_MOMENTS: Final = ("at", "since", "until", "before", "due_since")
#: A moment: seconds since the epoch within, ISO 8601 in UTC without.
Moment = Annotated[datetime, BeforeValidator(moment_of)]
#: The numbers of mailboxes by their state.
ByState = dict[MailboxState, int]


class AnswerRoute(APIRoute):
    """A route whose answer has the fields that were said, and no others with a default.

    An answer that is not as it is described is given all the same, since its asker needs it; the log tells.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **given: Any) -> None:
        super().__init__(path, endpoint, **{**given, "response_model_exclude_unset": True})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Returns the function that answers a request."""
        usual = super().get_route_handler()

        async def answering(request: Request) -> Response:
            try:
                return await usual(request)
            except ResponseValidationError as error:
                faults = [".".join(map(str, one["loc"])) for one in error.errors()]
                get_logger("mailhaul.web").error("answer_undescribed", path=self.path, fields=faults[:20])
                return JSONResponse(as_said(jsonable_encoder(error.body)), self.status_code or 200)

        return answering


class Answer(BaseModel):
    """An answer, or a part of one."""

    model_config = ConfigDict(extra="allow")


class CountsAnswer(Answer):
    """Counts of messages: those with an outcome, withheld and pending ones are all of them."""

    messages: int
    bytes: int
    copied: int
    already_present: int
    skipped: int
    refused: int
    vanished: int
    failed: int
    withheld: int
    unreadable_folders: int
    pending: int
    done_bytes: int
    altered: int
    normalised: int
    dates_changed: int
    missing: int
    moved: int
    removed: int
    deleted_at_source: int
    moved_at_source: int
    doubled: int
    undone: int
    keywords_lost: int
    resized: int


class WantedAnswer(Answer):
    """The choice of folders and messages; what is usual is left out."""

    skip_special: list[str] = []
    shared_folders: str = ""
    into: str = ""
    folder_map: list[tuple[str, str]] = []
    since: Moment | None = None
    before: Moment | None = None
    larger: int | None = None
    smaller: int | None = None
    unseen: bool = False
    flagged: bool = False
    not_deleted: bool = False
    newest_first: bool = False
    gmail_labels: str = ""
    moves: str = ""
    deletions: str = ""
    deletions_cap: int = 0


class WaitAnswer(Answer):
    """Something that is waited for, and that is over by itself or keeps the import standing."""

    what: str
    key: str
    until: Moment | None
    since: Moment | None
    why: str
    mailboxes: int
    said: str


class ConnectionsAnswer(Answer):
    """The connections that may be open at once to a host or an account, as was found by trying."""

    scope: str
    key: str
    lanes: int
    let_in: int
    most: int
    why: str
    said: str


class StrandedAnswer(Answer):
    """Messages that a worker held which does not answer."""

    messages: int
    seconds: int


class ImportAnswer(CountsAnswer):
    """An import, or one wave of it, with its progress."""

    id: str
    name: str
    state: ImportState
    control: Control
    status: str
    source: str
    destination: str
    include: list[str]
    exclude: list[str]
    wanted: WantedAnswer
    verify: str
    passes: int
    created_at: Moment
    first_claim_at: Moment | None
    last_record_at: Moment | None
    finished_at: Moment | None
    archived_at: Moment | None
    mailboxes: ByState
    mailboxes_total: int
    messages_per_second: float
    eta_seconds: int | None
    eta_low_seconds: int | None
    eta_high_seconds: int | None
    share: float | None
    counted: bool
    compared: int | None
    to_compare: int | None
    window: str
    waits: list[WaitAnswer]
    connections: list[ConnectionsAnswer]
    waiting_for_lost_worker: StrandedAnswer


class ImportsAnswer(Answer):
    """A page of imports, and the number of all."""

    total: int
    imports: list[ImportAnswer]


class RowErrorAnswer(Answer):
    """A fault of a row."""

    row: int
    column: str
    code: str
    what: str


class ReportAnswer(Answer):
    """A manifest as it was read."""

    rows: int
    errors: list[RowErrorAnswer]
    errors_total: int
    warnings: list[str]
    encoding: str
    separator: str
    columns: list[str]


class PreviewRowAnswer(Answer):
    """A row at the beginning of a manifest."""

    row: int
    login: str
    new_login: str
    server: str


class ManifestAnswer(ReportAnswer):
    """A manifest as it was read, with its first rows."""

    preview: list[PreviewRowAnswer]


class OpenedAnswer(Answer):
    """An import that was opened or extended, and how the rows were read."""

    import_: ImportAnswer = Field(alias="import")
    report: ReportAnswer


class ClosedAnswer(Answer):
    """The end of an import; `closed` where there was something to forget."""

    closed: bool


class ForecastAnswer(Answer):
    """A forecast that is kept."""

    made_at: Moment
    ends_at: Moment | None
    low_at: Moment | None
    high_at: Moment | None
    passes: int
    mailboxes: int
    size_bytes: int
    waves: dict[str, Moment | None]
    binds: list[str]


class ForecastMadeAnswer(ForecastAnswer):
    """A forecast that was made now, also in words."""

    waiting: int
    assumed: int
    said: list[str]


class ScoreAnswer(Answer):
    """A forecast against what happened."""

    wave: str
    made_at: Moment
    forecast_at: Moment | None
    ended_at: Moment | None
    off: float | None


class ForecastsAnswer(Answer):
    """The forecasts that are kept, oldest first, and how the first of this pass did."""

    kept: list[ForecastAnswer]
    scores: list[ScoreAnswer]


class WaveAnswer(Answer):
    """A wave; the name "" stands for the mailboxes without one."""

    wave: str
    control: Control
    starts_at: Moment | None
    window: str
    weight: int
    order: int
    mailboxes: ByState
    mailboxes_total: int


class WavesAnswer(Answer):
    """The waves of an import by their order."""

    waves: list[WaveAnswer]


class StandingAnswer(Answer):
    """A part of an import, and whether it stands; the wave "" is the whole import."""

    wave: str
    off: bool
    least_seconds: int | float | None
    most_seconds: int | float | None
    switch_at: Moment | None


class StandingsAnswer(Answer):
    """The parts of an import that stand, and how the looks at their mailboxes go."""

    standing: list[StandingAnswer]
    mailboxes: int
    due: int
    due_since: Moment | None
    next_at: Moment | None
    looks: int
    found: int


class MailboxesChangedAnswer(Answer):
    """The number of mailboxes that an act changed."""

    mailboxes: int


class SteeredAnswer(MailboxesChangedAnswer):
    """The number of mailboxes that an act changed, and the import after it."""

    import_: ImportAnswer = Field(alias="import")


class ChangedAnswer(SteeredAnswer):
    """The result of a pause, a resumption or a cancellation, and whether what is wanted changed."""

    changed: bool


class RetriedAnswer(SteeredAnswer):
    """The mailboxes and messages that are tried again."""

    messages: int


class VerifiedAnswer(SteeredAnswer):
    """The mailboxes that are looked at again, and the missing messages that were accepted."""

    accepted: int


class ErrorAnswer(Answer):
    """A kind of trouble, with the mailboxes that have it."""

    code: str
    sentence: str
    advice: str
    server: str
    parked: bool
    sufferers: list[FailedMailbox]
    more: int


class ErrorsAnswer(Answer):
    """The trouble of an import, by kind."""

    errors: list[ErrorAnswer]


class QueuedAnswer(Answer):
    """The number of mailboxes that go on."""

    queued: int


class QueuedOneAnswer(Answer):
    """The effect of new passwords; `queued` where the mailbox goes on."""

    queued: bool


class CredentialsAnswer(QueuedAnswer):
    """The mailboxes that got new passwords, and the rows that fit none."""

    mailboxes: int
    unknown_rows: list[int]


class ForgottenAnswer(Answer):
    """The end of stored passwords: whether some were there, and whether the file of Redis was written anew without them."""

    deleted: bool
    purged: bool
