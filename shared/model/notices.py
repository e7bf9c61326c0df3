"""The nouns of what people are told without looking: notices, and their deliveries to targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from shared.nouns import dataclass
from shared.wording.phrases import Phrase

IMPORT_OR_WAVE_BEGAN_OR_ENDED: Final = Phrase(
    "import_or_wave_began_or_ended", "an import or a wave began, or came to its end"
)
CUTOVER_REACHED_STATE: Final = Phrase("cutover_reached_state", "the cutover of a wave reached a state")
MAILBOXES_WAIT_FOR_PERSON: Final = Phrase("mailboxes_wait_for_person", "mailboxes wait for a person")
NOTHING_MOVED_FOR_WHILE: Final = Phrase("nothing_moved_for_while", "nothing moved for a while")
END_IS_FORECAST_LATER: Final = Phrase("end_is_forecast_later", "the end is forecast later than it was")
DAILY_SUMMARY: Final = Phrase("daily_summary", "where everything stands, once a day")
TEST_MESSAGE: Final = Phrase("test_message", "a test message")

#: Every kind of a notice, with what it tells.
KINDS: Final[Mapping[str, str]] = {
    "state": IMPORT_OR_WAVE_BEGAN_OR_ENDED.says(),
    "cutover": CUTOVER_REACHED_STATE.says(),
    "person": MAILBOXES_WAIT_FOR_PERSON.says(),
    "still": NOTHING_MOVED_FOR_WHILE.says(),
    "slipped": END_IS_FORECAST_LATER.says(),
    "digest": DAILY_SUMMARY.says(),
    "test": TEST_MESSAGE.says(),
}
#: Kinds that a target gets unless others were chosen.
USUAL_KINDS: Final = ("state", "cutover", "person", "still", "slipped")


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """Something that people asked to be told. It holds no sentence: each front end words it for its reader."""

    #: The id; a repeat of the same notice has the same one.
    notice_id: str
    #: One of `KINDS`.
    kind: str
    #: When it happened, seconds since the epoch.
    at: float
    #: The import that it is about; "" for none.
    import_id: str = ""
    #: The name of that import.
    name: str = ""
    #: The wave that it is about; "" for the whole import.
    wave: str = ""
    #: Its further values by name: numbers, codes, states and moments.
    values: Mapping[str, str | float] = field(default_factory=dict)
    #: Mailboxes that it names to targets that asked for logins.
    mailbox_ids: tuple[str, ...] = ()
    #: The one target that it is for; "" for every target that wants this kind.
    target_id: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """A notice on its way to one target."""

    #: The notice.
    notice: Notice
    #: The target.
    target_id: str
    #: The number of times that it was tried.
    attempts: int = 0
    #: When it was put into the outbox, seconds since the epoch.
    first_at: float = 0.0
    #: When it is tried next, or when it was given up, seconds since the epoch.
    due_at: float = 0.0
    #: Why the last attempt failed; "" before.
    why: str = ""

    @property
    def delivery_id(self) -> str:
        """The id by which its receiver drops repeats."""
        return f"{self.notice.notice_id}:{self.target_id}"
