"""The search for mailboxes in all imports: where is anna?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.model import Import, Mailbox, Tally
from shared.model.search import Search
from shared.store import Store
from shared.wording.phrases import Phrase

NO_TEXT: Final = Phrase("search_without_text", "give a part of a login")

Found = tuple[Import, Mailbox, Tally]


def search_everywhere(
    store: Store, text: str, start: int = 0, count: int = 50, *, archived: bool = False
) -> tuple[int, Sequence[Found]]:
    """Finds mailboxes with this text in a login of either side, those of the newest import first.

    Returns the number of all that match, and a page of them; with `archived` also those of imports in the archive. Raises
    `UsageError` for an empty text.
    """
    text = text.strip()
    if not text:
        raise NO_TEXT.error()
    total, page = 0, list[Found]()
    for import_ in store.imports():
        if import_.archived and not archived:
            continue
        wanted = Search(text=text, start=max(0, start - total), count=max(1, count - len(page)))
        here, rows = store.find_mailboxes(import_.import_id, wanted)
        if len(page) < count and start < total + here:
            page += [(import_, mailbox, tally) for mailbox, tally in rows]
        total += here
    return total, page
