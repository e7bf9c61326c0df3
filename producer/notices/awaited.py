"""Says what an import waits for in a sentence that each reader is told in their own language. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from shared.model import Wait, WaitKind
from shared.wording.phrases import Phrase

WAITS_FOR_HOURS: Final = Phrase("awaits_hours", "it waits for its hours: {hours}")
WAVE_BEGINS: Final = Phrase("awaits_wave_start", "wave {name} has not begun")
WAVE_WAITS_FOR_HOURS: Final = Phrase("awaits_wave_hours", "wave {name} waits for its hours: {hours}")
WAVE_IS_PAUSED: Final = Phrase("awaits_wave", "wave {name} is paused")
NO_WORKER: Final = Phrase("awaits_worker", "no worker is running")
NO_WRITES: Final = Phrase("awaits_store", "the state store takes no writes: {cause}")
NO_ANSWER: Final = Phrase("awaits_server", "{host} does not answer: {cause}")
MAY_STILL_ARRIVE: Final = Phrase("awaits_settling", "what was sent before may still arrive at the destination")
FULL: Final = Phrase("awaits_room", "mailboxes are full, and wait for room")
TAKEN: Final = Phrase("awaits_destination", "another mailbox has the destination")
TAKEN_AND_PAUSED: Final = Phrase("awaits_paused_destination", "another mailbox has the destination, and is paused")
RATE: Final = Phrase("awaits_rate", "{why}")
ASKED: Final = Phrase("awaits_asked", "the server asked to wait: {cause}")
ASKED_BARELY: Final = Phrase("awaits_asked_barely", "the server asked to wait")
UNTIL: Final = Phrase("awaits_until", "{what} (until {day})")
MAILBOXES: Final = Phrase("awaits_mailboxes", "{what}; mailboxes: {num}")

_PHRASES: Final[Mapping[WaitKind, Phrase]] = {
    WaitKind.WINDOW: WAITS_FOR_HOURS,
    WaitKind.WAVE_START: WAVE_BEGINS,
    WaitKind.WAVE_HOURS: WAVE_WAITS_FOR_HOURS,
    WaitKind.WAVE_PAUSED: WAVE_IS_PAUSED,
    WaitKind.WORKERS: NO_WORKER,
    WaitKind.STORE: NO_WRITES,
    WaitKind.SOURCE_SERVER: NO_ANSWER,
    WaitKind.DESTINATION_SERVER: NO_ANSWER,
    WaitKind.SETTLE: MAY_STILL_ARRIVE,
    WaitKind.ROOM: FULL,
    WaitKind.DESTINATION: TAKEN,
    WaitKind.DESTINATION_PAUSED: TAKEN_AND_PAUSED,
    WaitKind.RATE: RATE,
}


def awaited(wait: Wait) -> str:
    """Returns one cause as a sentence, which names no login."""
    phrase = _PHRASES.get(wait.what, ASKED if wait.why else ASKED_BARELY)
    what = phrase.says(hours=wait.why, name=wait.key, cause=wait.why, host=wait.key, why=wait.why)
    if wait.until:
        what = UNTIL.says(what=what, day=f"{datetime.fromtimestamp(wait.until, UTC):%Y-%m-%d %H:%M} UTC")
    return MAILBOXES.says(what=what, num=wait.mailboxes) if wait.mailboxes else what
