"""Folders as planned, and the counts that always add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import field, fields
from typing import Any, Final

from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

SHOWS_OF_MESSAGES: Final = Phrase("shows_of_messages", "shows {shown_num} of {num} messages")
UIDS_NO_LONGER_AT_DESTINATION: Final = Phrase(
    "uids_no_longer_at_destination", "UIDs {uids} of the source are no longer in the destination folder"
)
UID_NO_LONGER_AT_DESTINATION: Final = Phrase(
    "uid_no_longer_at_destination", "UID {uid} of the source is no longer in the destination folder"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Counts of source messages.

    `copied + already_present + skipped + refused + vanished + failed + withheld + pending = messages`.
    """

    #: Source messages of the snapshot, as the server counts them.
    messages: int = 0
    #: Size of these messages in bytes, as the source says.
    size_bytes: int = 0
    #: Messages by outcome.
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
    #: Messages that the source counts and did not show in the last pass: nothing else is known of them.
    withheld: int = 0
    #: Folders that the source listed and did not let be read in the last pass.
    unreadable: int = 0
    #: Bytes of messages that have an outcome.
    done_bytes: int = 0
    #: Messages whose content at the destination differs from what was sent.
    altered: int = 0
    #: Messages whose form only was changed by the destination: line ends, a final line end, the date.
    normalised: int = 0
    #: Messages whose internal date differs from the source's, since the source gave none or one that cannot be stored.
    dates_changed: int = 0
    #: Messages that are to be read back whole, since they hold bytes that servers are known to change.
    watched: int = 0
    #: Messages of which the destination did not keep all flags or keywords.
    keywords_lost: int = 0
    #: Messages of which the source sent more or fewer bytes than it announced; at most some of each batch are counted.
    resized: int = 0
    #: Messages that the ledger has as copied, that the destination no longer shows, and that no user took away.
    missing: int = 0
    #: Messages whose copies their user moved to another place at the destination.
    moved: int = 0
    #: Messages whose copies their user removed at the destination.
    removed: int = 0
    #: Messages with a copy that are no longer in their source folder.
    deleted_at_source: int = 0
    #: Messages that were moved at the source, and their copies with them.
    moved_at_source: int = 0
    #: Messages that stand at the destination once more than the ledger says, where nothing proves that the other copy is
    #: ours.
    doubled: int = 0
    #: Messages of which a second copy of ours was removed from the destination.
    undone: int = 0
    #: For a mailbox or an import: messages that were read back on both sides and compared byte by byte in this pass.
    compared: int = 0
    #: For an import: messages that ever came to each outcome. It never falls, though an outcome may be taken back: by a
    #: retry, or when a folder is planned anew.
    ever: Mapping[Outcome, int] = field(default_factory=dict)
    #: Bytes of the messages in `ever`.
    ever_bytes: int = 0

    @property
    def pending(self) -> int:
        """Messages without an outcome yet."""
        return self.messages - self.withheld - sum(self.outcomes.values())

    def __getitem__(self, outcome: Outcome) -> int:
        return self.outcomes.get(outcome, 0)

    @classmethod
    def total(cls, tallies: Iterable[Tally]) -> Tally:
        """Returns the sum of each count."""
        found: dict[str, Any] = {}
        parts = list(tallies)
        for one in fields(cls):
            values = [getattr(part, one.name) for part in parts]
            if isinstance(one.default, int):
                found[one.name] = sum(values)
            else:
                found[one.name] = dict(sum(map(Counter, values), Counter()))
        return cls(**found)


#: The fields of `Tally` that are one number each.
COUNTERS: Final = tuple(one.name for one in fields(Tally) if isinstance(one.default, int))
#: The beginning of the note on a folder that the source lists and does not let be read.
UNREADABLE: Final = "cannot be read at the source"
#: That note.
CANNOT_BE_READ_AT_SOURCE: Final = Phrase("cannot_be_read_at_source", "cannot be read at the source: {cause}")
#: The note of a folder that an earlier pass copied and that the source lists no more.
REMOVED = Phrase(
    "folder_no_longer_at_source", "no longer at the source under this name; what was copied of it stays"
).says()

