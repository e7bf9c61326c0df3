"""Forms that are being filled in on any page, kept sealed for a day for whoever fills them in (`filled_forms`)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Sequence
from typing import Final

from producer.web.pages import drafts
from producer.web.pages.filled_forms import DOTTED, FILLED, KeptField, undotted
from producer.web.web_context import WebContext
from shared.content.json_text import read_json
from shared.store.records.principals import Principal

#: The most pages that one person has filled in and not sent. The oldest is given up for a new one.
_MOST: Final = 20
_PURPOSE: Final = "filled:"
_ID: Final = re.compile(r"[0-9a-f]{24}")


def keep(known: WebContext, who: Principal, kept_id: str, fields: Sequence[KeptField]) -> bool:
    """Keeps fields under an id. Returns False where the id is somebody else's."""
    if not _ID.fullmatch(kept_id) or (known.page_state.draft(kept_id) is not None and not _found(known, who, kept_id)):
        return False
    packed = json.dumps([(one.form, one.name, one.text) for one in fields])
    drafts.keep(known, who, packed.encode("utf-8", "surrogatepass"), kept_id, _PURPOSE)
    for old in known.page_state.note_form(_whose(who), kept_id, time.time(), _MOST, drafts.DRAFT_SECONDS):
        known.page_state.drop_draft(old)
    return True


def find(known: WebContext, who: Principal | None, kept_id: str) -> list[KeptField]:
    """Returns what the person has kept under the id; nothing if that is over, or somebody else's."""
    data = _found(known, who, kept_id) if who and _ID.fullmatch(kept_id) else b""
    return [KeptField(form=form, name=name, text=text) for form, name, text in read_json(data or b"[]")]


def drop(known: WebContext, who: Principal, kept_id: str) -> None:
    """Deletes what the person has kept under the id: the form was sent."""
    if _ID.fullmatch(kept_id) and _found(known, who, kept_id):
        known.page_state.drop_draft(kept_id)
        known.page_state.drop_form(_whose(who), kept_id)


def whole(known: WebContext, who: Principal | None, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Returns the fields of a form with what was kept of those that the page drew with dots."""
    pairs = list(pairs)
    if all(name != DOTTED for name, _ in pairs):
        return pairs
    return undotted(pairs, lambda kept_id: find(known, who, kept_id))


def kept_ids(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Returns the ids under which the page kept what was typed into a form that is sent."""
    return [text for name, text in pairs if name == FILLED]


def _found(known: WebContext, who: Principal, kept_id: str) -> bytes:
    return drafts.find(known, who, kept_id, _PURPOSE)


def _whose(who: Principal) -> str:
    return _PURPOSE + who.principal_id
