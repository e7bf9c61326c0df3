"""The ends of verifications in the audit log.

Whoever works on a verification has no right to the log, so its end is noted by whoever looks next: the command that
waits for it, a page, or a command that reads the log or acts on the import.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from producer.operations.finding import progress_of
from shared.model import Import
from shared.model.lifecycle import ImportState
from shared.store import Store
from shared.store.records.page_state import PageState
from shared.store.records.web_records import WebRecords

#: The events of the audit log for the beginning and the end of a verification.
VERIFICATION: Final = ("verification queued", "verification done")
#: The name under which a verification ended that nobody waited for.
NOBODY: Final = "mailhaul"
#: Seconds in which the end of one verification is noted by one process only.
_ONE_SECONDS: Final = 3600.0


def note_end(
    store: Store,
    records: WebRecords,
    page_state: PageState,
    import_: Import,
    who: str = NOBODY,
    said: Mapping[str, object] | None = None,
) -> None:
    """Notes that the import's last verification has ended, with its status and the time of its end.

    Does nothing while it runs, and if that is noted already. `said` are further fields of the entry.
    """
    told = [event for event in page_state.events(import_.import_id) if event["what"] in VERIFICATION]
    if not told or told[-1]["what"] != VERIFICATION[0]:
        return
    # The import is started before "verification queued" is written. So if it is finished after that entry was read,
    # this pass is over.
    now = store.import_(import_.import_id)
    if now is None or now.state is not ImportState.FINISHED:
        return
    if page_state.sampling(f"{now.import_id}:verified:{now.finished_at:.3f}", _ONE_SECONDS):
        ended = datetime.fromtimestamp(now.finished_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = progress_of(store, now).word
        records.note(
            who, VERIFICATION[1], {"import_id": now.import_id, "status": status, "ended": ended, **(said or {})}
        )
