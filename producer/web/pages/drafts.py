"""Lists of mailboxes, secrets and whole forms (`form_draft`) between two steps of a form.

Each is sealed and kept for a day, for the principal who gave it. So no password goes back to a browser.
"""

from __future__ import annotations

import base64
import secrets
from typing import Final

from producer.web.web_context import WebContext
from shared.model.errors import CredentialsError
from shared.runtime.credentials import Credentials
from shared.runtime.secret import Secret
from shared.store.records.principals import Principal

#: Seconds for which a draft is kept after the last step.
DRAFT_SECONDS: Final = 86_400

#: The purpose of rows that were wrong, which may be downloaded.
_WRONG: Final = "wrong-rows:"


def keep(known: WebContext, who: Principal, data: bytes, draft_id: str = "", purpose: str = "") -> str:
    """Seals and stores the list, under a new id if none is given. Returns the id under which it is found.

    It is found for the same `purpose` only: what may be downloaded is kept for that, and a stored password is not.
    """
    draft_id = draft_id or secrets.token_hex(12)
    held = Credentials(login=who.principal_id, password=Secret(base64.b64encode(data).decode()))
    known.page_state.keep_draft(draft_id, known.vault.seal(purpose + draft_id, "source", held), DRAFT_SECONDS)
    return draft_id


def find(known: WebContext, who: Principal, draft_id: str, purpose: str = "") -> bytes:
    """Returns the list; empty if the id is unknown or expired, or the draft is somebody else's or of another purpose."""
    held = _held(known, draft_id, purpose)
    return base64.b64decode(held.password.reveal()) if held and held.login == who.principal_id else b""


def find_wrong(known: WebContext, who: Principal, draft_id: str) -> bytes:
    """Returns the rows that `keep_wrong` kept, as a list; empty for any other draft."""
    return find(known, who, draft_id, _WRONG)


def of_another(known: WebContext, who: Principal, draft_id: str) -> bool:
    """Tells whether the draft belongs to somebody else."""
    held = _held(known, draft_id)
    return held is not None and held.login != who.principal_id


def _held(known: WebContext, draft_id: str, purpose: str = "") -> Credentials | None:
    sealed = known.page_state.draft(draft_id) if draft_id.isalnum() and len(draft_id) == 24 else None
    try:
        return None if sealed is None else known.vault.open(purpose + draft_id, "source", sealed)
    except CredentialsError:
        return None


def keep_wrong(known: WebContext, who: Principal, rows: bytes) -> str:
    """Keeps a file of the rows of a list that were not taken. Returns the draft's id; "" for no such row."""
    return keep(known, who, rows, purpose=_WRONG) if rows else ""


def drop(known: WebContext, draft_id: str) -> None:
    """Deletes a draft that is no longer needed."""
    if draft_id.isalnum() and len(draft_id) == 24:
        known.page_state.drop_draft(draft_id)
