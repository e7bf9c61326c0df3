"""The nouns of a request: endpoints, accounts, imports and their mailboxes."""

from __future__ import annotations

from dataclasses import field, replace
from enum import StrEnum
from typing import Final

from shared.model.accounts import AccountState, Profile
from shared.model.choices import DeletionsChoice, LabelMode, MoveChoice, SharedFolders, Verification
from shared.model.lifecycle import Control, ImportState, MailboxState
from shared.model.sign_in import SignIn
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

ANSWER_OF_ACCOUNT_SERVICE_FORGOTTEN: Final = Phrase(
    "answer_of_account_service_forgotten", "destination: what the account service said is forgotten"
)


class Tls(StrEnum):
    """The protection of a connection."""

    #: TLS from the first byte (RFC 8314).
    IMPLICIT = "tls"
    #: Upgraded by STARTTLS before signing in; without the upgrade there is no sign-in.
    STARTTLS = "starttls"
    #: Plain text: loopback only, unless allowed explicitly.
    NONE = "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A server, and how to connect to it."""

    #: The name of a `MailProtocol` (`shared.model.protocols`).
    protocol: str = "imap"
    #: Host name or address.
    host: str
    #: TCP port.
    port: int
    #: The protection of the connection.
    tls: Tls
    #: CA file to trust instead of the system's; "" for the system's.
    ca_file: str = ""
    #: SHA-256 (hex) of the one certificate that is accepted, whatever its contents; "" for none.
    certificate_sha256: str = ""
    #: Whether the endpoint came from outside, through page or API: then workers connect only to what `shared.sign_in.reach`
    #: allows.
    guarded: bool = False

    @property
    def url(self) -> str:
        """Returns the URL as on the command line, ``imaps://host:993``; for `BY_ROW` only a word."""
        if not self.host:
            return "by row"
        scheme = {Tls.IMPLICIT: f"{self.protocol}s", Tls.STARTTLS: f"{self.protocol}+starttls", Tls.NONE: self.protocol}
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme[self.tls]}://{host}:{self.port}"


