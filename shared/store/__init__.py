"""The port to the state store: requests, plans, the ledger, leases, progress. The only truth there is.

Rules that every adapter keeps, and that `tests/contract/test_store.py` checks over Redis and memory alike:

- A method happens wholly or not at all, and may be repeated: when an answer is lost, the same call again changes
  nothing more. So a caller may retry after `StoreError`. What closes a unit (`finish`, `release`, `split`) raises
  `LeaseLost` when it is repeated.
- Whatever takes a `Lease` is fenced by its term: after another claim, reap or reset it raises `LeaseLost` and writes
  nothing. A lane has one lease at a time: what it still holds when it claims again goes back first.
- Refused with `StoreError`, since nobody could mend it later: closing a unit with open intents, or a batch with
  messages that have no outcome; splitting it into parts that do not hold just those; an intent's number used twice.
- The ledger is a bijection: `LedgerConflict` when a destination UID is offered twice.
- Attempts are counted by `claim`. One under which messages got their outcome was none when its lease is taken back.
- Counters of folder, mailbox and import change together: their sums agree at every moment.
- Time is the store's own clock. Clients' clocks are never compared with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.errors import UsageError
from shared.lifecycle import Control, MailboxState
from shared.maildrop import Known
from shared.model import (
    AccountState,
    Audit,
    Failure,
    Folder,
    FolderPlan,
    Import,
    Intent,
    Lease,
    LedgerEntry,
    Mailbox,
    Note,
    Overview,
    Progress,
    Settled,
    Stranded,
    Tally,
    Unit,
    Wait,
)
from shared.model.search import Search
from shared.model.sign_in import LoginTurn
from shared.uids import NO_UIDS, UidSet

#: The four scopes of a connection limit, in the order in which they are asked.
SCOPES = ("source_account", "source_host", "destination_account", "destination_host")

#: Refusals in a row, of a shared login that let others in before, until it counts as refused for all.
MOST_DOUBTS = 3

#: Different logins of one server that are tried before anybody is let in; when all are refused, the others wait for a person.
BRAKE_AFTER = 5

#: How long it is known where shared messages stand, and how long a batch is waited for that brings one.
SHARED_SECONDS, BRINGING_SECONDS = 14 * 86_400, 600

#: A worker that was silent for longer is probably lost: it is heard of every second.
SILENT_SECONDS = 10.0


def process_of(holder: str) -> str:
    """The process that a lane belongs to: what stands before the "/" in its name."""
    return holder.rpartition("/")[0] or holder


def other_options(names: Sequence[str]) -> UsageError:
    """What is raised when an import that is under way is opened with other options: these."""
    return UsageError(
        f"the import is under way with another --{', --'.join(names)}: give the same as before, or wait until it is finished "
        "(mailhaul watch), or end it (mailhaul cancel)"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Resealed:
    """What came of sealing anew."""

    #: How many entries are sealed by the first key now.
    renewed: int = 0
    #: How many no key opens.
    lost: int = 0

    def __add__(self, other: Resealed) -> Resealed:
        return Resealed(renewed=self.renewed + other.renewed, lost=self.lost + other.lost)


class RequestStore(Protocol):
    """What the producer writes and everybody reads."""

    def open_import(self, request: Import, mailboxes: Sequence[Mailbox], retention_days: float) -> int:
        """Writes the request and (some of) its mailboxes. Returns how many were queued: new ones, and settled ones again. Those
        under way are left alone, and while there are any, other options than before raise `UsageError`.
        May be called several times with parts; nothing is finished before `submit`."""

    def submit(self, import_id: str) -> None:
        """The request is whole: from here on it runs, until every mailbox is settled. A new pass, unless one was under
        way."""

    def imports(self) -> list[Import]:
        """All, newest first."""

    def import_(self, import_id: str) -> Import | None:
        """One."""

    def import_tally(self, import_id: str) -> tuple[Tally, dict[MailboxState, int]]:
        """Messages by outcome, and mailboxes by state."""

    def stranded(self, import_id: str) -> Stranded:
        """What waits for a worker that is silent for more than `SILENT_SECONDS`, and will be taken back from it."""

    def waits(self, import_id: str) -> list[Wait]:
        """What it waits for that is over by itself: its hours, holds, full mailboxes (together, until the first is tried)."""

    def set_window(
        self, import_id: str, window: str, opens_at: float = 0, shuts_at: float = 0, *, renew: bool = False
    ) -> bool:
        """The hours in which it may work, "" for all, and the span of them that is now or comes next. Outside of it nothing
        is claimed, and who is at work is told to pause. With `renew` only the span, unless the hours are others by now.
        Whether it was done."""

    def mailboxes(self, import_id: str, start: int = 0, count: int = -1) -> list[tuple[Mailbox, Tally]]:
        """Rows `start` … of the manifest's order; all of them with count -1."""

    def find_mailboxes(self, import_id: str, wanted: Search) -> tuple[int, list[tuple[Mailbox, Tally]]]:
        """How many mailboxes fit, and the page that was asked for."""

    def failure_codes(self, import_id: str) -> dict[str, int]:
        """Codes of the mailboxes' failures, each with how many have it."""

    def mailbox(self, mailbox_id: str) -> Mailbox | None:
        """One."""

    def folders(self, mailbox_id: str) -> list[tuple[Folder, Tally]]:
        """The mailbox's folders in the order of the plan."""

    def notes(self, folder_id: str) -> list[Note]:
        """What a person should know of single messages, by UID."""

    def failures(self, mailbox_id: str) -> list[Failure]:
        """The last failures, newest first."""

    def control(self, import_id: str, mailbox_id: str | None, word: Control) -> int:
        """Pause, resume or cancel; returns how many mailboxes it concerns."""

    def retry(self, import_id: str, mailbox_id: str, batches: Sequence[tuple[Unit, Sequence[Note]]]) -> bool:
        """Queues a parked or cancelled mailbox again, and the given batches of messages that were refused or failed. Of a settled
        mailbox also of messages that the destination no longer shows: they leave the ledger, and are copied anew."""

    def accept_missing(self, import_id: str, mailbox_id: str, folder_id: str, uids: UidSet) -> int:
        """Of these source UIDs of a settled mailbox, those noted as missing are `Folder.accepted` from now on; how many."""

    def seal(self, import_id: str, sealed: Mapping[tuple[str, str], bytes]) -> None:
        """Stores sealed credentials by (mailbox id, side)."""

    def sealed(self, import_id: str, mailbox_id: str, side: str) -> bytes | None:
        """Sealed credentials, or None when they are forgotten."""

    def forget(self, import_id: str) -> bool:
        """Deletes all credentials and tokens of an import now, and what servers said about them; whether there were credentials."""

    def reseal(self, import_id: str, renew: Callable[[bytes], bytes]) -> Resealed:
        """Puts `renew(sealed)` in the place of everything sealed of an import; what was replaced meanwhile is left. What `renew`
        cannot open (`CredentialsError`) is left and counted."""

    def purge(self, seconds: float) -> bool:
        """Has the store write its file anew, so that nothing that was deleted is left in it, and waits so long for that; whether
        that is so. False where this user of Redis may not, or it takes longer."""

    def close(self, import_id: str) -> bool:
        """Forgets an import that is not under way, with all that it knows: requests, ledger, notes, credentials. Nothing else does:
        a ledger lives until a person closes its import. Broken off, the same call goes on. False when there is none; `StoreError`
        while it runs."""

    def set_limit(self, scope: str, most: int | None) -> None:
        """Most connections of a scope ("source_host") or of one key ("source_host:mail.old.example"); None: default.
        So are rates set, by their names in `shared.rates` ("source_account.bytes_per_day")."""

    def limits(self) -> dict[str, int]:
        """What was set."""

    def set_usual(self, limits: Mapping[str, int]) -> None:
        """Most connections that are usual at a server: "source_host:mail.old.example", or for each account there
        "source_account:imaps://mail.old.example:993". Where something is set for all servers too, the lower counts; what
        is set for just this host or account goes before both."""

    def usual(self) -> dict[str, int]:
        """What is usual, by server."""


