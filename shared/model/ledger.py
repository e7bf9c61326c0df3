"""What became of messages: outcomes, ledger entries, audits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from shared.lifecycle import Outcome
from shared.uids import Record, UidSet

#: What a note says → the counter of messages that have it.
COUNTED: Final = {
    "altered": "altered",
    "normalised": "normalised",
    "watched": "watched",
    "keywords_lost": "keywords_lost",
    "date_clamped": "dates_changed",
    "date_unusable": "dates_changed",
}
#: What verification finds anew each time that it reads a folder.
AUDITED: Final = ("altered", "normalised", "missing", "watched", "doubled")


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A message that is not simply copied: refused, failed, vanished, skipped, altered, or short of a keyword."""

    #: UID at the source.
    uid: int
    #: An `Outcome`, one of `COUNTED` or `AUDITED`, "odd", "undone" (a second copy was removed), or "accepted" (it was removed
    #: at the destination, by a person's will).
    what: str
    #: Why, in words for a person.
    reason: str
    #: Message-ID; "" when unknown.
    message_id: str = ""
    #: INTERNALDATE, seconds since the epoch; None when unknown.
    internaldate: int | None = None
    #: Size in bytes; -1 when unknown.
    size_bytes: int = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What became of one group: goes into the ledger in one piece and clears its intent."""

    #: The intent that this clears; "" for messages that had none (skipped, vanished, adopted).
    intent_id: str = ""
    #: What was copied (or found): source and destination UIDs.
    records: tuple[Record, ...] = ()
    #: Outcome of the records: copied or already_present.
    outcome: Outcome = Outcome.COPIED
    #: Source UIDs that got an outcome without a copy, by outcome.
    others: Mapping[Outcome, UidSet] = field(default_factory=dict)
    #: Bytes that this group closes.
    size_bytes: int = 0
    #: Sum of `shared.fingerprint.mark` over the records, modulo its MODULUS.
    digest: int = 0
    #: What a person should know of single messages.
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerEntry:
    """One batch's part of a folder's ledger."""

    #: The batch, or "adopted.<uidnext>".
    name: str
    #: What became what.
    records: tuple[Record, ...]
    #: Sum of the marks.
    digest: int
    #: The destination was read back after the last record and showed just this.
    checked: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """What verification found in one folder."""

    #: The folder.
    folder_id: str
    #: What `Folder.verified` shall be.
    verified: str
    #: Ledger entries whose digest is now known better, by name.
    digests: Mapping[str, int] = field(default_factory=dict)
    #: Names of ledger entries that the destination was seen to hold as they stand.
    checked: tuple[str, ...] = ()
    #: Messages of which the destination holds other content.
    altered: int = 0
    #: Messages of which the destination changed the form only.
    normalised: int = 0
    #: Messages that are still to be read back whole.
    watched: int = 0
    #: Messages of the ledger that the destination does not show.
    missing: int = 0
    #: Messages that may stand twice at the destination.
    doubled: int = 0
    #: What a person should know of single messages; of what is `AUDITED`, all there is to say of the folder.
    notes: tuple[Note, ...] = ()