#: The source of an import whose rows each name a server. Nothing connects to it.
BY_ROW: Final = Endpoint(host="", port=0, tls=Tls.IMPLICIT)


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A login at an endpoint."""

    #: The endpoint.
    endpoint: Endpoint
    #: The login as sent to the server.
    login: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The options of a request, beside its list of mailboxes."""

    #: Globs of source folders to take (display names, "/" between levels); empty: all.
    include: tuple[str, ...] = ()
    #: Globs of source folders to leave out.
    exclude: tuple[str, ...] = ()
    #: Special uses whose folders are left out, with all below them: "junk", "trash", "drafts" …
    skip_special: tuple[str, ...] = ()
    #: The treatment of folders of other people and of public folders (RFC 2342).
    shared_folders: SharedFolders = SharedFolders.LEAVE
    #: The destination's folder below which everything is put ("/" between levels); "" for none.
    into: str = ""
    #: Source folder → destination folder, both as displayed; goes before every other rule.
    folder_map: tuple[tuple[str, str], ...] = ()
    #: Only messages whose INTERNALDATE is not before this, seconds since the epoch; None: from the beginning.
    since: int | None = None
    #: Only messages whose INTERNALDATE is before this, seconds since the epoch; None: until now.
    before: int | None = None
    #: Only messages of more bytes than this (RFC822.SIZE).
    larger: int | None = None
    #: Only messages of fewer bytes than this.
    smaller: int | None = None
    #: Only messages that are not \\Seen.
    unseen: bool = False
    #: Only messages that are \\Flagged.
    flagged: bool = False
    #: Only messages that are not \\Deleted.
    not_deleted: bool = False
    #: Within a folder the newest messages are copied first.
    newest_first: bool = False
    #: The treatment of Gmail's messages that several labels show.
    gmail_labels: LabelMode = LabelMode.FOLDERS
    #: The treatment of messages that were moved or renamed at the source.
    moves: MoveChoice = MoveChoice.FOLLOW
    #: The treatment of messages that were deleted at the source.
    deletions: DeletionsChoice = DeletionsChoice.TELL
    #: The most copies of a mailbox that one pass removes; with more it removes none.
    deletions_cap: int = 100
    #: The depth of the verification.
    verify: Verification = Verification.DEFAULT
    #: The service that makes the accounts at the destination, as given to `--accounts`; "" when they exist.
    accounts: str = ""
    #: Whether several sources may go into one destination mailbox, one after the other.
    share_destination: bool = False
    #: Whether logins that differ only in capitals are different ones.
    case_sensitive_logins: bool = False
    #: Whether source and destination may be the same mailbox, or look as if they were given the wrong way round.
    same_mailbox: bool = False
    #: The import whose copies this one brings back after a rollback: only what came to its source since the switch is
    #: copied, into the folders that its folders were made from. "" for every other import.
    returns: str = ""
    #: The way to sign in to the source, where a row gives no password of its own.
    source_sign_in: SignIn = SignIn()
    #: The way to sign in to the destination, where a row gives no password of its own.
    destination_sign_in: SignIn = SignIn()


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """A request, and its state."""

    #: Stable: the same name, source and destination give the same import.
    import_id: str
    #: The name that the administrator gave it.
    name: str
    #: The server that mail comes from.
    source: Endpoint
    #: The server that mail goes to.
    destination: Endpoint
    #: The request's options.
    options: Options = field(default_factory=Options)
    #: Its state.
    state: ImportState = ImportState.OPENING
    #: The operator's wish.
    control: Control = Control.RUN
    #: When it was opened, seconds since the epoch.
    created_at: float = 0.0
    #: When it last finished; 0 while it runs.
    finished_at: float = 0.0
    #: When the first batch of this pass was claimed; 0 before.
    first_claim_at: float = 0.0
    #: When the ledger last grew in this pass; 0 before.
    last_record_at: float = 0.0
    #: The number of its passes; 1 is the first pass, later ones are delta passes.
    passes: int = 0
    #: The hours in which the import may work, as a person gave them (`shared.rules.hours`); "" for all.
    window: str = ""
    #: The beginning of the time window that is open now or opens next, seconds since the epoch; outside of it nothing
    #: is claimed.
    opens_at: float = 0.0
    #: The end of that time window.
    shuts_at: float = 0.0
    #: When a person put it into the archive, seconds since the epoch; 0 where it is not there.
    archived_at: float = 0.0

    @property
    def archived(self) -> bool:
        """Tells whether lists leave it out. What runs again stands in them, until it is finished."""
        return self.archived_at > 0 and self.state is not ImportState.RUNNING


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """The reason why something did not go on, in words for a person."""

    #: Stable code of `worker.decisions.failures`, e.g. "source_auth_refused".
    code: str
    #: The event and its place, in a sentence.
    sentence: str
    #: The server's words, verbatim but cleaned; "" when it said nothing.
    detail: str = ""
    #: The advice on what to do next.
    advice: str = ""
    #: When it happened, seconds since the epoch.
    at: float = 0.0
    #: Folder display name; "" when it concerns the whole mailbox.
    folder: str = ""
    #: The number of times it happened in a row.
    times: int = 1
    #: When the first of these failures in a row happened, seconds since the epoch; 0 where that was not recorded.
    since: float = 0.0
    #: When the next retry is due, seconds since the epoch; 0: not before a person acts, or at once.
    next_at: float = 0.0
    #: Room that is missing for the messages still to be copied, bytes; 0 where that is not known, or is not the
    #: trouble.
    missing_bytes: int = 0

    def without_words(self) -> Failure:
        """Returns the failure without the words of a server or an account service."""
        by_service = self.code.startswith("account_")
        sentence = ANSWER_OF_ACCOUNT_SERVICE_FORGOTTEN.says() if by_service else self.sentence
        return replace(self, detail="", sentence=sentence)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mailbox:
    """A row of the manifest, and its state."""

    #: Stable within the import: see `mailbox_id`.
    mailbox_id: str
    #: The import it belongs to.
    import_id: str
    #: Line in the manifest, counted from 1.
    row: int
    #: The account that its mail comes from.
    source: Account
    #: The account that its mail goes to.
    destination: Account
    #: Its state.
    state: MailboxState = MailboxState.QUEUED
    #: The operator's wish.
    control: Control = Control.RUN
    #: The reason why it is parked, or its last trouble.
    failure: Failure | None = None
    #: The wave that it belongs to; "" for none.
    wave: str = ""
    #: Whether a rule gave the wave, and not the row: then only a mailbox that is new in the store is put there. The store
    #: does not keep it.
    wave_by_rule: bool = False
    #: Within its wave the mailboxes of a higher priority are served first.
    priority: int = 0
    #: The people whom it is counted with, as a department; "" for none.
    group: str = ""
    #: The person for whom an account at the destination is made.
    profile: Profile = Profile()
    #: The known state of that account.
    account: AccountState = AccountState.UNKNOWN
    #: Since when the account has that state, by the store's clock, seconds since the epoch.
    account_at: float = 0.0
    #: When a parked mailbox is tried again by itself, seconds since the epoch; 0: a person has to act.
    again_at: float = 0.0
    #: Folders of other people that its last plan left out.
    other_folders: int = 0
    #: Public folders that its last plan left out.
    public_folders: int = 0
    #: Since when it makes progress again after `failure`, by the store's clock, seconds since the epoch; 0: it does
    #: not.
    over_at: float = 0.0
    #: The holder of the destination mailbox while this one waits for it: "import NAME", or "row N" of the same import;
    #: "" for none.
    behind: str = ""
    #: Messages that were read back on both sides and compared byte by byte in this pass.
    compared: int = 0
    #: Digests, 4 bytes each, of what the source listed at the last plan and what is no planned folder
    #: (`shared.rules.standing.digest`).
    unplanned: bytes = b""
    #: When its last pass was claimed to be planned, by the store's clock, seconds since the epoch.
    planned_at: float = 0.0
    #: Whether its pass follows a look, and no person's act.
    after_look: bool = False
    #: When its last pass or look ended, by the store's clock, seconds since the epoch; 0 before the first.
    looked_at: float = 0.0
    #: The latest moment of which all mail of the source is at the destination: the plan of the last pass that ended, or the
    #: beginning of a look that found nothing new; seconds since the epoch, 0 before the first pass ended.
    synced_at: float = 0.0
    #: When a pass last brought new mail, seconds since the epoch; 0 before the first.
    mail_at: float = 0.0
    #: When it is looked at next, or since when its look is due, seconds since the epoch; 0 where it does not stand.
    look_at: float = 0.0