class WorkStore(Protocol):
    """What workers do under a lease."""

    def claim(self, holder: str, *, prefer: str = "", hint: str = "", held: str = "") -> Lease | None:
        """The fairest unit that may run now: first of mailbox `prefer`, then the unit `hint`, then by what each mailbox
        was given so far. Mailboxes whose accounts or hosts owe something (`shared.rates`) are not copied; the mailbox that
        the holder is at may owe what it can wait for. `held` is the mailbox whose connections this holder keeps; its
        permits are exchanged."""

    def attend(self, worker: str, leases: Sequence[Lease], *, extend: bool) -> list[str]:
        """One word a lease: "run", "pause", "cancel", or "lost". With `extend` the leases are renewed."""

    def leave(self, holder: str, mailbox_id: str) -> None:
        """The holder's connections to this mailbox's accounts are closed."""

    def progress(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        intents: Sequence[Intent] = (),
        withdrawn: Iterable[str] = (),
        doubts: UidSet = NO_UIDS,
    ) -> Progress:
        """Settles groups, withdraws intents of which nothing arrived, notes source UIDs that were not found after their append
        was in doubt (`Folder.doubts`, only ever added to, and when), and writes new intents, in one round trip. When the
        word is not `Control.RUN`, the new intents were not written and nothing may be appended. New intents are charged
        to the rates of the mailbox's accounts and hosts, once however often this is repeated."""

    def finish(self, lease: Lease, records: Sequence[LedgerEntry] = ()) -> None:
        """Closes the unit; what follows it (next batch, verification, end of the import) happens in the same moment.
        `records` may hold the batch's whole ledger entry, merged, to be kept in less room."""

    def follow(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        records: Sequence[LedgerEntry] = (),
        prefer: str = "",
        claim: bool = True,
    ) -> Lease | None:
        """`progress`, `finish` and, with `claim`, the holder's next `claim` in one round trip, each for itself and in this
        order. When one raises, the claim may have been granted all the same: the holder's next claim gives it back."""

    def release(
        self,
        lease: Lease,
        *,
        how: str,
        delay_seconds: float = 0,
        failure: Failure | None = None,
        hold: str = "",
        hold_seconds: float = 0,
        again_seconds: float = 0,
    ) -> None:
        """Gives the unit back. `how`: "again" (the attempt counts), "wait" (it does not), "late" (the same, and another
        mailbox may have the destination meanwhile), "park", "replan". What is parked with `again_seconds` is queued again by
        `reap` when they are over, unless a person acted before."""

    def hold(self, name: str, seconds: float, *, import_id: str, why: str) -> None:
        """A server asked to leave "scope:key" alone for so long, in these words. What was said before is never shortened.
        `release` does the same, with the failure's words."""

    def split(self, lease: Lease, halves: Sequence[tuple[Unit, Sequence[Intent]]]) -> None:
        """Replaces the batch by smaller ones over the UIDs that have no outcome yet."""

    def recheck(self, mailbox_id: str, delay_seconds: float) -> bool:
        """What was sent under a lease that is lost may have arrived after the mailbox was verified: it is planned and
        verified once more, not before `delay_seconds`. False when it has that before it anyway, or nobody can."""

    def plan_folders(self, lease: Lease, plans: Sequence[tuple[FolderPlan, int]]) -> None:
        """Enters planned folders, each with its place in the order and each for itself; its first batch is ready at once."""

    def folder(self, folder_id: str) -> Folder | None:
        """One folder as planned."""

    def ledger(self, folder_id: str) -> list[LedgerEntry]:
        """The folder's ledger, batch by batch."""

    def audit(self, lease: Lease, audits: Sequence[Audit]) -> None:
        """Enters what verification found, folder by folder."""

    def set_flags(self, lease: Lease, folder_id: str, highestmodseq: int, seen: Mapping[str, UidSet] | None) -> None:
        """Flags were carried over up to this mod-sequence; without CONDSTORE: flags (blanks between) → source UIDs."""

    def note_left_out(self, lease: Lease, other_folders: int, public_folders: int) -> None:
        """How many folders of other people and public ones the plan of the mailbox left out."""

    def flags(self, folder_id: str) -> dict[str, UidSet]:
        """What `set_flags` kept last."""

    def maildrop(self, mailbox_id: str) -> Known:
        """The identities that the mailbox's POP3 maildrop has shown so far."""

    def replace_maildrop(self, mailbox_id: str, before: Known, generation: int, digests: bytes) -> Known:
        """As `shared.maildrop.Identities.replace`."""

    def say_maildrop(self, mailbox_id: str, generation: int, said: Mapping[int, bytes]) -> None:
        """As `shared.maildrop.Identities.say`."""

    def share(self, mailbox_id: str, unit_id: str, messages: Sequence[int]) -> list[bytes]:
        """Of each message that several folders show (X-GM-MSGID): what `stand` said of it; b"?" while another batch that
        asked brings it; b"" when it is this batch's to bring, from now on. Forgotten when the
        mailbox is verified, or after `SHARED_SECONDS`."""

    def stand(self, mailbox_id: str, places: Mapping[int, bytes]) -> None:
        """Where copies of these messages stand at the destination; b"": nobody need wait for it any more."""

    def skipped(self, folder_id: str) -> dict[str, UidSet]:
        """Source UIDs of the folder that the request left out, by reason, as planned last."""

    def limits_of(self, mailbox_id: str) -> dict[str, str]:
        """Scope → key of this mailbox, as used in holds: "source_account" → "imaps://…/login"."""