#: The note on a message that is no longer in its source folder.
DELETED = Phrase(
    "deleted_at_source_after_it_was_copied", "deleted at the source after it was copied; the copy stays"
).says()

#: The note on such a message whose copy was removed too.
DELETED_TOO = Phrase("deleted_too", "deleted at the source after it was copied; its copy was removed too").says()

#: The note on a message that was moved at the source, and its copy with it.
FOLLOWED = Phrase(
    "moved_at_source_after_it_was_copied", "moved at the source after it was copied; its copy was moved too"
).says()


@dataclass(frozen=True, kw_only=True, slots=True)
class Moving:
    """The note of copies that are about to be moved into another destination folder, stored before MOVE is sent.

    Or of messages that are left out of another folder, since their user had taken the copies away: with `uidvalidity`.
    """

    #: The folder that their messages were moved to at the source.
    folder_id: str
    #: UIDNEXT of its destination folder before: the copies have this UID there or a higher one. 0 where they are gone.
    destination_uidnext: int = 0
    #: (Source UID before, destination UID before, source UID now) of each message; the former two are 0 where they are gone.
    messages: tuple[tuple[int, int, int], ...]
    #: UIDVALIDITY of its source folder where messages are left out of it; None where copies are moved into it.
    uidvalidity: int | None = None


