"""Pages for later corrections: new passwords for mailboxes that wait for them, and rows that were wrong at first."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Query, Request
from fastapi.responses import RedirectResponse, Response

from producer.intake.allowed import LOOKED_AT, Allowed
from producer.intake.columns import UNKNOWN
from producer.intake.sheet import SEPARATORS
from producer.intake.specification import ServerAsked, row_servers
from producer.web.api import credential_routes, imports, rehearsals
from producer.web.api.import_bodies import guarded
from producer.web.pages import drafts
from producer.web.pages.changed import MOST_ROWS, Changed, back
from producer.web.pages.drawing import back_to, draw, saying
from producer.web.pages.form_draft import FormDraft, find, fresh, keep, note_opened, told
from producer.web.pages.new_import import NO_MAILBOX, WRONG_ROWS, FormId, wrong_csv, wrong_file
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sheet import DOTS, ENCODINGS, FIELDS, Choice, Preview, look
from producer.web.pages.sign_in_page import Actor
from producer.web.pages.signing import BY_KEY
from producer.web.pages.submitted import Asked, edited, list_of, listed, rows_shown, servers
from producer.web.problems import Refused
from producer.web.security.access import Known
from shared.model import Import, mailbox_id
from shared.model.errors import UsageError
from shared.model.lifecycle import MailboxState
from shared.model.search import Search
from shared.model.sides import Side
from shared.model.sign_in import SignIn, Way
from shared.wording.often_said import GIVE_AT_LEAST_ONE_PASSWORD
from shared.wording.phrases import Phrase

IMPORT_HAS_NO_MAILBOX_WITH_THIS_LOGIN: Final = Phrase(
    "import_has_no_mailbox_with_this_login", "the import has no mailbox with this login at the source"
)

routes = page_routes()
_MOST: Final = 50


def _mend(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    code: str,
    status: int = 200,
    detail: str | Exception = "",
    start: int = 0,
    check: str = "",
    **more: Any,
) -> Response:
    found = known.import_(import_id)
    causes: dict[str, list[str]] = {}
    if check:
        total, causes = _found_wrong(known, import_id, check, start)
        boxes = [box for one in causes if (box := known.store.mailbox(one))]
    else:
        wanted = Search(state=MailboxState.PARKED, code=code, start=start, count=_MOST)
        total, found_boxes = known.store.find_mailboxes(import_id, wanted)
        boxes = [box for box, _ in found_boxes]
    if not boxes and start >= total > 0:  # those before it got their passwords meanwhile
        last = max(0, total - 1) // _MOST * _MOST
        return _mend(request, known, who, import_id, code, status, detail, last, check, **more)
    return draw(
        request,
        "mend.html",
        who,
        status,
        import_=found,
        code=code,
        total=total,
        rows=boxes,
        start=start,
        check=check,
        causes=causes,
        count=_MOST,
        detail=detail,
        shared=_shared(known, found, code),
        by_key=BY_KEY,
        **({"errors": ()} | more),
    )


def _found_wrong(known: Known, import_id: str, check: str, start: int) -> tuple[int, dict[str, list[str]]]:
    """Returns in how many mailboxes a check or a plan found trouble, and of one page of them: id → what it found."""
    document = rehearsals.without_mailboxes(known, check)
    if document["import_id"] != import_id or document["state"] != rehearsals.RehearsalState.DONE:
        raise Refused(404, rehearsals.THERE_IS_NO_REHEARSAL_WITH_THIS_ID.says())
    total = rehearsals.broken_of(document)
    wrong = rehearsals.boxes_of(known, document, start, min(_MOST, total - start)) if start < total else []
    return total, {
        mailbox_id(import_id, one["login"], one["destination_login"], one["server"]): rehearsals.trouble_of(
            document["kind"], one
        )
        for one in wrong
    }


def _shared(known: Known, found: Import, code: str) -> dict[str, SignIn]:
    """Returns by side the sign-in that serves all mailboxes and whose secret can be replaced.

    If the code of the failure is about one side, only that side is returned.
    """
    sign_ins = {"source": found.options.source_sign_in, "destination": found.options.destination_sign_in}
    return {
        side: how
        for side, how in sign_ins.items()
        if (not code.endswith(("_auth_refused", "_logins_stopped")) or code.startswith(side))
        and how.way is not Way.COMMAND
        and known.store.sealed(found.import_id, found.import_id, side) is not None
    }


@routes.get("/imports/{import_id}/credentials")
def ask(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    code: Annotated[str, Query(max_length=100)] = "",
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    check: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """Shows the mailboxes that wait for a password, or in which a check found trouble, each with a field, page by page."""
    return _mend(request, known, who, import_id, code, start=start, check=check)


@routes.post("/imports/{import_id}/credentials")
def give(request: Request, known: Known, who: Actor, import_id: str, given: Asked) -> Response:
    """Replaces passwords, given as a file, pasted, or typed beside their logins. Their mailboxes go on."""
    found = known.import_(import_id)
    code, check = str(given.fields.get("code", ""))[:100], str(given.fields.get("check", ""))[:40]
    sheet = given.passwords
    if not (sheet or given.secrets):
        return _mend(request, known, who, import_id, code, 422, GIVE_AT_LEAST_ONE_PASSWORD.says(), check=check)

    readers = row_servers(ServerAsked(allow_plaintext=True), guarded(known.reach))
    preview = look(sheet, Choice(), readers, allowed=LOOKED_AT) if sheet else None
    if preview and (preview.manifest is None or preview.errors):
        return _mend(request, known, who, import_id, code, 422, errors=preview.errors[:200], check=check)
    queued = 0
    try:
        if given.secrets:
            queued = credential_routes.renew(known, who, request, found, given.secrets)
    except UsageError as error:
        return _mend(request, known, who, import_id, code, 422, error, check=check)
    done = (
        credential_routes.replaced(known, who, request, found, preview.manifest)
        if preview and preview.manifest
        else None
    )
    request.app.state.glances.forget(import_id)
    if done and done.unknown_rows and not done.mailboxes and not given.secrets:
        return _mend(
            request, known, who, import_id, code, 404, IMPORT_HAS_NO_MAILBOX_WITH_THIS_LOGIN.says(), check=check
        )
    changed = Changed(act="passwords", queued=queued, shared=len(given.secrets))
    if done:
        changed = replace(
            changed,
            mailboxes=done.mailboxes,
            queued=queued + done.queued,
            strange=len(done.unknown_rows),
            rows=done.unknown_rows[:MOST_ROWS],
        )
    return back(request, f"/imports/{import_id}", import_id, changed)


@routes.get("/imports/{import_id}/add")
def ask_more(request: Request, known: Known, who: Actor, import_id: str) -> Response:
    """Shows the form for more mailboxes."""
    return _more(request, known, who, import_id, fresh(), FormDraft(place=import_id))


@routes.get("/imports/{import_id}/add/{form_id}")
def ask_again(request: Request, known: Known, who: Actor, import_id: str, form_id: FormId) -> Response:
    """Shows the form for more mailboxes as it was filled in, and what came of its last button."""
    form = find(known, who, form_id, import_id)
    if form is None:
        return RedirectResponse(f"/imports/{import_id}/add", 303)
    if form.opened:
        return RedirectResponse(f"/imports/{import_id}", 303)
    return _more(request, known, who, import_id, form_id, form)


def _more(request: Request, known: Known, who: Actor, import_id: str, form_id: str, form: FormDraft) -> Response:
    return draw(
        request,
        "more.html",
        who,
        import_=known.import_(import_id),
        base=f"/imports/{import_id}/add/{form_id}",
        preview=_preview(known, who, import_id, form),
        typed=form.typed,
        good=bool(form.fields.get("good")),
        chosen=form.fields,
        detail=form.wrong,
        rows=rows_shown(form),
        encodings=ENCODINGS,
        separators=list(SEPARATORS.values()),
        names=FIELDS,
        unknown=UNKNOWN,
        dots=DOTS,
    )


def _preview(known: Known, who: Actor, import_id: str, form: FormDraft) -> Preview | None:
    """Returns the list of the form as the import would take it."""
    found = known.import_(import_id)
    by_rows, allowed = known.operations.sign_ins_of(found)[Side.SOURCE].by_rows, Allowed.of(found.options)
    data, choice = list_of(known, who, form)
    return look(data, choice, servers(known), passwords=by_rows, allowed=allowed) if data else None


@routes.get("/imports/{import_id}/add/{form_id}/wrong-rows.csv")
def wrong_now(request: Request, known: Known, who: Actor, import_id: str, form_id: FormId) -> Response:
    """The rows of the form's list that are wrong."""
    form = find(known, who, form_id, import_id)
    return wrong_file(_preview(known, who, import_id, form) if form else None, saying(request))


