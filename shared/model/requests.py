"""What is asked for: endpoints, accounts, imports and their mailboxes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from shared.lifecycle import Control, ImportState, MailboxState
from shared.model.accounts import AccountState, Profile
from shared.model.sign_in import SignIn


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

    #: "imap" or, only at the source, "pop3".
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
    #: Whether it was named by a stranger, through page or API: then only what `shared.reach` allows is connected to.
    guarded: bool = False

    @property
    def url(self) -> str:
        """As on the command line: ``imaps://host:993``; of `BY_ROW` only a word."""
        if not self.host:
            return "by row"
        scheme = {Tls.IMPLICIT: f"{self.protocol}s", Tls.STARTTLS: f"{self.protocol}+starttls", Tls.NONE: self.protocol}
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme[self.tls]}://{host}:{self.port}"


#: The source of an import whose rows name a server each. Nobody connects to it.
BY_ROW: Final = Endpoint(host="", port=0, tls=Tls.IMPLICIT)


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
    #: Special uses whose folders are left out, with all below them: "junk", "trash", "drafts" …
    skip_special: tuple[str, ...] = ()
    #: "copy": folders of other people and public folders are taken too; "leave": they are left out (RFC 2342).
    shared_folders: str = "leave"
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
    #: Where Gmail's messages go that several labels show: see `shared.gmail.LabelMode`.
    gmail_labels: str = "folders"
    #: "default" (ledger, sizes, fingerprints; what was checked is not read again), "anew" (all of it once more) or "full"
    #: (SHA-256 of every message on both sides).
    verify: str = "default"
    #: What makes the accounts at the destination, as given to `--accounts`; "" when they are there.
    accounts: str = ""
    #: Whether several sources may go into one destination mailbox, one after the other.
    share_destination: bool = False
    #: Whether logins that differ only in capitals are different ones.
    case_sensitive_logins: bool = False
    #: Whether source and destination may be the same mailbox, or look as if they were given the wrong way round.
    same_mailbox: bool = False
    #: How the source is signed in to, where a row gives no password of its own.
    source_sign_in: SignIn = SignIn()
    #: The same of the destination.
    destination_sign_in: SignIn = SignIn()


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
    #: The hours in which it may work, as a person gave them (`shared.hours`); "" for all.
    window: str = ""
    #: The span of these hours that is now or comes next, seconds since the epoch; outside of it nothing is claimed.
    opens_at: float = 0.0
    #: Its end.
    shuts_at: float = 0.0


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
    #: When the first of these failures in a row happened, seconds since the epoch; 0 where that was not written down.
    since: float = 0.0
    #: When it is tried again by itself, seconds since the epoch; 0: not before a person acts, or at once.
    next_at: float = 0.0
    #: Room that is missing for what is still to be copied, bytes; 0 where that is not known, or not what is wrong.
    missing_bytes: int = 0

    def without_words(self) -> Failure:
        """The same without what a server, or an account service, said."""
        by_service = self.code.startswith("account_")
        sentence = "destination: what the account service said is forgotten" if by_service else self.sentence
        return replace(self, detail="", sentence=sentence)


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
    #: Whom an account at the destination is made for.
    profile: Profile = Profile()
    #: What is known of that account.
    account: AccountState = AccountState.UNKNOWN
    #: Since when, by the store's clock, seconds since the epoch.
    account_at: float = 0.0
    #: When a parked mailbox is tried again by itself, seconds since the epoch; 0: a person has to act.
    again_at: float = 0.0
    #: Folders of other people that its last plan left out.
    other_folders: int = 0
    #: Public folders that its last plan left out.
    public_folders: int = 0
    #: Since when it gets on again after `failure`, by the store's clock, seconds since the epoch; 0: it does not.
    over_at: float = 0.0
    #: Who has the destination mailbox while this one waits for it: "import NAME", or "row N" of the same import; "" for nobody.
    behind: str = ""
