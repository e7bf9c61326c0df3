"""The lines that an import prints about mail that came by another protocol before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from producer.coordinator.tally import Progress
from shared.model.lifecycle import Outcome
from shared.runtime.logs import clean
from shared.store import Store

_POP3: Final = "pop3"


def protocol_lines(store: Store, progress: Progress) -> Iterator[str]:
    """Yields lines for the end of an import by IMAP that found mail of an import by POP3: they say what that mail lacks."""
    import_, found = progress.import_, progress.tally[Outcome.ALREADY_PRESENT]
    if import_.source.protocol == _POP3 or not found:
        return
    earlier = [
        clean(one.name)
        for one in store.imports()
        if one.import_id != import_.import_id
        and one.source.protocol == _POP3
        and one.destination.url == import_.destination.url
    ]
    if earlier:
        names = ", ".join(earlier[:3]) + (" …" if earlier[3:] else "")
        yield (
            f"note: what came by POP3 before (import {names}) stays as it is: with the date that POP3 told, unread and "
            "without flags"
        )
