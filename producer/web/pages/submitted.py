"""Forms with a list of mailboxes, as a browser sends them; and the list that the page keeps between two steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from producer.intake.row_reading import Servers
from producer.intake.specification import SIDES, ServerAsked, row_servers
from producer.web.api.import_bodies import guarded
from producer.web.pages import drafts, filled_store
from producer.web.pages.form_draft import FormDraft, with_kept
from producer.web.pages.page_routes import whole_form
from producer.web.pages.sheet import MOST_TYPED, TYPED, Choice, as_rows, typed, typed_rows
from producer.web.pages.sign_in_page import there
from producer.web.pages.signing import MOST_KEY
from producer.web.security.access import Known
from producer.web.web_context import WebContext
from shared.model.sides import Side
from shared.nouns import dataclass
from shared.store.records.principals import Principal

#: Empty rows of the table to type into, and how many a button adds.
ROWS: Final = 5
_CELLS: Final = ("row_login", "row_password", "row_new_login", "row_new_password", "row_server")
_CHOICES: Final = ("encoding", "separator", "first")
#: Fields that are not kept as they came: buttons, cells, and what is kept elsewhere.
_PASSING: Final = (
    *("do", "lang", "allow", "sheet", "file_kept", "shown", "column", "row_at", "row_dots", *_CELLS),
    *(f"{side}_{name}" for side in SIDES for name in ("secret", "dots", "key_kept")),
)
#: Fields that the page itself keeps: a browser has no say in them.
_OURS: Final = ("draft", *(f"{side}_kept" for side in SIDES))


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmittedForm:
    """A request that the form sends."""

    #: Its fields; of a field that occurs several times, the last value.
    fields: Mapping[str, Any]
    #: The meaning that was chosen for each column.
    columns: tuple[str, ...]
    #: A file or pasted rows; empty if none were sent.
    sheet: bytes
    #: Typed rows, empty ones too.
    cells: tuple[tuple[str, ...], ...] = ()
    #: The number that each typed row had when the page was drawn.
    numbers: tuple[str, ...] = ()
    #: The cells of each typed row that were drawn with dots, by their numbers: "1", "13".
    dots: tuple[str, ...] = ()
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
    def erased(self) -> bool:
        """Tells whether the page had a place for a list, which was empty, and showed no list."""
        there = any(self.fields.get(name) for name in ("shown", "file_kept"))
        return "sheet" in self.fields and not self.sheet and not there

    def stays(self, side: Side) -> bool:
        """Tells whether the secret of a side was drawn with dots, or its file kept: then an empty field means that it stays."""
        return any(self.fields.get(f"{side}_{name}") for name in ("dots", "key_kept"))

    @property
    def passwords(self) -> bytes:
        """New passwords, as a list: a file, pasted rows, or rows whose logins the page filled in."""
        return self.sheet or typed(self.cells, logins_stand=True)

    def onto(self, before: FormDraft) -> FormDraft:
        """Returns the form with what this request has filled in. What came of the last button is no longer told."""
        fields = {name: str(text) for name, text in self.fields.items() if name not in (*_PASSING, *_OURS)}
        fields |= {name: before.fields[name] for name in _OURS if before.fields.get(name)}
        return replace(
            before,
            fields=fields,
            columns=self.columns,
            cells=with_kept(self.cells, self.numbers, self.dots, before.cells),
            asked=self.do,
            faults=(),
            detail="",
            closed=(),
            found=None,
        )


async def _given(request: Request, known: Known) -> SubmittedForm:
    return await run_in_threadpool(_whole, request, known, await whole_form(request))


def _whole(request: Request, known: WebContext, form: FormData) -> SubmittedForm:
    """Reads the form, with what was kept of the fields that the page drew with dots."""
    texts = [(name, text) for name, text in form.multi_items() if isinstance(text, str)]
    who = there(known, request, touch=False)
    given = filled_store.whole(known, who, texts)
    files = [(name, file) for name, file in form.multi_items() if not isinstance(file, str)]
    request.state.sent = [*given, *((name, file.filename) for name, file in files if file.filename)]
    if who is not None:
        filled_store.all_there(given)
    return _read(FormData([*given, *files]))


def _read(form: FormData) -> SubmittedForm:
    fields = {name: value for name, value in form.multi_items() if isinstance(value, str)}
    for side in SIDES:
        if pin := fields.pop(f"{side}_accept", ""):  # the button "Accept this certificate" pins it, and tries again
            fields |= {f"{side}_fingerprint": pin, "do": f"test_{side}"}
    columns = [[str(text) for text in form.getlist(name)] for name in _CELLS if name in form]
    cells = tuple(zip(*columns, strict=False))[:MOST_TYPED]
    numbers = tuple(map(str, form.getlist("row_at"))) or ("",) * len(cells)
    dots = tuple(map(str, form.getlist("row_dots"))) or ("",) * len(cells)
    file, sheet = form.get("file"), str(form.get("sheet", ""))
    if isinstance(file, UploadFile) and file.filename:
        data = file.file.read()
    else:
        data = sheet.encode("utf-8", "surrogatepass") if sheet.strip() else b""
    files = {side: form.get(f"{side}_key") for side in SIDES}
    keys = {side: file.file.read(MOST_KEY + 1) for side, file in files.items() if isinstance(file, UploadFile)}
    return SubmittedForm(
        fields=fields,
        columns=tuple(map(str, form.getlist("column"))),
        sheet=data,
        cells=cells,
        numbers=numbers,
        dots=dots,
        keys=keys,
    )


Asked = Annotated[SubmittedForm, Depends(_given)]


def listed(
    known: WebContext, who: Principal, given: SubmittedForm, before: FormDraft, *, passing: bool = False
) -> FormDraft:
    """Returns the form with the list of mailboxes of this request: the newest one counts, given in whatever way.

    A file or pasted rows are kept beside the form, sealed. Rows that were pasted, kept while a person filled the form in
    (`passing`) and erased again are no list: they go, unless a page has shown them since.
    """
    form = given.onto(before)
    form = replace(form, passing=passing and (before.passing or bool(given.sheet)))
    draft = form.fields.get("draft", "")
    if given.do == "forget" or given.sheet or form.typed or (before.passing and given.erased):
        drafts.drop(known, draft)
        kept = drafts.keep(known, who, given.sheet) if given.sheet else ""
        stays = {name: text for name, text in form.fields.items() if name not in (*_CHOICES, "draft")}
        again = {"draft": kept} if kept else {}
        if given.sheet and not draft:  # the choices belong to this list
            again |= {name: form.fields[name] for name in _CHOICES if name in form.fields}
        columns = form.columns if given.sheet and not draft else ()
        cells = () if given.sheet or given.do == "forget" else form.cells
        form = replace(form, fields=stays | again, columns=columns, cells=cells)
    return form


def list_of(known: WebContext, who: Principal, form: FormDraft) -> tuple[bytes, Choice]:
    """Returns the list of mailboxes of the form, empty if there is none, and how to read it."""
    if form.typed:
        return typed_rows(form.cells), Choice(first="mailbox", fields=TYPED[: max(map(len, form.cells))])
    text = {name: form.fields.get(name, "")[:40] for name in _CHOICES}
    return drafts.find(known, who, form.fields.get("draft", "")), Choice(**text, fields=form.columns)


def edited(known: WebContext, who: Principal, form: FormDraft) -> FormDraft:
    """Returns the form with its list as rows to type into, if the list is short and has no other columns than these."""
    data, choice = list_of(known, who, form)
    rows = as_rows(data, choice)
    if not rows:
        return form
    drafts.drop(known, form.fields.get("draft", ""))
    stays = {name: text for name, text in form.fields.items() if name not in (*_CHOICES, "draft")}
    return replace(form, fields=stays, columns=(), cells=rows)


def rows_shown(form: FormDraft) -> list[tuple[str, ...]]:
    """Returns the rows of the table to type into: those that were typed, and empty ones."""
    typed_ = [(*row, *[""] * (4 - len(row))) for row in form.cells] if form.typed else []
    more = ROWS if form.asked == "rows" or not typed_ else 0
    empty = ("",) * 4
    return (typed_ + [empty] * max(more, ROWS - len(typed_)))[:MOST_TYPED]


def servers(known: WebContext) -> Servers:
    """Returns a reader for the servers that rows name, which refuses those that may not be reached."""
    return row_servers(ServerAsked(), guarded(known.reach))
