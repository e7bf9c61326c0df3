"""Forms that are being filled in on any page, kept sealed for a day for whoever fills them in (`filled_forms`)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from typing import Final

from producer.web.pages import drafts
from producer.web.pages.filled_forms import DOTTED, FILLED, KeptField, undotted, without
from producer.web.problems import Refused
from producer.web.web_context import WebContext
from shared.content.json_text import read_json
from shared.store.records.principals import Principal, Role
from shared.wording.phrases import Phrase

NOT_KEPT_ANY_MORE: Final = Phrase(
    "typed_is_not_kept_any_more", "a password that you typed is not kept any more: type it again"
)

#: The most pages that one person has filled in and not sent. The oldest is given up for a new one.
_MOST: Final = 20
#: The most octets of one page that are kept, and so 20 MiB of a person. A list of mailboxes has a form of its own.
MOST_OCTETS: Final = 1024**2
#: The most octets of one page of somebody who may only read, and the forms that such a person can send.
MOST_OF_VIEWER: Final = 65_536
OF_VIEWERS: Final = ("find", "search", "search-boxes")
_PURPOSE: Final = "filled:"
_ID: Final = re.compile(r"[0-9a-f]{24}")


def keep(known: WebContext, who: Principal, kept_id: str, fields: Sequence[KeptField]) -> bool:
    """Keeps fields under an id. Returns False where the id is somebody else's, or where they are too much."""
    if not _ID.fullmatch(kept_id) or (known.page_state.draft(kept_id) is not None and not _found(known, who, kept_id)):
        return False
    if who.role < Role.OPERATOR:
        fields = [one for one in fields if one.form in OF_VIEWERS]
    packed = json.dumps([(one.form, one.name, one.text) for one in fields]).encode()
    if len(packed) > (MOST_OF_VIEWER if who.role < Role.OPERATOR else MOST_OCTETS):
        return False
    drafts.keep(known, who, packed, kept_id, _PURPOSE)
    for old in known.page_state.note_form(_whose(who), kept_id, time.time(), _MOST, drafts.DRAFT_SECONDS):
        known.page_state.drop_draft(old)
    return True


def find(known: WebContext, who: Principal | None, kept_id: str) -> list[KeptField]:
    """Returns what the person has kept under the id; nothing if that is over, or somebody else's."""
    data = _found(known, who, kept_id) if who and _ID.fullmatch(kept_id) else b""
    return [KeptField(form=form, name=name, text=text) for form, name, text in read_json(data or b"[]")]


def drop(known: WebContext, who: Principal, kept_id: str, form: str) -> None:
    """Deletes what the person has kept of a form under the id: it was sent. The other forms of its page stay."""
    if not (kept := find(known, who, kept_id)):
        return
    if rest := without(kept, form):
        keep(known, who, kept_id, rest)
        return
    known.page_state.drop_draft(kept_id)
    known.page_state.drop_form(_whose(who), kept_id)


def whole(known: WebContext, who: Principal | None, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns the fields of a form with what was kept of those that the page drew with dots (`undotted`)."""
    pairs = list(pairs)
    if all(name != DOTTED for name, _ in pairs):
        return pairs
    return undotted(pairs, lambda kept_id: find(known, who, kept_id))


def all_there(pairs: Iterable[tuple[str, str]]) -> None:
    """Raises `Refused` (422) where a field that was drawn with dots is kept no more: it would be sent empty."""
    if any(name == DOTTED for name, _ in pairs):
        raise Refused(422, NOT_KEPT_ANY_MORE.says())


def kept_as(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns (id, form) of whatever the page kept of a form that is sent."""
    return [(kept_id, form) for name, text in pairs if name == FILLED for kept_id, _, form in [text.partition(".")]]


def _found(known: WebContext, who: Principal, kept_id: str) -> bytes:
    return drafts.find(known, who, kept_id, _PURPOSE)


def _whose(who: Principal) -> str:
    return _PURPOSE + who.principal_id
