"""The verb where: a mailbox in all imports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from producer.cli.command_context import open_context
from producer.cli.verb import COMPLETE, say, show
from producer.coordinator.tally import EXIT_INCOMPLETE
from producer.operations.searching import search_everywhere
from producer.operations.trouble import word
from producer.show import document
from shared.runtime.logs import clean

#: Maximum number of mailboxes that are printed.
_MOST: Final = 1000


def run_where(text: str, *, archived: bool = False, as_json: bool, state_dir: Path | None) -> int:
    """Prints the mailboxes, one a line, with their import and state. Returns 3 if none matches."""
    with open_context(state_dir, make=False) as context:
        total, found = search_everywhere(context.store, text, count=_MOST, archived=archived)
    if as_json:
        rows = [document.found_fields(*one) for one in found]
        print(json.dumps({"total": total, "mailboxes": rows}, ensure_ascii=False, indent=2))
    for request, mailbox, tally in [] if as_json else found:
        to = "" if mailbox.destination.login == mailbox.source.login else f" → {mailbox.destination.login}"
        show(
            f"{request.import_id[:8]}  {clean(request.name)}  row {mailbox.row}  {clean(mailbox.source.login)}{clean(to)}  "
            f"{word(mailbox, tally)}"
        )
    if total > len(found):
        say(f"and {total - len(found):,} more: give more of the login")
    if not total:
        say("no mailbox has this in its login")
    return COMPLETE if total else EXIT_INCOMPLETE
