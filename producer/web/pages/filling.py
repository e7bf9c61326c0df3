"""Keeps what is typed into a page's forms: the script sends it a moment after each key, and the language's button does too.

The page is then drawn with its forms filled in, in whatever language, after Back, or by somebody who has signed in again.
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import Path, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from producer.web.pages import filled_store
from producer.web.pages.drawing import back_to
from producer.web.pages.filled_forms import DOTTED, FILLED, KeptField
from producer.web.pages.form_draft import fresh
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import NotSignedIn, Who, ours, there
from producer.web.problems import Refused
from producer.web.security.access import Known
from producer.web.web_context import WebContext
from shared.store.records.principals import Principal
from shared.wording.phrases import Phrase

TOO_MUCH_TO_KEEP: Final = Phrase(
    "typed_too_much_to_keep", "what you typed is too much to be kept over another language: send it first"
)

routes = page_routes("/filled")
_MOST_FIELDS: Final = 2000
_Address = Annotated[str, Query(max_length=2000)]


@routes.post("/{form_id}/keep")
async def keep(
    request: Request, known: Known, who: Who, form_id: Annotated[str, Path(pattern=r"^[0-9a-f]{24}$")]
) -> Response:
    """Keeps the forms of a page, as its script sends them: each field is called "form:name"."""
    form = await request.form(max_files=0, max_fields=_MOST_FIELDS, max_part_size=filled_store.MOST_OCTETS)
    triples = [(*name.partition(":")[::2], text) for name, text in form.multi_items() if isinstance(text, str)]
    done = await run_in_threadpool(_kept, known, who, form_id, triples)
    return Response(status_code=204 if done else 404)


@routes.post("")
async def switch(
    request: Request, known: Known, form: Annotated[str, Query(max_length=80)] = "", at: _Address = "/"
) -> Response:
    """Keeps the form that another language is a button of, and leads back to the page, in that language.

    What the page had kept of its other forms comes along: of several forms a browser without scripts sends one.
    """
    who = await run_in_threadpool(there, known, request)
    if who is None:
        raise NotSignedIn(at)
    given = await request.form(max_files=0, max_fields=_MOST_FIELDS, max_part_size=filled_store.MOST_OCTETS)
    triples = [(form, name, text) for name, text in given.multi_items() if isinstance(text, str) and name != "lang"]
    request.state.sent = ()  # what the page had kept stays, for Back
    kept_id, page = fresh(), urlsplit(ours(at))
    before = dict(parse_qsl(page.query)).get(FILLED, "")
    if not await run_in_threadpool(_kept, known, who, kept_id, triples, before):
        raise Refused(422, TOO_MUCH_TO_KEEP.says())
    asked = [pair for pair in parse_qsl(page.query) if pair[0] not in (FILLED, "lang")]
    return back_to(f"{page.path}?{urlencode([*asked, (FILLED, kept_id)])}", "", str(given.get("lang", "")))


def _kept(
    known: WebContext, who: Principal, kept_id: str, triples: list[tuple[str, str, str]], before: str = ""
) -> bool:
    """Keeps the forms under an id, beside the other ones that are kept under the id `before`. Returns whether it did."""
    here = {form for form, _, _ in triples}
    fields = [one for one in filled_store.find(known, who, before) if one.form and one.form not in here]
    for form in dict.fromkeys(form for form, _, _ in triples):
        pairs = filled_store.whole(known, who, [(name, text) for key, name, text in triples if key == form])
        fields += [KeptField(form=form, name=name, text=text) for name, text in pairs if name not in (FILLED, DOTTED)]
    return filled_store.keep(known, who, kept_id, fields)
