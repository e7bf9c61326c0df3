"""The form of a new import, in five sections.

Each button sends the whole form, so that nothing is lost and no script is needed. The list of mailboxes is kept on the
server, sealed, between two steps (`drafts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from producer.intake.account_options import AccountsAsked
from producer.intake.columns import UNKNOWN
from producer.intake.connection_test import ConnectionStep, try_connection
from producer.intake.detect import Detection
from producer.intake.manifest import Servers, template
from producer.intake.providers import catalogue
from producer.intake.sheet import SEPARATORS
from producer.intake.specification import (
    SIDES,
    ServerAsked,
    SheetRead,
    check,
    completed,
    endpoint_of,
    row_servers,
    sign_in_of,
)
from producer.intake.visiting import visitor_of
from producer.web.api import imports as counterpart
from producer.web.api.account_services import chosen
from producer.web.api.account_services import names as service_names
from producer.web.api.general_routes import detected
from producer.web.api.request_bodies import guarded
from producer.web.pages import allowing, drafts
from producer.web.pages.drawing import draw
from producer.web.pages.form import Form, end_of, form_of, usual_port
from producer.web.pages.sheet import DOTS, ENCODINGS, FIELDS, Choice, Preview, look, typed
from producer.web.pages.sign_in_page import Actor, Who
from producer.web.pages.signing import BY_KEY, MOST_KEY, kept
from producer.web.problems import Refused
from producer.web.security.access import Known, note
from producer.web.web_context import WebContext
from shared.model.errors import UsageError
from shared.model.sides import Side
from shared.store.records.principals import Principal, Role
from shared.wording.phrases import Faults, FaultsFound, Phrase

THESE_ROWS_ARE_NO_LONGER: Final = Phrase(
    "these_rows_are_no_longer", "these rows are no longer kept: look the list over again"
)
THERE_IS_NO_SUCH_PART: Final = Phrase("there_is_no_such_part", "there is no such part")

routes = APIRouter(include_in_schema=False)
NO_MAILBOX: Final = Phrase(
    "manifest_missing", "there is no mailbox yet: give a file, or type or paste some rows", headed=False
)
UNREADABLE: Final = Phrase(
    "list_unreadable", "the list of mailboxes cannot be read yet: see what is wrong with it", headed=False
)
WRONG_ROWS: Final = Phrase(
    "rows_wrong", "some rows are wrong: correct them, or take only the rows that are right", headed=False
)
NO_ROW: Final = Phrase("no_row_right", "no row is right", headed=False)
#: Buttons that connect to the servers of the form, or have workers do so.
_CONNECTING: Final = ("test_source", "test_destination", "open", "start")
#: Empty rows of the table to type into.
_ROWS: Final = 5
_CELLS: Final = ("row_login", "row_password", "row_new_login", "row_new_password", "row_server")


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmittedForm:
    """A request that the form sends."""

    #: Its fields; of a field that occurs several times, the last value.
    fields: Mapping[str, Any]
    #: The meaning that was chosen for each column.
    columns: tuple[str, ...]
    #: The list of mailboxes in this request; empty if none was sent.
    sheet: bytes
    #: Key files by side, in this request.
    keys: Mapping[Side, bytes] = field(default_factory=dict)

    @property
    def do(self) -> str:
        """The button that was pressed."""
        return str(self.fields.get("do", ""))

    @property
    def secrets(self) -> dict[Side, str]:
        """The secrets that sign in for all mailboxes of a side, by side, as given in this request."""
        texts = {side: str(self.fields.get(f"{side}_secret", "")) for side in SIDES}
        texts |= {side: key.decode("utf-8", "replace") for side, key in self.keys.items() if key}
        return {side: text for side, text in texts.items() if text}

    @property
    def choice(self) -> Choice:
        """The chosen way to read the list of mailboxes."""
        if self.sheet and self.fields.get("draft"):
            return Choice()  # the choices were made for the list before
        text = {name: str(self.fields.get(name, ""))[:40] for name in ("encoding", "separator", "first")}
        return Choice(**text, fields=self.columns)


async def _given(request: Request, known: Known) -> SubmittedForm:
    most = known.settings.web_upload_bytes
    form = await request.form(max_files=3, max_fields=2000, max_part_size=most)
    return await run_in_threadpool(_read, form)


def _read(form: FormData) -> SubmittedForm:
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    for side in SIDES:
        if pin := fields.pop(f"{side}_accept", ""):  # the button "Accept this certificate" pins it, and tries again
            fields |= {f"{side}_fingerprint": pin, "do": f"test_{side}"}
    cells = [[str(text) for text in form.getlist(name)] for name in _CELLS if name in form]
    file, sheet = form.get("file"), str(form.get("sheet", ""))
    if isinstance(file, UploadFile) and file.filename:
        data = file.file.read()
    elif sheet.strip():
        data = sheet.encode("utf-8", "surrogatepass")
    else:
        data = typed(list(zip(*cells, strict=False)), logins_stand="code" in form or "mailbox" in form)
    files = {side: form.get(f"{side}_key") for side in SIDES}
    keys = {side: file.file.read(MOST_KEY + 1) for side, file in files.items() if isinstance(file, UploadFile)}
    return SubmittedForm(fields=fields, columns=tuple(map(str, form.getlist("column"))), sheet=data, keys=keys)


Asked = Annotated[SubmittedForm, Depends(_given)]


def servers(known: WebContext) -> Servers:
    """Returns a reader for the servers that rows name, which refuses those that may not be reached."""
    return row_servers(ServerAsked(), guarded(known.reach))


@routes.get("/template.csv")
def sheet(_: Who, separator: str = "comma") -> Response:
    """Returns a manifest to fill in."""
    headers = {"Content-Disposition": 'attachment; filename="mailboxes.csv"'}
    known = separator if separator in SEPARATORS.values() else "comma"
    return Response(template(known), media_type="text/csv; charset=utf-8", headers=headers)


@routes.get("/wrong-rows/{draft}.csv")
def wrong(known: Known, who: Who, draft: str) -> Response:
    """The rows of a list that were wrong, for whoever gave it."""
    if not (data := drafts.find(known, who, draft)):
        raise Refused(404, THESE_ROWS_ARE_NO_LONGER.says())
    headers = {"Content-Disposition": 'attachment; filename="wrong-rows.csv"'}
    return Response(data, media_type="text/csv; charset=utf-8", headers=headers)


@routes.get("/new")
def new(request: Request, who: Actor) -> Response:
    """Shows the empty form."""
    return draw_form(request, who, Form())


def draw_form(request: Request, who: Principal, form: Form, status: int = 200, **more: Any) -> Response:
    """Shows the form, filled in."""
    usual: dict[str, Any] = {
        "detail": "",
        "closed": [],
        "left_out": [],
        "asked": "",
        "found": None,
        "preview": None,
        "draft": "",
        "wrong": "",
        "steps": {},
        "rows": _ROWS,
        "good": False,
        "form": form,
        "providers": [one for one in catalogue().providers if one.sites],
        "sides": SIDES,
        "encodings": ENCODINGS,
        "separators": list(SEPARATORS.values()),
        "names": FIELDS,
        "unknown": UNKNOWN,
        "usual_port": usual_port,
        "dots": DOTS,
        "makers": service_names(request.app.state.web_context),
        "by_key": BY_KEY,
    }
    return draw(request, "new.html", who, status, **(usual | more))


@routes.post("/new/{side}")
def fill(request: Request, known: Known, who: Actor, side: str, given: Asked) -> Response:
    """Returns one side of the form, for the script, with the fields of the provider that was chosen."""
    if side not in SIDES:
        raise Refused(404, THERE_IS_NO_SUCH_PART.says())
    own = Side(side)
    form, _ = _with_secrets(known, who, given, (own,))
    return draw(
        request,
        "end.html",
        who,
        side=side,
        end=form.ends[own].completed(own),
        steps=None,
        form=form,
        found=None,
        providers=[one for one in catalogue().providers if one.sites],
        usual_port=usual_port,
        dots=DOTS,
        by_key=BY_KEY,
    )


def _with_secrets(
    known: WebContext, who: Principal, given: SubmittedForm, sides: Iterable[Side] = SIDES
) -> tuple[Form, dict[Side, str]]:
    """Returns the form as filled in, and by side the secret that signs in for all mailboxes."""
    form = form_of(given.fields)
    entries = dict(form.sign_ins)
    secrets: dict[Side, str] = {}
    for side in sides:
        entries[side], secrets[side] = kept(known, who, entries[side], given.secrets.get(side, ""))
    return replace(form, sign_ins=entries), secrets


@routes.post("/new")
def create(request: Request, known: Known, who: Actor, given: Asked) -> Response:
    """Handles a button of the form: shows the next step, or opens the import."""
    form, secrets = _with_secrets(known, who, given)
    draft = str(given.fields.get("draft", ""))
    data = given.sheet or drafts.find(known, who, draft)
    if given.do == "forget":
        drafts.drop(known, draft)
        draft, data = "", b""
    elif given.sheet:
        drafts.drop(known, draft)
        draft = drafts.keep(known, who, data)
    form = replace(form, ends={side: end.completed(side) for side, end in form.ends.items()})
    refused: UsageError | None = None
    try:  # before the list is read, since its rows may name the same servers
        if given.do in _CONNECTING:
            allowing.heed(known, request, who, form, str(given.fields.get("allow", "")))
    except UsageError as error:
        refused = error
    by_rows = form.sign_ins[Side.SOURCE].by_rows
    preview = look(data, given.choice, servers(known), passwords=by_rows, allowed=form.allowed) if data else None
    values: dict[str, Any] = {
        "preview": preview,
        "draft": draft,
        "good": bool(given.fields.get("good")),
        "wrong": drafts.keep_wrong(known, who, preview, str(given.fields.get("wrong", ""))),
        "asked": given.do,
        "closed": allowing.closed(known, form) if given.do in _CONNECTING and who.role >= Role.ADMIN else [],
    }
    if refused:
        return draw_form(request, who, form, 422, detail=refused, **values)
    match given.do:
        case "find":
            try:
                form, values["found"] = _found(form)
            except UsageError as error:
                return draw_form(request, who, form, 422, detail=error, **values)
        case "test_source" | "test_destination":
            side = Side(given.do.removeprefix("test_"))
            try:
                values["steps"] = {side: _tested(known, request, who, side, form, secrets[side], preview)}
            except UsageError as error:
                return draw_form(request, who, form, 422, detail=error, **values)
        case "open" | "start":
            try:
                opened = _opened(known, request, who, form, secrets, preview, good=bool(given.fields.get("good")))
            except (UsageError, Refused) as error:
                return draw_form(request, who, form, 422, detail=error, **values)
            for draft_id in (draft, *(entry.kept for entry in form.sign_ins.values())):
                drafts.drop(known, draft_id)
            if given.do == "start":
                counterpart.start(known, who, request, opened)
            left = f"?wrong={values['wrong']}" if values["wrong"] else ""
            return RedirectResponse(f"/imports/{opened}{left}", 303)
    return draw_form(request, who, form, **values)


def _found(form: Form) -> tuple[Form, Detection]:
    """Returns the form with the source that holds the mail of the address, if one was found. Raises `UsageError`."""
    detection = detected(form.address)
    if not detection.ways:
        return form, detection
    end = end_of(detection.ways[0].give, detection.ways[0].url)
    return replace(form, ends={**form.ends, Side.SOURCE: end}), detection


def _tested(
    known: WebContext, request: Request, who: Principal, side: Side, form: Form, secret: str, preview: Preview | None
) -> list[ConnectionStep]:
    """Runs a connection test, and signs in with the first suitable mailbox of the list, if there is one."""
    form.demand(side, secret)
    server = form.server(side, form.ends[side].url(side), secret)
    endpoint = endpoint_of(side, server, guarded(known.reach))
    rows = preview.manifest.rows if preview and preview.manifest else ()
    # At the source, a row that names its own server is left out: its password is for that server alone.
    row = next((one for one in rows if side == Side.DESTINATION or one.server is None), None)
    visitor = None
    if row is not None:
        asked = completed(side, endpoint, sign_in_of(side, server, remote=True, demanded=True), [row])
        visitor = visitor_of(side, endpoint, row, asked)
    note(known, request, who, "connection tested", side=side, server=endpoint.url)
    return try_connection(side, endpoint, addresses=known.reach.addresses, visitor=visitor)


def _opened(
    known: WebContext,
    request: Request,
    who: Principal,
    form: Form,
    secrets: Mapping[Side, str],
    preview: Preview | None,
    *,
    good: bool,
) -> str:
    """Opens the import, and returns its id. Raises `FaultsFound` with every fault, and `Refused`."""
    faults, maker = Faults(), AccountsAsked()
    sheet = SheetRead(manifest=preview.manifest, errors=preview.errors) if preview else SheetRead(manifest=None)
    with faults.at("accounts"):
        maker = chosen(known, form.accounts)
    asked = form.taken_down(secrets, sheet, maker, faults, good=good)
    if preview is None:
        faults.append(NO_MAILBOX.at("manifest"))
    elif preview.manifest is None:
        faults.append(UNREADABLE.at("manifest"))
    elif not preview.manifest.rows:
        faults.append(NO_ROW.at("manifest"))
    elif preview.errors and not good:
        faults.append(WRONG_ROWS.at("manifest"))
    checked = check(asked, faults, guard=guarded(known.reach))
    if checked.specification is None:
        raise FaultsFound(checked.faults)
    return counterpart.written(known, who, request, checked.specification).import_id