@routes.post("/imports/{import_id}/add/{form_id}/keep")
def keep_more(known: Known, who: Actor, import_id: str, form_id: FormId, given: Asked) -> Response:
    """Keeps what was filled in so far, while a person types."""
    before = find(known, who, form_id, import_id)
    if before is None:
        return Response(status_code=404)
    if not before.opened:
        keep(known, who, form_id, replace(listed(known, who, given, before, passing=True), asked=before.asked))
    return Response(status_code=204)


@routes.post("/imports/{import_id}/add")
def add(request: Request, known: Known, who: Actor, import_id: str, given: Asked) -> Response:
    """Handles a button of a form that was not kept before."""
    return press(request, known, who, import_id, fresh(), given)


@routes.post("/imports/{import_id}/add/{form_id}")
def press(request: Request, known: Known, who: Actor, import_id: str, form_id: FormId, given: Asked) -> Response:
    """Adds the mailboxes, or keeps them and leads back to the form."""
    before = find(known, who, form_id, import_id)
    if before is None:  # what was filled in is this person's all the same
        form_id, before = fresh(), FormDraft(place=import_id)
    if before.opened:
        return RedirectResponse(f"/imports/{import_id}", 303)
    form = listed(known, who, given, before)
    if given.do == "edit":
        form = edited(known, who, form)
    if given.do == "add":
        preview, good = _preview(known, who, import_id, form), bool(given.fields.get("good"))
        try:
            if preview is None or preview.manifest is None or not preview.manifest.rows:
                raise NO_MAILBOX.error("manifest")
            if preview.errors and not good:
                raise WRONG_ROWS.error("manifest")
            imports.added(known, who, request, import_id, preview.manifest.rows)
        except (UsageError, Refused) as error:
            form = replace(form, **told(error))
        else:
            left = drafts.keep_wrong(known, who, wrong_csv(preview, saying(request)))
            note_opened(known, who, form_id, replace(form, opened=import_id))
            there = f"/imports/{import_id}" + (f"?wrong={left}" if left else "")
            return back(request, there, import_id, Changed(act="add", mailboxes=preview.good))
    if keep(known, who, form_id, form):  # by a click beside this one
        return RedirectResponse(f"/imports/{import_id}", 303)
    section = "fault" if form.wrong else "mailboxes"
    return back_to(f"/imports/{import_id}/add/{form_id}", section, str(given.fields.get("lang", "")))
