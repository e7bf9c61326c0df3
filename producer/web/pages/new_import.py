"""The form of a new import, in five sections.

Each button sends the whole form, so that no script is needed, and leads back to the form's own address (`form_draft`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Path, Request
from fastapi.responses import RedirectResponse, Response

from producer.intake.account_options import AccountsAsked
from producer.intake.columns import UNKNOWN
from producer.intake.connection_test import ConnectionStep, try_connection
from producer.intake.editing import moved, with_unshown, with_unshown_sign_in
from producer.intake.manifest import template
from producer.intake.providers import catalogue
from producer.intake.sheet import SEPARATORS
from producer.intake.specification import SIDES, SheetRead, check, completed, endpoint_of, sign_in_of
from producer.intake.visiting import visitor_of
from producer.web.api import edit_routes, steering_routes
from producer.web.api import imports as counterpart
from producer.web.api.account_services import chosen, known_name
from producer.web.api.account_services import names as service_names
from producer.web.api.general_routes import detected
from producer.web.api.import_bodies import guarded
from producer.web.api.mended import wrong_rows
from producer.web.pages import allowing, drafts
from producer.web.pages.changed import Changed, back
from producer.web.pages.drawing import Saying, back_to, draw, saying
from producer.web.pages.form import Form, end_of, fields_of_end, form_of, usual_port
from producer.web.pages.form_draft import (
    FormDraft,
    TriedServer,
    dropped,
    find,
    fresh,
    keep,
    note_opened,
    server_of,
    told,
    told_as,
)
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sheet import DOTS, ENCODINGS, FIELDS, Preview, look
from producer.web.pages.sign_in_page import Actor, Who
from producer.web.pages.signing import BY_KEY, kept
from producer.web.pages.submitted import Asked, SubmittedForm, edited, list_of, listed, rows_shown, servers
from producer.web.problems import Refused
from producer.web.security.access import Known, noted
from producer.web.web_context import WebContext
from shared.model import Endpoint, Import
from shared.model.errors import UsageError
from shared.model.sides import Side
from shared.store.records.principals import Principal, Role
from shared.wording.phrases import Faults, FaultsFound, Phrase

THESE_ROWS_ARE_NO_LONGER_KEPT: Final = Phrase(
    "these_rows_are_no_longer_kept", "these rows are no longer kept: look the list over again"
)
PASSWORDS_OF_ANOTHER: Final = Phrase(
    "edited_passwords_of_another_server",
    "the passwords that are stored for the {side_word} were given for another server: an administrator may save this, or open "
    "one more like this and give them again",
)
THERE_IS_NO_SUCH_PART: Final = Phrase("there_is_no_such_part", "there is no such part")

routes = page_routes()
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
#: Section of the form to which a button leads back.
_SECTIONS: Final = {
    "fill": "source",
    "find": "source",
    "test_source": "source-steps",
    "test_destination": "destination-steps",
    "preview": "mailboxes",
    "rows": "mailboxes",
    "edit": "mailboxes",
    "forget": "mailboxes",
}
#: The id of a form, in a path.
FormId = Annotated[str, Path(pattern=r"^[0-9a-f]{24}$")]


@routes.get("/template.csv")
def sheet(_: Who, separator: str = "comma") -> Response:
    """Returns a manifest to fill in."""
    headers = {"Content-Disposition": 'attachment; filename="mailboxes.csv"'}
    known = separator if separator in SEPARATORS.values() else "comma"
    return Response(template(known), media_type="text/csv; charset=utf-8", headers=headers)


@routes.get("/wrong-rows/{draft}.csv")
def wrong(known: Known, who: Who, draft: str) -> Response:
    """The rows of a list that were wrong, for whoever gave it."""
    if not (data := drafts.find_wrong(known, who, draft)):
        raise Refused(404, THESE_ROWS_ARE_NO_LONGER_KEPT.says())
    headers = {"Content-Disposition": 'attachment; filename="wrong-rows.csv"'}
    return Response(data, media_type="text/csv; charset=utf-8", headers=headers)


@routes.get("/new")
def new(request: Request, known: Known, who: Actor) -> Response:
    """Shows an empty form, and those that this person has begun and not sent."""
    return draw_form(request, who, fresh(), FormDraft(), begun=begun(known, who))


@routes.get("/new/{form_id}")
def again(request: Request, known: Known, who: Actor, form_id: FormId) -> Response:
    """Shows the form as it was filled in, and what came of its last button."""
    form = find(known, who, form_id)
    if form is None:
        return RedirectResponse("/new", 303)
    if form.opened:
        return RedirectResponse(f"/imports/{form.opened}", 303)
    return draw_form(request, who, form_id, form, preview=_preview(known, who, form))


@routes.get("/new/{form_id}/wrong-rows.csv")
def wrong_now(request: Request, known: Known, who: Actor, form_id: FormId) -> Response:
    """The rows of the form's list that are wrong."""
    form = find(known, who, form_id)
    return wrong_file(_preview(known, who, form) if form else None, saying(request))


