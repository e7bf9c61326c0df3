"""The page: the same operations as the API's, as HTML. It works without a script; with one, an import is drawn anew while
it runs. Whoever has a token signs in with it and gets a session that ends here."""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from babel.numbers import format_decimal
from fastapi import APIRouter, Depends, FastAPI, File, Form, Query, Request, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

from producer import operations
from producer.intake.manifest import ManifestInvalid, template
from producer.intake.plan import spoken_duration, spoken_size
from producer.intake.providers import catalogue
from producer.web import imports as asked_of_api
from producer.web.access import MOST_TRIES, Known
from producer.web.asked import OneMailboxBody, RetryBody, SheetBody
from producer.web.problems import Refused
from producer.web.words import LANGUAGES, language_of, translations
from shared.errors import UsageError
from shared.lifecycle import Control, ImportState, MailboxState
from shared.model.search import Search
from shared.store.desk import SESSION_SECONDS, Bearer, Role

routes = APIRouter(include_in_schema=False)
COOKIE: Final = "mailhaul"
_LANGUAGE: Final = "language"
_COUNT: Final = 50
#: Larger imports are not searched for errors with every drawing; their errors are in the API and the report.
_FEW: Final = 2000
_FILES: Final = ("results.csv", "failures.csv", "failed-rows.csv", "summary.json")
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


class _Stranger(Exception):
    """Nobody is signed in."""


def _environment(language: str) -> Environment:
    env = Environment(
        loader=PackageLoader("producer.web"), autoescape=True, undefined=StrictUndefined, extensions=["jinja2.ext.i18n"]
    )
    env.install_gettext_translations(translations(language), newstyle=False)  # type: ignore[attr-defined]
    env.globals.update(
        lang=language,
        number=lambda value: format_decimal(value, locale=language),
        size=spoken_size,
        duration=spoken_duration,
    )
    return env


_ENVIRONMENTS: Final = {language: _environment(language) for language in LANGUAGES}


def _language(request: Request) -> str:
    return language_of(
        request.query_params.get("lang", ""),
        request.cookies.get(_LANGUAGE, ""),
        request.headers.get("accept-language", ""),
    )


def _page(request: Request, name: str, who: Bearer | None, status: int = 200, /, **values: Any) -> HTMLResponse:
    language = _language(request)
    answer = HTMLResponse(_ENVIRONMENTS[language].get_template(name).render(who=who, **values), status)
    if request.query_params.get("lang") in LANGUAGES:
        answer.set_cookie(_LANGUAGE, language, max_age=365 * 86400, samesite="lax", httponly=True)
    return answer


def _signed_in(request: Request, known: Known) -> Bearer:
    found = known.desk.session(request.cookies.get(COOKIE, ""))
    if found is None:
        raise _Stranger
    return found


Who = Annotated[Bearer, Depends(_signed_in)]


def _may(who: Bearer) -> Bearer:
    if who.role < Role.OPERATOR:
        raise Refused(403, f"this needs the role operator; yours is {who.role.word}")
    return who


def install(app: FastAPI) -> None:
    """Routes, files, and what a refusal looks like."""
    app.include_router(routes)
    app.mount("/static", StaticFiles(directory=str(resources.files("producer.web") / "static")))
    app.state.refusal = lambda request, status, detail: _page(request, "refused.html", None, status, detail=detail)

    @app.exception_handler(_Stranger)
    def _stranger(_: Request, error: _Stranger) -> Response:
        return RedirectResponse("/sign-in", 303)


@routes.get("/favicon.ico")
def icon() -> Response:
    """None."""
    return Response(status_code=204)


@routes.get("/sign-in")
def ask(request: Request) -> Response:
    """For a token."""
    return _page(request, "sign_in.html", None, wrong="")


@routes.post("/sign-in")
def sign_in(request: Request, known: Known, token: Annotated[str, Form(max_length=200)]) -> Response:
    """A session for a token."""
    where = request.client.host if request.client else "?"
    say = translations(_language(request)).gettext
    if known.desk.tries(where) >= MOST_TRIES:
        wrong = say("Too many wrong tokens; try again in a minute.")
        return _page(request, "sign_in.html", None, 429, wrong=wrong)
    bearer = known.desk.bearer(token.strip())
    if bearer is None:
        known.desk.refused(where)
        return _page(request, "sign_in.html", None, 401, wrong=say("This token is not known."))
    answer = RedirectResponse("/", 303)
    # A name that is not local is reached through a proxy with TLS.
    secure = request.url.hostname not in _LOCAL
    session = known.desk.open_session(bearer)
    answer.set_cookie(COOKIE, session, max_age=SESSION_SECONDS, httponly=True, samesite="strict", secure=secure)
    return answer


@routes.post("/sign-out")
def sign_out(request: Request, known: Known) -> Response:
    """Ends the session here, not only in the browser."""
    known.desk.end_session(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE)
    return answer


@routes.get("/")
def all_imports(request: Request, known: Known, who: Who) -> Response:
    """Newest first."""
    found = [operations.progress_of(known.store, one) for one in known.store.imports()[:200]]
    return _page(request, "imports.html", who, imports=found)


@routes.get("/template.csv")
def sheet(_: Who) -> Response:
    """A manifest to fill in."""
    headers = {"Content-Disposition": 'attachment; filename="mailboxes.csv"'}
    return Response(template(), media_type="text/csv", headers=headers)


