"""Pages that answer a POST: kept for an hour, sealed, so that the browser is led to an address of its own.

So Back and a reload ask nobody whether to send a form once more (post, redirect, get). A result is its receiver's alone.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Final

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from producer.web.web_context import WebContext
from shared.content.json_text import read_json
from shared.model.errors import CredentialsError, StoreError
from shared.nouns import dataclass
from shared.runtime.credentials import Credentials
from shared.runtime.secret import Secret
from shared.store.records.principals import Principal

#: Seconds for which a result is kept, and how many of one person are.
_SECONDS: Final = 3600
_MOST: Final = 20
#: Seconds for which a page with a secret is shown again: after a second click, in another language, at a reload.
SHOWN_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """A page that answers a POST."""

    #: The HTTP status.
    status: int
    #: The page in each language.
    pages: Mapping[str, str]
    #: Whether it is kept for `SHOWN_SECONDS` only after it was shown, since it holds a secret.
    once: bool = False


#: The answer in the place of a page whose minute is over.
_SHOWN: Final = Result(status=410, pages={})


def fresh() -> str:
    """Returns an id for a new result."""
    return secrets.token_hex(12)


def led_to(request: Request, who: Principal, result_id: str, result: Result, language: str) -> Response:
    """Keeps the page and redirects to it; shows it at once where it cannot be kept."""
    known: WebContext = request.app.state.web_context
    try:
        _keep(known, who, result_id, result, _SECONDS)
        for old in known.page_state.note_form(_whose(who), result_id, time.time(), _MOST, _SECONDS):
            known.page_state.drop_draft(old)
    except StoreError:
        return HTMLResponse(result.pages[language], result.status)
    return RedirectResponse(f"/results/{result_id}", 303)


def find(known: WebContext, who: Principal, result_id: str) -> Result | None:
    """Returns a result of this person; None where it is over. One with a secret, whose minute is over, has no pages."""
    found = _found(known, who, result_id) or _found(known, who, _mark(result_id))
    if found and found.once:
        _keep(known, who, _mark(result_id), _SHOWN, _SECONDS)
        _keep(known, who, result_id, replace(found, once=False), SHOWN_SECONDS)
    return found


def _found(known: WebContext, who: Principal, result_id: str) -> Result | None:
    sealed = known.page_state.draft(result_id)
    try:
        held = None if sealed is None else known.vault.open(result_id, "source", sealed)
        result = None if held is None or held.login != who.principal_id else read_json(held.password.reveal())
        return Result(**result) if result else None
    except (CredentialsError, ValueError, TypeError):  # another draft, or none of this version
        return None


def _keep(known: WebContext, who: Principal, result_id: str, result: Result, seconds: int) -> None:
    held = Credentials(login=who.principal_id, password=Secret(json.dumps(asdict(result))))
    known.page_state.keep_draft(result_id, known.vault.seal(result_id, "source", held), seconds)


def _mark(result_id: str) -> str:
    """Returns the id under which it is kept that a result was shown."""
    return hashlib.sha256(f"shown {result_id}".encode()).hexdigest()[:24]


def _whose(who: Principal) -> str:
    return "results:" + who.principal_id
