"""The verbs token add, token list and token revoke."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from producer.cli.command_context import open_context
from producer.cli.noting import noted
from producer.cli.verb import COMPLETE, say, show
from producer.operations.token_expiry import read_expiry
from shared.runtime.logs import clean
from shared.store.records.principals import Principals, role_of
from shared.store.redis.redis_store import connect
from shared.wording.phrases import Phrase

NO_TOKEN: Final = Phrase("token_unknown", "no token has the id {text}; mailhaul token list shows them")


def run_add(name: str, role: str, expires: str, *, state_dir: Path | None) -> int:
    """Makes a token. Prints it alone to standard output, so that it can be written into a file."""
    wanted, ends = role_of(role), read_expiry(expires, time.time())
    detail = {"expires_at": ends} if ends else {}
    with open_context(state_dir) as context, noted(context, "token made", name=name, role=wanted.word, **detail):
        made, text = Principals(connect(context.urls[1]), context.vault).make_token(name, wanted, ends)
    until = f", until {_moment(ends)} UTC" if ends else ""
    say(f"token {made.token_id} for {clean(made.name)}, {wanted.word}{until}; it is shown this once:")
    print(text, flush=True)
    return COMPLETE


def run_list(*, state_dir: Path | None) -> int:
    """Lists the tokens, one a line."""
    with open_context(state_dir) as context:
        known = Principals(connect(context.urls[1]), context.vault).tokens()
        if not known:
            say("no token; make one with: mailhaul token add NAME")
        for one in known:
            until = f"{'over since' if one.over else 'until'} {_moment(one.expires_at)}" if one.expires_at else ""
            made = datetime.fromtimestamp(one.created_at, UTC)
            show(f"{one.token_id}  {one.role.word:<8}  {made:%Y-%m-%d}  {clean(one.name)}  {until}".rstrip())
    return COMPLETE


def run_revoke(token_id: str, *, state_dir: Path | None) -> int:
    """Revokes a token, so that no further request with it is answered."""
    with open_context(state_dir) as context, noted(context, "token revoked", token_id=token_id[:100]):
        if not Principals(connect(context.urls[1]), context.vault).revoke(token_id):
            raise NO_TOKEN.error(text=f"{token_id[:40]!r}")
    say(f"token {token_id} has ended")
    return COMPLETE


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"