class AccountStore(Protocol):
    """What workers do about accounts at the destination, under the lease of a mailbox's plan."""

    def account_turn(self, lease: Lease, service: str, interval_seconds: float) -> float:
        """Seconds until this mailbox may ask the service, 0 for now. Turns are so far apart for all workers together; one
        that lies ahead is kept for its mailbox, so whoever comes back then is let in."""

    def account_hold(self, service: str, seconds: float) -> None:
        """The service asked to wait: nobody is let in before."""

    def note_account(self, lease: Lease, state: AccountState) -> None:
        """What is now known of the account (`Mailbox.account`), and since when; the same again keeps the time."""


class SignInStore(Protocol):
    """What workers share about signing in. `digest` stands for the credentials and changes with them; `shared` is for a
    login that many mailboxes sign in with, an administrator's, on record for the import's whole side."""

    def login_turn(
        self, import_id: str, mailbox_id: str, side: str, digest: str, holder: str, *, shared: bool, seconds: float
    ) -> LoginTurn:
        """Whether this login may be tried now. What never let anybody in is tried by one holder at a time, for so many
        seconds at most; what was refused, by nobody. Of own logins at a server that let nobody in so far, `BRAKE_AFTER` are
        tried, and when they were refused, no other."""

    def login_told(
        self,
        import_id: str,
        mailbox_id: str,
        side: str,
        digest: str,
        holder: str,
        *,
        shared: bool,
        result: str,
        words: str = "",
    ) -> str:
        """How a try ended: "in", which lets what was stopped at that server go on; "refused" (with the server's words);
        "alone", refused for a reason that says nothing of others' logins; or "unknown". What a refusal means: "refused" (this
        login is not tried again), "one" (a shared login that let others in; after `MOST_DOUBTS` in a row it is refused
        too), or "doubted" (it let in before, and other connections of the account are open: one more try decides)."""

    def forgive_logins(self, import_id: str, mailbox_id: str = "") -> None:
        """The import's shared logins may be tried again, since a person acted, and refusals so far stop no other login (nor do
        they once credentials are sealed anew); or this mailbox's own, since its account
        was not to be had yet. (`retry` says so of a mailbox's own too.)"""

    def token(
        self, import_id: str, name: str, holder: str, *, stale: bytes = b"", seconds: float
    ) -> tuple[bytes, float]:
        """The sealed token of this name, unless it has run out or is `stale`: (sealed, 0). Else (b"", seconds) while
        another fetches one, or (b"", 0): it is this holder's to fetch, and nobody else's for so many seconds."""

    def keep_token(self, import_id: str, name: str, holder: str, sealed: bytes, seconds: float) -> None:
        """What was fetched, and how long it may be used; b"" when none was to be had. The others go on."""


