"""The outcomes of messages: ledger entries, notes, audits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from shared.model.lifecycle import Outcome
from shared.model.uids import Record, UidSet
from shared.nouns import dataclass

#: The kind of a note → the counter of messages that have it.
COUNTED: Final = {
    "altered": "altered",
    "normalised": "normalised",
    "watched": "watched",
    "keywords_lost": "keywords_lost",
    "resized": "resized",
    "date_clamped": "dates_changed",
    "date_unusable": "dates_changed",
    "moved": "moved",
    "removed": "removed",
}
#: The kinds of notes that verification finds anew each time it reads a folder.
AUDITED: Final = ("altered", "normalised", "missing", "watched", "doubled", "moved", "removed")
#: The kinds of these that tell of a copy which is no longer where it was put; only "missing" is a fault.
GONE: Final = ("missing", "moved", "removed")


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A message that is not simply copied: refused, failed, vanished, skipped, altered, or short of a keyword."""

    #: UID at the source.
    uid: int
    #: An `Outcome`, one of `COUNTED` or `AUDITED`, "odd", "undone" (a second copy was removed), or "accepted" (the copy
    #: was removed at the destination, which an operator accepted).
    what: str
    #: The reason, in words for a person.
    reason: str
    #: Message-ID; "" when unknown.
    message_id: str = ""
    #: INTERNALDATE, seconds since the epoch; None when unknown.
    internaldate: int | None = None
    #: Size in bytes; -1 when unknown.
    size_bytes: int = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """The outcomes of a group. They enter the ledger in one step, which also clears the group's intent."""

    #: The intent that is cleared; "" for messages that had none (skipped, vanished, adopted).
    intent_id: str = ""
    #: The messages that were copied (or found): source and destination UIDs.
    records: tuple[Record, ...] = ()
    #: Outcome of the records: copied or already_present.
    outcome: Outcome = Outcome.COPIED
    #: Source UIDs that got an outcome without a copy, by outcome.
    others: Mapping[Outcome, UidSet] = field(default_factory=dict)
    #: Bytes of the messages that got their outcome here.
    size_bytes: int = 0
    #: Sum of `shared.content.fingerprint.mark` over the records, modulo its MODULUS.
    digest: int = 0
    #: Notes on single messages.
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerEntry:
    """A batch's part of a folder's ledger."""

    #: The batch, "adopted.<uidnext>", or "followed.<uidnext>" for copies that were moved with their messages.
    name: str
    #: Source UIDs and the destination UIDs that they became.
    records: tuple[Record, ...]
    #: Sum of the messages' marks.
    digest: int
    #: Whether the destination was read back after the last record and showed exactly these messages.
    checked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """The findings of a verification in one folder."""

    #: The folder.
    folder_id: str
    #: The new value of `Folder.verified`.
    verified: str
    #: Corrected digests of ledger entries, by name.
    digests: Mapping[str, int] = field(default_factory=dict)
    #: Names of ledger entries whose messages were seen at the destination as they stand.
    checked: tuple[str, ...] = ()
    #: Messages whose content at the destination differs.
    altered: int = 0
    #: Messages whose form only was changed by the destination.
    normalised: int = 0
    #: Messages that are still to be read back whole.
    watched: int = 0
    #: Messages of the ledger that the destination lost, as far as can be told.
    missing: int = 0
    #: Messages whose copies their user moved at the destination.
    moved: int = 0
    #: Messages whose copies their user removed at the destination.
    removed: int = 0
    #: Messages that may stand twice at the destination.
    doubled: int = 0
    #: Notes on single messages; those of kinds in `AUDITED` replace all earlier ones of the folder, others are added.
    notes: tuple[Note, ...] = ()
