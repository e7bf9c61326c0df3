"""The page of a result (`results`), and of a form that was sent after the session had ended (`interrupted`)."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from producer.translations import LANGUAGES
from producer.translations.said import ACTS
from producer.web.pages import interrupted, results
from producer.web.pages.drawing import LANGUAGE_COOKIE, as_kept, draw, language
from producer.web.pages.form_draft import fresh
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Actor, Who
from producer.web.problems import Refused
from producer.web.security.access import Known
from producer.web.web_context import WebContext
from shared.wording.phrases import Phrase

THIS_WAS_SHOWN_ONCE: Final = Phrase(
    "this_was_shown_once", "this was shown once, and is not kept. If nobody wrote it down, make a new one"
)

routes = page_routes()
_Id = Annotated[str, Path(pattern=r"^[0-9a-f]{24}$")]
#: Forms that are kept while they are filled in: a person is led back into them.
_KEPT: Final = re.compile(r"(/new|/imports/[^/]+/add)(/[0-9a-f]{24})?")
_IMPORT: Final = re.compile(r"/imports/([^/]+)(?:/mailboxes/([^/]+))?/.+")


@routes.get("/results/{result_id}")
def result(request: Request, known: Known, who: Who, result_id: _Id) -> Response:
    """Shows what came of a POST."""
    found = results.find(known, who, result_id)
    if found is None:
        return RedirectResponse("/", 303)
    if not found.pages:
        return draw(request, "refused.html", who, found.status, detail=THIS_WAS_SHOWN_ONCE.says(), back="")
    answer = HTMLResponse(as_kept(request, who, found.pages[language(request)]), found.status)
    if request.query_params.get("lang") in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language(request), max_age=365 * 86400, samesite="lax", httponly=True)
    return answer


@routes.get("/sent/{form_id}")
async def sent(request: Request, known: Known, who: Who, form_id: _Id) -> Response:
    """Leads back into the form that was sent signed out, or asks whether to send it now."""
    form = await run_in_threadpool(interrupted.find, known, who, form_id)
    if form is None:
        return RedirectResponse("/", 303)
    if kept := _KEPT.fullmatch(form.path):
        there = form.path if kept[2] else f"{kept[1]}/{fresh()}"
        taken = await interrupted.sent_again(request, form, f"{there}/keep")
        if taken.status_code < 400:
            await run_in_threadpool(known.page_state.drop_draft, form_id)
            return RedirectResponse(there, 303)
    about = await run_in_threadpool(_about, known, form)
    return draw(request, "sent.html", who, form_id=form_id, form=form, **about)


def _about(known: WebContext, form: interrupted.SentForm) -> dict[str, str]:
    """Returns what a form would do, and the import and the mailbox that it is about; "" for none."""
    path, fields = _IMPORT.fullmatch(form.path), dict(form.fields())
    word = form.path.rpartition("/")[2]
    about = {
        "act": ACTS.get(fields.get("kind" if word == "rehearsals" else "act", word), word),
        "name": "",
        "login": "",
    }
    if path:
        try:
            about["name"] = known.import_(path[1]).name
            mailbox_id = path[2] or form.field("mailbox")
            about["login"] = known.mailbox(path[1], mailbox_id)[0].source.login if mailbox_id else ""
        except Refused:  # it is gone meanwhile
            pass
    return about


@routes.post("/sent/{form_id}/leave")
def leave(known: Known, who: Actor, form_id: _Id) -> Response:
    """Forgets the form."""
    interrupted.take(known, who, form_id)
    return RedirectResponse("/", 303)


@routes.post("/sent/{form_id}")
async def send(request: Request, known: Known, who: Actor, form_id: _Id) -> Response:
    """Sends the form now, as whoever is signed in."""
    form = await run_in_threadpool(interrupted.take, known, who, form_id)
    if form is None:
        return RedirectResponse("/", 303)
    return await interrupted.sent_again(request, form)
