"""The frozen nouns that both planes agree on. No I/O, no clock, no secrets (those are in `shared.credentials`)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.lifecycle import Control, ImportState, MailboxState, Outcome, UnitState
from shared.uids import Record, UidSet


class Tls(StrEnum):
    """How the connection is protected."""

    #: TLS from the first byte (RFC 8314).
    IMPLICIT = "tls"
    #: Upgraded by STARTTLS before signing in; never without.
    STARTTLS = "starttls"
    #: Plain text: loopback only, unless allowed explicitly.
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where a server is and how it is spoken to."""

    #: "imap" (POP3 comes with another issue).
    protocol: str = "imap"
    #: Host name or address.
    host: str
    #: TCP port.
    port: int
    #: How the connection is protected.
    tls: Tls
    #: CA file to trust instead of the system's; "" for the system's.
    ca_file: str = ""
    #: SHA-256 of the certificate that is accepted whatever it says, hex; "" for none.
    certificate_sha256: str = ""

    @property
    def url(self) -> str:
        """As on the command line: ``imaps://host:993``."""
        scheme = {Tls.IMPLICIT: f"{self.protocol}s", Tls.STARTTLS: f"{self.protocol}+starttls", Tls.NONE: self.protocol}
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme[self.tls]}://{host}:{self.port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """One login at one endpoint."""

    #: Where.
    endpoint: Endpoint
    #: Who, as sent to the server.
    login: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the request asks for beside the list of mailboxes."""

    #: Globs of source folders to take (display names, "/" between levels); empty: all.
    include: tuple[str, ...] = ()
    #: Globs of source folders to leave out.
    exclude: tuple[str, ...] = ()
    #: "default" (ledger, sizes, fingerprints; what was checked is not read again), "anew" (all of it once more) or "full"
    #: (SHA-256 of every message on both sides).
    verify: str = "default"


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """One request and where it stands."""

    #: Stable: the same name, source and destination give the same import.
    import_id: str
    #: What the administrator calls it.
    name: str
    #: Where mail comes from.
    source: Endpoint
    #: Where mail goes to.
    destination: Endpoint
    #: What was asked for.
    options: Options = field(default_factory=Options)
    #: Where it stands.
    state: ImportState = ImportState.OPENING
    #: What a person wants.
    control: Control = Control.RUN
    #: When it was opened, seconds since the epoch.
    created_at: float = 0.0
    #: When it last finished; 0 while it runs.
    finished_at: float = 0.0
    #: When the first batch of this pass was claimed; 0 before.
    first_claim_at: float = 0.0
    #: When the ledger last grew in this pass; 0 before.
    last_record_at: float = 0.0
    #: How many times it was started; 1 is the first pass, later ones are delta passes.
    passes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why something did not go on, in words for a person."""

    #: Stable code of `worker.failures`, e.g. "source_auth_refused".
    code: str
    #: What happened, and where.
    sentence: str
    #: What the server said, verbatim but cleaned; "" when it said nothing.
    detail: str = ""
    #: What to do next.
    advice: str = ""
    #: When, seconds since the epoch.
    at: float = 0.0
    #: Folder display name; "" when it concerns the whole mailbox.
    folder: str = ""
    #: How often it happened in a row.
    times: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Mailbox:
    """One row of the manifest and where it stands."""

    #: Stable within the import: see `mailbox_id`.
    mailbox_id: str
    #: The import it belongs to.
    import_id: str
    #: Line in the manifest, counted from 1.
    row: int
    #: Where its mail comes from.
    source: Account
    #: Where its mail goes to.
    destination: Account
    #: Where it stands.
    state: MailboxState = MailboxState.QUEUED
    #: What a person wants.
    control: Control = Control.RUN
    #: Why it is parked, or what last went wrong.
    failure: Failure | None = None


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
    #: Why it was renamed or left out; "" when neither.
    note: str = ""
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


