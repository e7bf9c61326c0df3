"""The route that changes an import before its start."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response

from producer.intake.account_options import AccountsAsked
from producer.intake.editing import STARTED, changed, need_unstarted, with_rows
from producer.intake.sheet import ManifestInvalid, RequestFaults
from producer.intake.specification import ImportSpecification, SheetRead, check, read_rows
from producer.operations.audited_options import edited
from producer.show import document
from producer.web.api import answers
from producer.web.api.account_services import chosen
from producer.web.api.import_bodies import EditBody, guarded
from producer.web.problems import Refused, manifest_as_read
from producer.web.security.access import Known, Operator, note, noted
from producer.web.web_context import WebContext
from shared.model import Import
from shared.model.errors import UsageError
from shared.store.records.principals import Principal
from shared.wording.phrases import Faults

routes = APIRouter(route_class=answers.AnswerRoute, prefix="/imports/{import_id}", tags=["imports"])


@routes.patch("", response_model=answers.OpenedAnswer)
def edit(
    known: Known, who: Operator, request: Request, response: Response, import_id: str, body: EditBody
) -> dict[str, Any]:
    """Changes an import that was opened and not started. With another name or server its id is another one: see `Location`."""
    found = unstarted(known, import_id)
    version = known.operations.version_of(found)
    before, faults, maker, given = (
        known.operations.asked_again(found),
        Faults(),
        AccountsAsked(),
        SheetRead(manifest=None),
    )
    with faults.at("accounts"):
        maker = chosen(known, body.accounts)
    if body.manifest or body.manifest_base64:
        with faults.at():
            given = read_rows(
                body.asked(), body.source.asked(), passwords=False, allowed=body.allowed, guard=guarded(known.reach)
            )
    asked = changed(before, body.given, body.taken_down(maker, None))
    if given.errors and not (body.good_rows_only and given.manifest):
        raise ManifestInvalid(given.errors)
    asked = with_rows(asked, given, body.remove)
    checked = check(asked, faults, guard=guarded(known.reach))
    if checked.specification is None:
        raise RequestFaults(checked.faults, checked.row_errors)
    now = rewritten(known, who, request, found, checked.specification, version)
    response.headers["Location"] = f"/api/v1/imports/{now.import_id}"
    return {
        "import": document.import_fields(known.progress(now.import_id)),
        "report": manifest_as_read(checked.specification.manifest, given.errors),
    }


def unstarted(known: WebContext, import_id: str) -> Import:
    """Returns an import that may be changed. Raises `Refused` (409) for one that was started."""
    found = known.import_(import_id)
    try:
        need_unstarted(found)
    except UsageError:
        raise Refused(409, STARTED.says(name=found.name), code="under-way") from None
    return found


def rewritten(
    known: WebContext, who: Principal, request: Request, found: Import, new: ImportSpecification, version: str
) -> Import:
    """Writes the import as it is specified now. Returns it. Raises `UsageError`, also where it is not of this `version`."""
    wanted = replace(found, name=new.name, source=new.source, destination=new.destination, options=new.options)
    detail = {"name": new.name, "mailboxes": len(new.manifest.rows), **edited(found, wanted)}
    with noted(known, request, who, "import edited", import_id=found.import_id, **detail):
        now = known.operations.rewritten(found, new, version)
    if now.import_id != found.import_id:
        note(known, request, who, "import edited", import_id=now.import_id, before=found.import_id, **detail)
    return now