class CoordinationStore(Protocol):
    """What the coordinator does."""

    def lead(self, holder: str, ttl_seconds: float) -> int:
        """Leadership's term, or 0 while somebody else leads."""

    def reap(self, grace_seconds: float) -> list[str]:
        """Takes units back whose lease ran out; wakes what is due; queues parked mailboxes again whose moment has come, and
        so lets a finished import go on. One that a person paused, or whose passwords are gone, stays parked."""

    def processes(self) -> list[str]:
        """Workers, and the coordinator that leads, as far as they were heard of or hold something."""

    def bury(self, processes: Sequence[str]) -> list[str]:
        """These processes are dead for certain: their leases, connections and leadership are void at once. The units that
        went back; intents stay with them. Of one that lives after all nothing is lost: its term is refused."""

    def overview(self) -> Overview:
        """The shared state in numbers."""

    def workers(self) -> int:
        """Worker processes that were heard of lately, as `overview` counts them, which asks for more."""

    def refusing(self) -> str:
        """Why the store takes no writes just now although it answers (its disk is full, it is out of memory, it is a replica), as
        it says; "" when it takes them."""

    def ready_mailboxes(self) -> dict[str, float]:
        """Mailboxes that could be served now, with their place in the queue, which changes when one is given work."""

    def ready_units(self, count: int) -> list[Unit]:
        """Some units that a lane could claim now, for the doorbell."""


class Store(RequestStore, WorkStore, AccountStore, SignInStore, CoordinationStore, Protocol):
    """All of it. `shared.store.redis` is the real one, `shared.store.memory` the model."""
