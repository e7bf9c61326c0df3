"""Routes of imports: open, watch, put away and report. `steering_routes` steers them."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from producer.intake.account_options import AccountsAsked
from producer.intake.allowed import NOTHING_ALLOWED, Allowed
from producer.intake.fitting import fit_options, place_rows
from producer.intake.manifest_row import Row
from producer.intake.preparing import prepare_import
from producer.intake.sheet import ManifestInvalid, RequestFaults
from producer.intake.specification import ImportSpecification, check
from producer.operations import forecasting
from producer.operations.audited_options import audited
from producer.operations.finding import errors_of, progress_of
from producer.show import document, foreseen
from producer.web.api import answers
from producer.web.api.account_services import chosen
from producer.web.api.import_bodies import ImportBody, MailboxesBody, SheetBody, guarded
from producer.web.api.once import Key, once
from producer.web.api.request_bodies import ArchiveBody
from producer.web.problems import Refused, manifest_as_read
from producer.web.security.access import Known, Operator, Viewer, noted
from producer.web.web_context import WebContext
from shared.model import Endpoint, Import, Options
from shared.model.lifecycle import ImportState
from shared.model.search import Search
from shared.model.sides import Side
from shared.model.waves import MOST_NAME
from shared.store.records.principals import Principal
from shared.wording.phrases import Faults, Phrase

THIS_IMPORT_IS_BEING_OPENED: Final = Phrase("this_import_is_being_opened", "this import is being opened")
SOME_MAILBOXES_ARE_IN_IMPORT_ALREADY: Final = Phrase(
    "some_mailboxes_are_in_import_already",
    "some mailboxes are in the import already: give them new passwords by …/credentials",
)
IMPORT_IS_UNDER_WAY_WAIT: Final = Phrase(
    "import_is_under_way_wait", "the import is under way: wait until it is finished, or cancel it first"
)
IMPORT_OF_THIS_NAME_EXISTS: Final = Phrase(
    "import_of_this_name_exists",
    "an import of this name between these servers is there: give another name, or verify that one",
)

routes = APIRouter(route_class=answers.AnswerRoute, prefix="/imports", tags=["imports"])
OneWave = Annotated[str, Query(max_length=MOST_NAME, description="Only the mailboxes of this wave.")]


@routes.get("", response_model=answers.ImportsAnswer)
def all_imports(
    known: Known,
    _: Viewer,
    start: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=1, le=500)] = 100,
    archived: Annotated[bool, Query(description="Also those in the archive.")] = False,
) -> dict[str, Any]:
    """Lists the imports, newest first."""
    found = [one for one in known.store.imports() if archived or not one.archived]
    page = found[start : start + count]
    fields = [document.import_fields(progress_of(known.store, one)) for one in page]
    return {"total": len(found), "imports": fields}


@routes.post("", status_code=201, response_model=answers.OpenedAnswer)
def open_import(
    known: Known, who: Operator, request: Request, response: Response, body: ImportBody, key: Key = ""
) -> dict[str, Any]:
    """Opens an import, in state "opening". The answer holds the validation report, and its `Location` the import."""
    answer = once(known, who, key, "import", body, lambda: opened(known, who, request, body))
    response.headers["Location"] = f"/api/v1/imports/{answer['import']['id']}"
    return answer


def opened(known: WebContext, who: Principal, request: Request, body: ImportBody) -> dict[str, Any]:
    faults, maker, sheet = Faults(), AccountsAsked(), None
    with faults.at("accounts"):
        maker = chosen(known, body.accounts)
    with faults.at():
        sheet = body.asked()
    checked = check(body.taken_down(maker, sheet), faults, guard=guarded(known.reach))
    if checked.specification is None:
        if checked.faults:
            raise RequestFaults(checked.faults, checked.row_errors)
        raise ManifestInvalid(checked.row_errors)
    import_id = written(known, who, request, checked.specification).import_id
    return {
        "import": shown(known, import_id),
        "report": manifest_as_read(checked.specification.manifest, checked.row_errors),
    }


def written(known: WebContext, who: Principal, request: Request, new: ImportSpecification) -> Import:
    """Writes the import into the store, in state "opening". Raises `Refused` if it is there already."""
    rows = new.manifest.rows
    wanted, mailboxes = prepare_import(rows, new.source, new.destination, new.options, new.name)
    held = f"open:{wanted.import_id}"
    if known.records.begin(held, "") is not None:
        raise Refused(409, THIS_IMPORT_IS_BEING_OPENED.says())
    try:
        if known.store.import_(wanted.import_id) is not None:
            raise Refused(
                409,
                IMPORT_OF_THIS_NAME_EXISTS.says(),
                code="import-exists",
                import_id=wanted.import_id,
            )
        with noted(
            known,
            request,
            who,
            "import opened",
            import_id=wanted.import_id,
            name=wanted.name,
            mailboxes=len(rows),
            **audited(wanted),
        ):
            known.operations.submit(
                wanted,
                mailboxes,
                rows,
                hold=True,
                hours=new.hours,
                sign_ins=new.sign_ins,
                accounts_secret=new.accounts.secret,
            )
            for order in ("login", "destination_login"):  # builds the indexes, since the first search takes longest
                known.store.find_mailboxes(wanted.import_id, Search(order=order, count=1))
    finally:
        known.records.drop(held)
    return wanted


def _sifted(
    known: WebContext,
    body: SheetBody,
    *,
    only_good: bool,
    allow_plaintext: bool = False,
    passwords: bool = True,
    allowed: Allowed = NOTHING_ALLOWED,
) -> tuple[tuple[Row, ...], dict[str, Any]]:
    manifest, errors = body.sift(known.reach, allow_plaintext=allow_plaintext, passwords=passwords, allowed=allowed)
    if errors and (not only_good or not manifest.rows):
        raise ManifestInvalid(errors)
    return manifest.rows, manifest_as_read(manifest, errors)


def _fit(rows: tuple[Row, ...], source: Endpoint, options: Options) -> None:
    place_rows(rows, source)
    fit_options(options, {source, *(row.server for row in rows if row.server)})


def shown(known: WebContext, import_id: str) -> dict[str, Any]:
    """Returns the fields of the import as it is now."""
    return document.import_fields(known.progress(import_id))


@routes.get("/{import_id}", response_model=answers.ImportAnswer)
def one_import(known: Known, _: Viewer, import_id: str, wave: OneWave = "") -> dict[str, Any]:
    """Returns one import, or one wave of it, with its progress."""
    if wave:
        return document.import_fields(progress_of(known.store, known.import_(import_id), wave=wave))
    return shown(known, import_id)


@routes.get("/{import_id}/forecast", response_model=answers.ForecastsAnswer)
def forecasts(known: Known, _: Viewer, import_id: str) -> dict[str, Any]:
    """Returns the forecasts that are kept, oldest first, and how the first of this pass did."""
    found = known.import_(import_id)
    return {
        "kept": [foreseen.forecast_fields(kept) for kept in known.store.forecasts(import_id)],
        "scores": [foreseen.score_fields(score) for score in forecasting.scored(known.store, found)],
    }


@routes.post("/{import_id}/forecast", status_code=201, response_model=answers.ForecastMadeAnswer)
def forecast(known: Known, who: Operator, request: Request, import_id: str, wave: OneWave = "") -> dict[str, Any]:
    """Makes a forecast under the limits that are set, and keeps it. `said` has it in words."""
    found, settings = known.import_(import_id), known.settings
    with noted(known, request, who, "forecast made", import_id=import_id):
        rest = known.at_work.rests(own=1)
        made = forecasting.made_and_kept(known.store, found, wave, settings.limits, settings.worker_threads, rest)
        return {
            **foreseen.forecast_fields(made.kept),
            "waiting": made.waiting,
            "assumed": made.assumed,
            "said": foreseen.outlook_lines(made, wave),
        }


@routes.post("/{import_id}/mailboxes", response_model=answers.OpenedAnswer)
def add_mailboxes(known: Known, who: Operator, request: Request, import_id: str, body: MailboxesBody) -> dict[str, Any]:
    """Adds rows that were corrected. If the import is running, they run at once."""
    found = known.import_(import_id)
    by_rows, allowed = (
        known.operations.sign_ins_of(found)[Side.SOURCE].by_rows,
        Allowed.of(found.options),
    )
    rows, report = _sifted(known, body, only_good=body.good_rows_only, passwords=by_rows, allowed=allowed)
    added(known, who, request, import_id, rows)
    return {"import": shown(known, import_id), "report": report}


def added(known: WebContext, who: Principal, request: Request, import_id: str, rows: tuple[Row, ...]) -> None:
    """Adds rows to an import. Raises `UsageError` if they do not fit it, `Refused` if some are there already."""
    found = known.import_(import_id)
    _fit(rows, found.source, found.options)
    _, last = known.store.find_mailboxes(import_id, Search(descending=True, count=1))
    first = last[0][0].row if last else 0
    rows = tuple(dataclasses.replace(row, line=first + row.line) for row in rows)
    _, mailboxes = prepare_import(rows, found.source, found.destination, found.options, found.name)
    if there := [one.source.login for one in mailboxes if known.store.mailbox(one.mailbox_id) is not None]:
        raise Refused(
            409,
            SOME_MAILBOXES_ARE_IN_IMPORT_ALREADY.says(),
            code="mailboxes-exist",
            logins=there[:100],
        )
    with noted(known, request, who, "mailboxes added", import_id=import_id, mailboxes=len(rows)):
        known.operations.submit(
            found,
            mailboxes,
            rows,
            hold=found.state is ImportState.OPENING,
        )


@routes.delete("/{import_id}", response_model=answers.ClosedAnswer)
def close(known: Known, who: Operator, request: Request, import_id: str) -> dict[str, Any]:
    """Forgets an import that is not running: its ledger, report and passwords. Mail is not touched."""
    found = known.import_(import_id)
    if found.state is ImportState.RUNNING:
        raise Refused(409, IMPORT_IS_UNDER_WAY_WAIT.says(), code="under-way")
    with noted(known, request, who, "import closed", import_id=import_id, name=found.name):
        return {"closed": known.operations.close(found)}


@routes.put("/{import_id}/archived", response_model=answers.ImportAnswer)
def archive(known: Known, who: Operator, request: Request, import_id: str, body: ArchiveBody) -> dict[str, Any]:
    """Puts an import that does not run into the archive, or takes it back. Lists and searches leave it out there."""
    archived(known, who, request, import_id, away=body.archived)
    return shown(known, import_id)


def archived(known: WebContext, who: Principal, request: Request, import_id: str, *, away: bool) -> int:
    """Puts an import into the archive, or takes it back. Returns how many were changed: 1 or 0."""
    found = known.import_(import_id)
    with noted(known, request, who, "import archived" if away else "import taken back", import_id=import_id) as told:
        return told(known.operations.archive(found, away=away))


@routes.get("/{import_id}/errors", response_model=answers.ErrorsAnswer)
def errors(
    known: Known,
    _: Viewer,
    import_id: str,
    login: Annotated[str, Query(max_length=1000, description="Only of this mailbox.")] = "",
    wave: OneWave = "",
    named: Annotated[
        int,
        Query(
            ge=1,
            le=500,
            description="Of more than 1,000 mailboxes, so many are named for each kind; `more` counts the others.",
        ),
    ] = 20,
) -> dict[str, Any]:
    """Lists what went wrong, by kind, each with what to do. GET …/mailboxes?code= lists all that have it, by page."""
    found = known.import_(import_id)
    return {"errors": document.error_fields(errors_of(known.store, found, login, wave=wave, named=named))}
