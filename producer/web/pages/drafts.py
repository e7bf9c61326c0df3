"""A list of mailboxes between two steps of the form: sealed, kept for an hour, for whoever gave it. So no password goes
back to a browser."""

from __future__ import annotations

import base64
import secrets
from typing import Final

from producer.web.counter import Counter
from producer.web.mended import wrong_rows
from producer.web.pages.sheet import Preview
from shared.credentials import Credentials, Secret
from shared.errors import CredentialsError
from shared.store.principals import Principal

#: Kept so long after the last step, seconds.
DRAFT_SECONDS: Final = 3600


def keep(known: Counter, who: Principal, data: bytes) -> str:
    """Where it is from now on."""
    draft_id = secrets.token_hex(12)
    held = Credentials(login=who.principal_id, password=Secret(base64.b64encode(data).decode()))
    known.shelf.keep_draft(draft_id, known.vault.seal(draft_id, "source", held), DRAFT_SECONDS)
    return draft_id


def find(known: Counter, who: Principal, draft_id: str) -> bytes:
    """Empty when it is nobody's, another's, or gone."""
    sealed = known.shelf.draft(draft_id) if draft_id.isalnum() and len(draft_id) == 24 else None
    if sealed is None:
        return b""
    try:
        held = known.vault.open(draft_id, "source", sealed)
    except CredentialsError:
        return b""
    return base64.b64decode(held.password.reveal()) if held.login == who.principal_id else b""


def keep_wrong(known: Counter, who: Principal, preview: Preview | None) -> str:
    """Where the rows of a list are from now on that are wrong, with their reasons; "" where none is."""
    return keep(known, who, wrong_rows(preview.wrong).encode()) if preview and preview.wrong else ""


def drop(known: Counter, draft_id: str) -> None:
    """It was used."""
    if draft_id.isalnum() and len(draft_id) == 24:
        known.shelf.drop_draft(draft_id)
