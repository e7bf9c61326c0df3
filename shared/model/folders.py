"""Folders as planned, and the counts that always add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.lifecycle import Outcome
from shared.uids import UidSet


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Counts of source messages. `copied + already_present + skipped + refused + vanished + failed + pending = messages`."""

    #: Source messages of the snapshot.
    messages: int = 0
    #: Their size in bytes, as the source says.
    size_bytes: int = 0
    #: Messages by outcome.
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    #: Bytes of messages that have an outcome.
    done_bytes: int = 0
    #: Messages that the destination holds, but not exactly as they were sent (bytes or date altered).
    altered: int = 0
    #: Messages whose keywords the destination folder cannot hold.
    keywords_lost: int = 0
    #: Messages that the ledger has as copied and the destination no longer shows.
    missing: int = 0

    @property
    def pending(self) -> int:
        """Messages without an outcome yet."""
        return self.messages - sum(self.outcomes.values())

    def __getitem__(self, outcome: Outcome) -> int:
        return self.outcomes.get(outcome, 0)


#: How the note of a folder begins that the source lists and does not let be read.
UNREADABLE = "cannot be read at the source"


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """One folder of one mailbox, as planned."""

    #: Stable: hash of mailbox and source name.
    folder_id: str
    #: The mailbox it belongs to.
    mailbox_id: str
    #: The source's own name, raw bytes.
    source_name: bytes
    #: The destination's name, raw bytes as sent.
    destination_name: bytes
    #: For people: decoded, "/" between levels.
    display: str
    #: UIDVALIDITY of the source folder in the snapshot.
    uidvalidity: int = 0
    #: UIDNEXT of the source folder in the snapshot: every UID below it is accounted for.
    uidnext: int = 1
    #: HIGHESTMODSEQ of the source folder when its flags were last carried over; 0 without CONDSTORE.
    highestmodseq: int = 0
    #: Messages that the source folder held in the snapshot.
    source_messages: int = 0
    #: UIDVALIDITY of the destination folder; 0 before it was first selected.
    destination_uidvalidity: int = 0
    #: UIDNEXT of the destination folder when it was first planned: lower UIDs are not ours, unless adopted.
    destination_uidnext: int = 1
    #: How many plans in a row found another destination folder than the plan before (another UIDVALIDITY).
    remade: int = 0
    #: Why it was renamed or left out; "" when neither.
    note: str = ""
    #: Why messages of it were skipped, and how many, for people; "" when none were.
    skipped: str = ""
    #: Source UIDs whose append was once in doubt: verification looks for second copies of just these.
    doubts: UidSet = UidSet()
    #: Ledger entries that the destination was not yet seen to hold.
    unchecked: int = 0
    #: Both sides' UIDVALIDITY:UIDNEXT:MESSAGES when it was last verified; "" before.
    verified: str = ""

    @property
    def unreadable(self) -> bool:
        """Whether the source listed it and did not let it be read in the last pass."""
        return self.note.startswith(UNREADABLE)