def wrong_csv(preview: Preview | None, say: Saying) -> bytes:
    """Returns the rows of a list that are wrong as a file, with reasons in the reader's language; empty for none."""
    if preview is None or not preview.wrong:
        return b""
    reasons: dict[int, list[str]] = {}
    for error in preview.errors:
        if error.line:
            field = f"{say.field(error.column)}: " if error.column else ""
            reasons.setdefault(error.line, []).append(field + say.row(error).striptags())
    told = (f"{say.word('Row')} {line}: {'; '.join(why)}" for line, why in reasons.items())
    rows = [(*row[:3], why) for row, why in zip(preview.wrong, told, strict=True)]
    return wrong_rows(rows, preview.waves).encode()


def wrong_file(preview: Preview | None, say: Saying) -> Response:
    """Returns the rows of a list that are wrong, as a file. Raises `Refused` where the list is no longer kept."""
    if preview is None:
        raise Refused(404, THESE_ROWS_ARE_NO_LONGER_KEPT.says())
    headers = {"Content-Disposition": 'attachment; filename="wrong-rows.csv"'}
    return Response(wrong_csv(preview, say), media_type="text/csv; charset=utf-8", headers=headers)


def draw_form(request: Request, who: Principal, form_id: str, form: FormDraft, **more: Any) -> Response:
    """Shows the form, filled in."""
    filled = form_of(form.fields)
    usual: dict[str, Any] = {
        "detail": form.wrong,
        "closed": form.closed,
        "left_out": [],
        "begun": [],
        "asked": form.asked,
        "found": form.found,
        "preview": None,
        "typed": form.typed,
        "steps": form.steps(),
        "rows": rows_shown(form),
        "good": bool(form.fields.get("good")),
        "chosen": form.fields,
        "form": replace(filled, ends={side: end.completed(side) for side, end in filled.ends.items()}),
        "form_id": form_id,
        "edits": form.edits,
        "base": f"/new/{form_id}",
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
    return draw(request, "new.html", who, **(usual | more))


def begun(known: WebContext, who: Principal) -> list[tuple[str, float, str]]:
    """Returns the forms that the person has begun and not sent: id, when it was kept, and a name for it."""
    found = []
    for form_id, at in known.page_state.forms(who.principal_id, time.time() - drafts.DRAFT_SECONDS):
        form = find(known, who, form_id)
        if form and form.fields:
            found.append((form_id, at, form.fields.get("name") or form.fields.get("source_host") or ""))
    return found


@routes.post("/new/{form_id}/keep")
def keep_form(known: Known, who: Actor, form_id: FormId, given: Asked) -> Response:
    """Keeps what was filled in so far, while a person types."""
    before = find(known, who, form_id)
    if before is None:
        return Response(status_code=404)
    if not before.opened:
        form = listed(known, who, given, before, passing=True)
        form = replace(form, asked=before.asked, **told_as(before))
        keep(known, who, form_id, with_secrets(known, who, given, form)[0])
    return Response(status_code=204)


@routes.post("/new/{form_id}/drop")
def drop_form(known: Known, who: Actor, form_id: FormId) -> Response:
    """Throws a form away that was begun."""
    dropped(known, who, form_id)
    return RedirectResponse("/new", 303)


@routes.post("/new/{form_id}/{side}")
def fill(request: Request, known: Known, who: Actor, form_id: FormId, side: str, given: Asked) -> Response:
    """Returns one side of the form, for the script, with the fields that follow from what was chosen."""
    if side not in SIDES:
        raise Refused(404, THERE_IS_NO_SUCH_PART.says())
    own = Side(side)
    before = find(known, who, form_id) or FormDraft()
    form = form_of({**given.fields, f"{side}_kept": before.fields.get(f"{side}_kept", "")})
    return draw(
        request,
        "end.html",
        who,
        side=side,
        end=form.ends[own].completed(own),
        steps=None,
        form=form,
        chosen={},
        base=f"/new/{form_id}",
        found=None,
        providers=[one for one in catalogue().providers if one.sites],
        usual_port=usual_port,
        dots=DOTS,
        by_key=BY_KEY,
    )


def with_secrets(
    known: WebContext, who: Principal, given: SubmittedForm, form: FormDraft
) -> tuple[FormDraft, dict[Side, str]]:
    """Returns the form with what it keeps of secrets, and by side the secret that signs in for all mailboxes."""
    entries, secrets, fields = form_of(form.fields).sign_ins, {}, dict(form.fields)
    for side in SIDES:
        entry, secrets[side] = kept(known, who, entries[side], given.secrets.get(side, ""), stays=given.stays(side))
        fields[f"{side}_kept"] = entry.kept
    return replace(form, fields=fields), secrets


@routes.post("/new")
def create(request: Request, known: Known, who: Actor, given: Asked) -> Response:
    """Handles a button of a form that was not kept before."""
    return press(request, known, who, fresh(), given)


@routes.post("/new/{form_id}")
def press(request: Request, known: Known, who: Actor, form_id: FormId, given: Asked) -> Response:
    """Handles a button of the form, and leads back to the form, or to the import that it opened."""
    before = find(known, who, form_id)
    if before is None:  # what was filled in is this person's all the same
        form_id, before = fresh(), FormDraft()
    if before.opened:
        return RedirectResponse(f"/imports/{before.opened}", 303)
    form, secrets = with_secrets(known, who, given, listed(known, who, given, before))
    filled = form_of(form.fields)
    filled = replace(filled, ends={side: end.completed(side) for side, end in filled.ends.items()})
    wrong_left = ""
    try:
        if given.do in _CONNECTING:  # before the list is read, since its rows may name the same servers
            allowing.heed(known, request, who, allowing.ends_of(filled), str(given.fields.get("allow", "")))
        match given.do:
            case "find":
                form = _found(form, filled)
            case "edit":
                form = edited(known, who, form)
            case "test_source" | "test_destination":
                side = Side(given.do.removeprefix("test_"))
                steps = _tested(
                    known, request, who, side, filled, secrets[side], _preview(known, who, form), edits=form.edits
                )
                form = replace(form, fields={**form.fields, **fields_of_end(side, filled.ends[side])})
                tested = TriedServer(server=server_of(form.fields, side), steps=tuple(steps))
                form = replace(form, tested={**form.tested, side: tested})
            case "open" | "start":
                preview, good = _preview(known, who, form), bool(given.fields.get("good"))
                written = _opened(
                    known, request, who, filled, secrets, preview, good=good, edits=form.edits, version=form.version
                )
                form = replace(form, opened=written)
                wrong_left = drafts.keep_wrong(known, who, wrong_csv(preview, saying(request)))
    except (UsageError, Refused) as error:
        may = given.do in _CONNECTING and who.role >= Role.ADMIN
        closed = allowing.closed(known, allowing.ends_of(filled)) if may else []
        form = replace(form, closed=tuple(closed), **told(error))
    if form.opened:
        note_opened(known, who, form_id, form)
        if given.do == "start":
            steering_routes.start(known, who, request, form.opened)
        left = f"?wrong={wrong_left}" if wrong_left else ""
        there = f"/imports/{form.opened}{left}"
        if form.edits and given.do == "open":
            number = sum(known.store.import_tally(form.opened)[1].values())
            return back(request, there, form.opened, Changed(act="edit", mailboxes=number))
        return RedirectResponse(there, 303)
    if opened := keep(known, who, form_id, form):  # by a click beside this one
        return RedirectResponse(f"/imports/{opened}", 303)
    section = "fault" if form.wrong else _SECTIONS.get(given.do, "")
    return back_to(f"/new/{form_id}", section, str(given.fields.get("lang", "")))


def _preview(known: WebContext, who: Principal, form: FormDraft) -> Preview | None:
    """Returns the list of the form as an import would take it; None without a list."""
    data, choice = list_of(known, who, form)
    filled = form_of(form.fields)
    by_rows = filled.sign_ins[Side.SOURCE].by_rows
    return look(data, choice, servers(known), passwords=by_rows, allowed=filled.allowed) if data else None


def _found(form: FormDraft, filled: Form) -> FormDraft:
    """Returns the form with the source that holds the mail of the address, if one was found. Raises `UsageError`."""
    detection = detected(filled.address)
    if detection.ways:
        end = end_of(detection.ways[0].give, detection.ways[0].url)
        form = replace(form, fields={**form.fields, **fields_of_end("source", end)})
    return replace(form, found=replace(detection, provider=None))  # the form shows what was found of it


def _tested(
    known: WebContext,
    request: Request,
    who: Principal,
    side: Side,
    form: Form,
    secret: str,
    preview: Preview | None,
    *,
    edits: str,
) -> list[ConnectionStep]:
    """Runs a connection test, and signs in with the first suitable mailbox of the list, if there is one."""
    form.demand(side, secret)
    server = form.server(side, form.ends[side].url(side), secret)
    endpoint = endpoint_of(side, server, guarded(known.reach))
    if edits:
        _need_leave(who, known.import_(edits), {side: endpoint})
    rows = preview.manifest.rows if preview and preview.manifest else ()
    # At the source, a row that names its own server is left out: its password is for that server alone.
    row = next((one for one in rows if side == Side.DESTINATION or one.server is None), None)
    visitor = None
    if row is not None:
        asked = completed(side, endpoint, sign_in_of(side, server, remote=True, demanded=True), [row])
        visitor = visitor_of(side, endpoint, row, asked)
    with noted(known, request, who, "connection tested", side=side, server=endpoint.url):
        return try_connection(side, endpoint, addresses=known.reach.addresses, visitor=visitor)


def _need_leave(who: Principal, found: Import, ends: Mapping[Side, Endpoint]) -> None:
    """Raises `FaultsFound` where stored passwords would be shown to another host, unless an administrator wants that."""
    if who.role < Role.ADMIN and (sides := moved(found, ends)):
        raise FaultsFound([PASSWORDS_OF_ANOTHER.at(f"{side}.server", side_word=side) for side in sides])


def _opened(
    known: WebContext,
    request: Request,
    who: Principal,
    form: Form,
    secrets: Mapping[Side, str],
    preview: Preview | None,
    *,
    good: bool,
    edits: str = "",
    version: str = "",
) -> str:
    """Opens the import, or changes the one that the form `edits`, and returns its id.

    Raises `FaultsFound` with every fault, and `Refused`.
    """
    found = edit_routes.unstarted(known, edits) if edits else None
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
    if found:
        asked = replace(asked, window=asked.window or "none")
        before = known.operations.asked_again(found)
        if not form.accounts and known_name(known, found.options.accounts) is None:
            asked = replace(asked, accounts=before.accounts)
        asked = replace(
            asked,
            servers={one: with_unshown_sign_in(one, asked.servers[one], before.servers[one]) for one in Side},
        )
    checked = check(asked, faults, guard=guarded(known.reach))
    if checked.specification is None:
        raise FaultsFound(checked.faults)
    if found:
        new = checked.specification
        ends = {Side.SOURCE: new.source, Side.DESTINATION: new.destination}
        _need_leave(who, found, ends)
        new = replace(new, options=with_unshown(new.options, found.options))
        return edit_routes.rewritten(known, who, request, found, new, version).import_id
    return counterpart.written(known, who, request, checked.specification).import_id