#: The beginning of the note on a folder whose user removed it at the destination.
LEFT_ALONE: Final = Phrase(
    "left_alone", "its user removed it at the destination, so what was copied into it does not come again"
).says()


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """A folder of a mailbox, as planned."""

    #: Stable: hash of mailbox and source name.
    folder_id: str
    #: The mailbox that the folder belongs to.
    mailbox_id: str
    #: The source's own name, raw bytes.
    source_name: bytes
    #: The destination's name, raw bytes as sent.
    destination_name: bytes
    #: The name for people: decoded, "/" between levels.
    display: str
    #: UIDVALIDITY of the source folder in the snapshot.
    uidvalidity: int = 0
    #: UIDNEXT of the source folder in the snapshot: every UID below it is accounted for.
    uidnext: int = 1
    #: HIGHESTMODSEQ of the source folder when its flags were last carried over; 0 without CONDSTORE.
    highestmodseq: int = 0
    #: `FolderStatus.object_id` of the source folder; "" where the source tells none.
    object_id: str = ""
    #: Messages that the source folder held in the snapshot.
    source_messages: int = 0
    #: UIDVALIDITY of the destination folder; 0 before it was first selected.
    destination_uidvalidity: int = 0
    #: UIDNEXT of the destination folder when it was first planned: lower UIDs are not ours, unless adopted.
    destination_uidnext: int = 1
    #: Messages that the destination folder held when it was first planned.
    destination_messages: int = 0
    #: The number of plans since the last verification that found another folder than the plan before (another
    #: UIDVALIDITY), at either side.
    remade: int = 0
    #: UIDNEXT of the destination folder when this pass was planned: mail that another writer brings from here on is a
    #: reason to stop. 0 where an older version planned the folder.
    accounted: int = 0
    #: Why the folder was renamed or left out; "" when it was neither.
    note: str = ""
    #: Ids of folders of other imports that are this source folder in this destination folder, under names of an earlier time.
    same_as: frozenset[str] = frozenset()
    #: Why messages of the folder were skipped, and how many, for people; "" when none were.
    skipped: str = ""
    #: Source UIDs below `uidnext` that the source did not show although it counts more messages: each pass looks for
    #: them again. Empty where the source shows what it counts.
    hidden: UidSet = UidSet()
    #: Source UIDs with a copy that are no longer in the source folder, as far as the last pass could tell.
    deleted: UidSet = UidSet()
    #: Source UIDs that are gone since the message was moved at the source, and whose copies were moved too.
    followed: UidSet = UidSet()
    #: Source UIDs that are gone since the message was deleted at the source, and whose copies were removed too. Stored
    #: before the first of them is removed.
    deleted_too: UidSet = UidSet()
    #: Whether another writer's copy was entered in place of ours while both wrote: what the ledger has may be theirs.
    mixed: bool = False
    #: Copies of this folder that are about to be moved into others.
    moving: tuple[Moving, ...] = ()
    #: Source UIDs that were sent again, since their first append was in doubt and they were not found: verification
    #: looks for second copies of these for as long as the folder is known.
    doubts: UidSet = UidSet()
    #: When `doubts` last grew, by the store's clock, seconds since the epoch; 0 before.
    doubted_at: float = 0.0
    #: Source UIDs whose copies were removed at the destination, which an operator accepted: verification does not
    #: report them as missing.
    accepted: UidSet = UidSet()
    #: Source UIDs whose copies went away with a destination folder that its user removed. The ledger has no destination
    #: UIDs of them any more, and they count as removed.
    taken_away: UidSet = UidSet()
    #: Source UIDs of messages that could not be read when copies were looked for in the destination folder: should they be
    #: readable one day, their copies are looked for then.
    unmatched: UidSet = UidSet()
    #: Ledger entries whose messages verification has not yet seen at the destination.
    unchecked: int = 0
    #: Both sides' UIDVALIDITY:UIDNEXT:MESSAGES when the folder was last verified; "" before.
    verified: str = ""

    @property
    def verified_uidnext(self) -> int:
        """UIDNEXT of the destination folder when it was last verified; 0 before."""
        return self._verified_there[1]

    @property
    def was_seen(self) -> bool:
        """Tells whether a verification saw the destination folder, and not only one before it of the same name."""
        return self.destination_uidvalidity != 0 and self._verified_there[0] == self.destination_uidvalidity

    @property
    def _verified_there(self) -> tuple[int, int]:
        """UIDVALIDITY and UIDNEXT of the destination folder when it was last verified; zeros before."""
        numbers = self.verified.rpartition("/")[2].split(":")
        if len(numbers) != 3 or not numbers[1].isdecimal():
            return 0, 0
        return int(numbers[0]) if numbers[0].isdecimal() else 0, int(numbers[1])

    @property
    def left_alone(self) -> bool:
        """Tells whether the user removed the destination folder, and nothing was to be copied into it since."""
        return not self.destination_uidvalidity and (bool(self.taken_away) or LEFT_ALONE in self.note)

    @property
    def gone_at_source(self) -> bool:
        """Tells whether the source did not list the folder in the last pass."""
        return self.note == REMOVED

    @property
    def released(self) -> UidSet:
        """Source UIDs whose copies are no longer looked for in the destination folder.

        A message that is back at the source is looked for again, although its copy was removed.
        """
        return self.accepted | self.followed | (self.deleted_too & self.deleted)

    @property
    def unreadable(self) -> bool:
        """Tells whether the source listed the folder and did not let it be read in the last pass."""
        return self.note.startswith(UNREADABLE)


def short(folder: Folder, tally: Tally) -> str:
    """Says how much of a folder the source shows; "" where it shows all that it counts."""
    if not tally.withheld:
        return ""
    return SHOWS_OF_MESSAGES.says(
        shown_num=f"{folder.source_messages - tally.withheld:,}", num=f"{folder.source_messages:,}"
    )


#: The most ranges of UIDs that are named in a line.
_NAMED_RANGES: Final = 50


def gone(uids: UidSet) -> str:
    """Says which messages are missing. A line names at most `_NAMED_RANGES` ranges; the report names all."""
    if len(uids) == 1:
        uid = uids.low
        return UID_NO_LONGER_AT_DESTINATION.says(uid=uid)
    named = [str(UidSet((part,))) for part in uids.ranges[:_NAMED_RANGES]]
    shown = ", ".join([*named, "…"] if len(uids.ranges) > _NAMED_RANGES else named)
    return UIDS_NO_LONGER_AT_DESTINATION.says(uids=shown)