class UnitKind(StrEnum):
    """What a worker may claim."""

    PLAN = "plan"
    COPY = "copy"
    VERIFY = "verify"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """What a worker may claim: a mailbox's plan, one batch, or a mailbox's verification."""

    #: Stable: planning twice makes the same ids.
    unit_id: str
    #: What it is.
    kind: UnitKind
    #: The mailbox.
    mailbox_id: str
    #: The folder of a batch; "" for the others.
    folder_id: str = ""
    #: A batch's source UIDs, under `Folder.uidvalidity`.
    uids: UidSet = UidSet()
    #: Bytes of a batch, as the source says.
    size_bytes: int = 0
    #: Where it stands.
    state: UnitState = UnitState.WAITING
    #: How often it was claimed without being finished; throttles and pauses do not count.
    attempts: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What is about to be appended, written down before a byte is sent."""

    #: Number within the unit's term, ascending.
    intent_id: str
    #: Source UIDs of the group.
    uids: UidSet
    #: UIDVALIDITY of the destination folder.
    destination_uidvalidity: int
    #: UIDNEXT of the destination folder: copies of this group have this UID or a higher one.
    destination_uidnext: int
    #: When it was written, by the store's clock, seconds since the epoch.
    at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A message that is not simply copied: refused, failed, vanished, skipped, altered, or short of a keyword."""

    #: UID at the source.
    uid: int
    #: An `Outcome`, or "altered", "keywords_lost", "missing", "date_clamped".
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
class Lease:
    """The time-bounded right to work on one unit."""

    #: The unit, as it stood when claimed.
    unit: Unit
    #: Who holds it: worker process and lane.
    holder: str
    #: Grows with every claim; a script refuses an older one.
    term: int
    #: By the local monotonic clock, seconds: nothing may be begun after this.
    deadline: float
    #: When it was claimed, by the store's clock, seconds since the epoch.
    claimed_at: float = 0.0
    #: The mailbox, as it stood when claimed.
    mailbox: Mailbox
    #: The folder of a batch.
    folder: Folder | None = None
    #: What the ledger has of this batch already.
    records: tuple[Record, ...] = ()
    #: Source UIDs of this batch with another outcome.
    others: UidSet = UidSet()
    #: Digest of the batch so far.
    digest: int = 0
    #: Intents that an earlier holder left behind: look before you append.
    intents: tuple[Intent, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderPlan:
    """One folder as it enters the store: its new snapshot and what there is to do."""

    #: The folder with the snapshot's numbers.
    folder: Folder
    #: Batches of UIDs that have no outcome yet.
    batches: tuple[Unit, ...] = ()
    #: Messages that the snapshot adds.
    messages: int = 0
    #: Their bytes.
    size_bytes: int = 0
    #: What was found at the destination already.
    adopted: tuple[Settled, ...] = ()
    #: The ledger so far is void (UIDVALIDITY changed on a side): forget it, and its counts.
    reset: bool = False


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
    #: Messages that the destination holds altered.
    altered: int = 0
    #: Messages of the ledger that the destination does not show.
    missing: int = 0
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


def _digest(*parts: str | bytes) -> str:
    text = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def import_id(name: str, source: Endpoint, destination: Endpoint) -> str:
    """The same request always gets the same id: running it again goes on with it."""
    return _digest("import", name, source.url, destination.url)


def mailbox_id(import_: str, source_login: str, destination_login: str) -> str:
    """The same row always gets the same id."""
    return _digest("mailbox", import_, source_login, destination_login)


def folder_id(mailbox: str, source_name: bytes) -> str:
    """The same folder always gets the same id."""
    return _digest("folder", mailbox, source_name)


def batch_id(folder: str, uidvalidity: int, uids: UidSet) -> str:
    """Planning the same UIDs twice makes the same batch."""
    return _digest("batch", folder, str(uidvalidity), str(uids))


def part_id(unit: str, uids: UidSet) -> str:
    """A batch made out of another one: a half of it, or messages of a folder that are tried again."""
    return _digest("part", unit, str(uids))


def route_id(source: Endpoint, destination: Endpoint) -> str:
    """Mailboxes between the same two servers share their limits and their queue."""
    return _digest("route", source.url, destination.url)