@routes.get("/new")
def new(request: Request, who: Who) -> Response:
    """The form."""
    return _form(request, who, {"name": "", "source": "", "destination": ""})


def _form(request: Request, who: Bearer, given: dict[str, str], status: int = 200, **more: Any) -> Response:
    values = {"detail": "", "errors": (), "providers": sorted(catalogue().urls("source")), "given": given}
    return _page(request, "new.html", who, status, **{**values, **more})


@routes.post("/new")
def create(
    request: Request,
    known: Known,
    who: Who,
    name: Annotated[str, Form(max_length=200)] = "",
    source: Annotated[str, Form(max_length=400)] = "",
    destination: Annotated[str, Form(max_length=400)] = "",
    sheet: Annotated[str, Form()] = "",
    good: Annotated[str, Form(max_length=1)] = "",
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Opened, or the form again with every fault. What was pasted is not sent back: it holds passwords."""
    given = {"name": name, "source": source, "destination": destination}
    data = file.file.read() if file is not None and file.filename else sheet.encode("utf-8", "surrogatepass")
    try:
        body = asked_of_api.import_of(name, source, destination, data, good_rows_only=bool(good))
        opened = asked_of_api.opened(known, _may(who), request, body)
    except ManifestInvalid as error:
        return _form(request, who, given, 422, errors=error.errors[:200])
    except (UsageError, Refused) as error:
        return _form(request, who, given, 422, detail=str(error))
    return RedirectResponse(f"/imports/{opened['import']['id']}", 303)


@routes.get("/imports/{import_id}")
def one_import(
    request: Request,
    known: Known,
    who: Who,
    import_id: str,
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    text: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Live; the part that changes alone for the script."""
    found, progress = known.import_(import_id), known.progress(import_id)
    chosen = MailboxState(state) if state in list(MailboxState) else None
    wanted = Search(state=chosen, text=text, start=start, count=_COUNT)
    total, rows = known.store.find_mailboxes(import_id, wanted)
    few = progress.mailboxes_total <= _FEW
    groups = operations.errors(known.store, found, everyone=None if progress.finished else rows) if few else []
    query = {name: value for name, value in {"text": text, "state": state}.items() if value}

    def link(at: int) -> str:
        return f"/imports/{import_id}?{urlencode({**query, 'start': max(0, at)})}"

    values: dict[str, Any] = {
        "request": found, "progress": progress, "groups": groups, "rows": rows, "total": total, "start": start,
        "count": _COUNT, "text": text, "state": state, "states": [one.value for one in MailboxState], "files": _FILES,
        "here": link(start), "page_link": link, "actions": _actions(found.state, found.control),
    }  # fmt: skip
    live = request.headers.get("hx-request") == "true"
    return _page(request, "live.html" if live else "import.html", who, **values)


def _actions(state: ImportState, control: Control) -> list[tuple[str, str]]:
    if state is ImportState.OPENING:
        return [("start", "Start"), ("cancel", "Cancel")]
    if state is ImportState.FINISHED:
        return [("retry", "Retry")]
    return [("resume", "Resume") if control is Control.PAUSE else ("pause", "Pause"), ("cancel", "Cancel")]


@routes.get("/imports/{import_id}/mailboxes/{mailbox_id}")
def one_mailbox(request: Request, known: Known, who: Who, import_id: str, mailbox_id: str) -> Response:
    """Folders, and what went wrong in the server's words."""
    mailbox, _ = known.mailbox(import_id, mailbox_id)
    values: dict[str, Any] = {
        "request": known.import_(import_id),
        "mailbox": mailbox,
        "failures": known.store.failures(mailbox_id),
        "folders": known.store.folders(mailbox_id),
    }
    return _page(request, "mailbox.html", who, **values)


@routes.get("/imports/{import_id}/report/{file}")
def report(known: Known, who: Who, import_id: str, file: asked_of_api.ReportFile) -> Response:
    """As the API gives it."""
    return asked_of_api.report(known, who, import_id, file)


@routes.post("/imports/{import_id}/credentials")
def credentials(
    request: Request,
    known: Known,
    who: Who,
    import_id: str,
    login: Annotated[str, Form(max_length=1000)],
    password: Annotated[str, Form(max_length=1000)],
) -> Response:
    """A new password for one login; its mailbox goes on."""
    cells = ",".join('"' + cell.replace('"', '""') + '"' for cell in (login, password))
    body = SheetBody(manifest=f"login,password\n{cells}\n", separator="comma")
    done = asked_of_api.credentials(known, _may(who), request, import_id, body)
    if not done["mailboxes"]:
        raise Refused(404, "the import has no mailbox with this login at the source")
    return RedirectResponse(f"/imports/{import_id}", 303)


@routes.post("/imports/{import_id}/{action}")
def act(
    request: Request,
    known: Known,
    who: Who,
    import_id: str,
    action: str,
    code: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Start, pause, resume, cancel, retry."""
    _may(who)
    everyone = OneMailboxBody()
    match action:
        case "start":
            asked_of_api.start(known, who, request, import_id)
        case "pause":
            asked_of_api.pause(known, who, request, import_id, everyone)
        case "resume":
            asked_of_api.resume(known, who, request, import_id, everyone)
        case "cancel":
            asked_of_api.cancel(known, who, request, import_id, everyone)
        case "retry":
            asked_of_api.retry(known, who, request, import_id, RetryBody(code=code))
        case _:
            raise Refused(404, "there is no such thing to do")
    return RedirectResponse(f"/imports/{import_id}", 303)
