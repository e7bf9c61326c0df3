"""Forms that are being filled in, kept sealed for a day for whoever fills them in.

A form has an address of its own. Each button, and each pause in typing, keeps what was filled in; a button then sends
the browser back to that address. So neither Back, nor another language, nor a session that ends loses anything, and no
password goes back to a browser.

Two requests may have the same form at once: a double click, or a pause in typing right before a button. Which import a
form has opened is therefore a draft of its own, a mark. Whoever keeps the form looks for the mark afterwards, and whoever
sets the mark deletes the form afterwards: in whatever order they come, the form is gone and the mark stands.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, is_dataclass, replace
from dataclasses import fields as dataclass_fields
from functools import cache
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from producer.intake.connection_test import ConnectionStep
from producer.intake.detect import Detection
from producer.intake.specification import SIDES
from producer.web.pages import drafts
from producer.web.web_context import WebContext
from shared.nouns import dataclass
from shared.runtime.logs import get_logger
from shared.store.records.principals import Principal
from shared.wording.kept import as_json, from_json, packed_all, unpacked
from shared.wording.phrases import FaultsFound

#: The cells of a typed row that may hold a password.
_SECRET: Final = (1, 3)
#: The most forms that one person has under way. The oldest is given up for a new one.
MOST_FORMS: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedServer:
    """A connection test, and the server that was tested."""

    #: The fields of the server, as `server_of` reads them.
    server: tuple[str, ...]
    #: The steps.
    steps: tuple[ConnectionStep, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FormDraft:
    """A form as filled in, and what came of its last button."""

    #: Its fields; of a field that occurs several times, the last value.
    fields: Mapping[str, str] = field(default_factory=dict)
    #: The meaning that was chosen for each column of the list.
    columns: tuple[str, ...] = ()
    #: The rows that were typed, with their passwords; the empty ones too, so that a row keeps its number.
    cells: tuple[tuple[str, ...], ...] = ()
    #: The button that was pressed last; "" for none.
    asked: str = ""
    #: The faults that were found, in JSON (`shared.wording.kept`).
    faults: tuple[dict[str, Any], ...] = ()
    #: A fault of no single field, as a text.
    detail: str = ""
    #: Hosts and ports that an administrator may allow.
    closed: tuple[str, ...] = ()
    #: The connection test of each side that was tested.
    tested: Mapping[str, TriedServer] = field(default_factory=dict)
    #: The server that was found for an address.
    found: Detection | None = None
    #: The import that was opened by this form; "" before. It is kept apart from the form (`note_opened`).
    opened: str = ""
    #: The import whose form for more mailboxes it is; "" for the form of a new import.
    place: str = ""
    #: The import that the form changes before its start; "" for the form of a new one.
    edits: str = ""
    #: The version of that import when the form was begun (`version_of`).
    version: str = ""
    #: Whether the list came while a person pasted it, and no button was pressed since.
    passing: bool = False

    @property
    def wrong(self) -> str | Exception:
        """The faults, for a reader in any language; "" for nothing."""
        return FaultsFound([from_json(one) for one in self.faults]) if self.faults else self.detail

    @property
    def typed(self) -> bool:
        """Tells whether mailboxes were typed."""
        return any(cell.strip() for row in self.cells for cell in row)

    def steps(self) -> dict[str, tuple[ConnectionStep, ...]]:
        """Returns by side the steps of a connection test whose server is still the one that is filled in."""
        return {side: one.steps for side, one in self.tested.items() if one.server == server_of(self.fields, side)}


def server_of(fields: Mapping[str, Any], side: str) -> tuple[str, ...]:
    """Returns the fields of a side that say which server is meant."""
    names = ("protocol", "tls", "host", "port", "fingerprint")
    return tuple(str(fields.get(f"{side}_{name}", "")).strip() for name in names)


def told(error: Exception) -> dict[str, Any]:
    """Returns what went wrong, as fields of a `FormDraft`."""
    if isinstance(error, FaultsFound):
        return {"faults": tuple(as_json(fault) for fault in error.faults), "detail": ""}
    return {"faults": (), "detail": error.args[0] if error.args else str(error)}  # as it is: `str` has no code


def told_as(form: FormDraft) -> dict[str, Any]:
    """Returns what was told of the last button, as fields of a `FormDraft`."""
    return {"faults": form.faults, "detail": form.detail, "closed": form.closed, "found": form.found}


def with_kept(
    cells: Sequence[Sequence[str]], numbers: Sequence[str], dots: Sequence[str], before: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], ...]:
    """Returns typed rows with the passwords that were kept: the browser has only dots for them. Pure.

    `numbers`: of each row, which one it was among the rows `before`; "" for a new one. `dots`: of each row, the numbers of
    the cells that were drawn with dots; another one that is empty was emptied, whatever was kept while it was typed. A
    row whose other cells were emptied is given up, with its passwords.
    """
    found = []
    for row, number, dotted in zip(cells, numbers, dots, strict=False):
        at = int(number) if number.isascii() and number.isdecimal() and len(number) < 5 else len(before)
        kept = before[at] if at < len(before) else ()
        there = any(cell.strip() for cell in row)
        stays = [column for column in _SECRET if there and str(column) in dotted and column < len(kept)]
        found.append(tuple(kept[at] if at in stays and not cell else cell for at, cell in enumerate(row)))
    return tuple(found)


def fresh() -> str:
    """Returns an id for a new form."""
    return secrets.token_hex(12)


def find(known: WebContext, who: Principal, form_id: str, place: str = "") -> FormDraft | None:
    """Returns the form at this place; an empty one if none is kept under this id.

    Returns None where the id is another person's, or of a form at another place: nothing may be kept under it.
    """
    if drafts.of_another(known, who, form_id) or drafts.of_another(known, who, _mark(form_id)):
        return None
    if opened := _opened(known, who, form_id):
        return FormDraft(opened=opened, place=place)
    data = drafts.find(known, who, form_id)
    try:
        form = cast(FormDraft, _worded(_adapter().validate_json(data))) if data else FormDraft(place=place)
    except ValidationError as error:  # another version kept it: what was found and tested has other fields
        faults = [".".join(map(str, one["loc"])) for one in error.errors()]
        get_logger("mailhaul.web").warning("form_unreadable", fields=faults[:20])
        return FormDraft(place=place)
    return form if form.place == place else None


def keep(known: WebContext, who: Principal, form_id: str, form: FormDraft) -> str:
    """Keeps the form for a day. Returns the import that it has opened meanwhile, of which nothing is kept; else ""."""
    drafts.keep(known, who, to_json(packed_all(asdict(form))), form_id)
    if opened := _opened(known, who, form_id):
        dropped(known, who, form_id, form)
        return opened
    for old in known.page_state.note_form(who.principal_id, form_id, time.time(), MOST_FORMS, drafts.DRAFT_SECONDS):
        dropped(known, who, old)
    return ""


def note_opened(known: WebContext, who: Principal, form_id: str, form: FormDraft) -> None:
    """Notes for a day which import the form has opened, and deletes the form."""
    drafts.keep(known, who, form.opened.encode(), _mark(form_id))
    dropped(known, who, form_id, form)


def dropped(known: WebContext, who: Principal, form_id: str, *forms: FormDraft) -> None:
    """Deletes a form, and what is kept beside it and beside `forms`, which are it at other times."""
    try:
        data = drafts.find(known, who, form_id)
        forms += (_adapter().validate_json(data),) if data else ()
    except ValidationError:  # what lies beside it is deleted after a day
        pass
    beside = [one.fields.get(name, "") for one in forms for name in ("draft", *(f"{side}_kept" for side in SIDES))]
    for draft_id in (form_id, *beside):
        if drafts.find(known, who, draft_id):  # only the giver's own
            drafts.drop(known, draft_id)
    known.page_state.drop_form(who.principal_id, form_id)


def _opened(known: WebContext, who: Principal, form_id: str) -> str:
    return drafts.find(known, who, _mark(form_id)).decode()


def _mark(form_id: str) -> str:
    """Returns the id of the draft that says which import the form has opened."""
    return hashlib.sha256(f"opened {form_id}".encode()).hexdigest()[:24]


def _worded(value: Any) -> Any:
    """Returns a value of `_adapter` with its sentences, which are packed texts in it."""
    match value:
        case str():
            return unpacked(value)
        case tuple():
            return tuple(map(_worded, value))
        case Mapping():
            return {name: _worded(one) for name, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: _worded(getattr(value, one.name)) for one in dataclass_fields(value)})
    return value


@cache
def _adapter() -> TypeAdapter[FormDraft]:
    return TypeAdapter(FormDraft)
