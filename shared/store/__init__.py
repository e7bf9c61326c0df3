"""The port to the state store: requests, plans, the ledger, leases, progress. All shared state is kept there.

Rules that every adapter keeps, and that `tests/contract/test_store.py` checks over Redis and memory alike:

- A method happens wholly or not at all, and may be repeated: after a lost answer the same call changes nothing more. So
  a caller may retry after `StoreError`. The methods that close a unit (`finish`, `release`, `split`) raise `LeaseLost`
  when they are repeated.
- Every method that takes a `Lease` is fenced by the lease's term: after another claim, reap or reset it raises
  `LeaseLost` and writes nothing. A lane has one lease at a time: a lease that it still holds when it claims again goes
  back first.
- The store refuses with `StoreError` what could not be repaired later: closing a unit with open intents, or a batch
  with messages that have no outcome; splitting a batch into parts that do not hold just those messages; using the
  number of an intent twice.
- The ledger is a bijection: a destination UID that is offered twice raises `LedgerConflict`.
- `claim` counts the attempts. When a lease is taken back, an attempt under which messages got their outcome is not
  counted.
- The counters of folder, mailbox and import change together: their sums agree at every moment.
- Time is the store's own clock. Clients' clocks are never compared with each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.content.maildrop import Known
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
    Moving,
    Note,
    Overview,
    ProgressReply,
    Settled,
    Stranded,
    Tally,
    Unit,
    Wait,
    Wave,
)
from shared.model.errors import UsageError
from shared.model.lifecycle import Control, Disposition, MailboxState, Wish
from shared.model.search import Search
from shared.model.sign_in import LoginTurn
from shared.model.uids import NO_UIDS, UidSet
from shared.store.ports.cutover_store import CutoverStore
from shared.store.ports.looks import LookStore
from shared.store.ports.marks import MarkStore
from shared.store.ports.outbox import ForecastStore, NoticeStore

#: The four scopes of a connection limit, in the order in which they are asked.
SCOPES = ("source_account", "source_host", "destination_account", "destination_host")

#: The number of refusals in a row after which a shared login that let others in before counts as refused for all.
MOST_DOUBTS = 3

#: The number of different logins at one server that are tried before any is let in; when all of them are refused, the
#: others wait for an operator.
BRAKE_AFTER = 5

#: How long the store keeps where shared messages stand, and how long a lane waits for the batch that brings one,
#: seconds.
SHARED_SECONDS, BRINGING_SECONDS = 14 * 86_400, 600

#: A worker that was silent for longer, in seconds, is probably lost: each worker sends a heartbeat every second.
SILENT_SECONDS = 10.0


def process_of(holder: str) -> str:
    """Returns the process that a lane belongs to: the part of the lane's name before the last "/"."""
    return holder.rpartition("/")[0] or holder


def other_options(names: Sequence[str]) -> UsageError:
    """Returns the error for opening an import that is under way with other options; `names` are these options."""
    return UsageError(
        f"the import is under way with another --{', --'.join(names)}: give the same as before, or wait until it is finished "
        "(mailhaul watch), or end it (mailhaul cancel)"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Resealed:
    """The result of sealing anew."""

    #: How many entries are sealed by the first key now.
    renewed: int = 0
    #: How many no key opens.
    lost: int = 0

    def __add__(self, other: Resealed) -> Resealed:
        return Resealed(renewed=self.renewed + other.renewed, lost=self.lost + other.lost)


class RequestStore(Protocol):
    """The methods with which the producer writes requests, and with which every process reads them."""

    def open_import(self, import_: Import, mailboxes: Sequence[Mailbox], retention_days: float) -> int:
        """Writes the request and (some of) its mailboxes.

        Returns how many it queued: new mailboxes, and settled ones again. Mailboxes under way are left alone; while
        there are any, options that differ from before raise `UsageError`. The producer may call it several times with
        parts of the list. Before `submit` no queued mailbox is served, and the import does not finish.
        """

    def submit(self, import_id: str) -> None:
        """Marks the request as complete: the import runs from here on, until every mailbox is settled.

        Begins a new pass, unless one was under way.
        """

    def imports(self) -> list[Import]:
        """Returns all imports, newest first."""

    def import_(self, import_id: str) -> Import | None:
        """Returns the import, or None if there is none with this id."""

    def import_tally(self, import_id: str) -> tuple[Tally, dict[MailboxState, int]]:
        """Returns the messages counted by outcome, and the number of mailboxes in each state."""

    def stranded(self, import_id: str) -> Stranded:
        """Counts the units that wait for a worker that sent no heartbeat for `SILENT_SECONDS`.

        The coordinator will take them back from it.
        """

    def waits(self, import_id: str) -> list[Wait]:
        """Returns what the import waits for without having failed.

        These are its hours, holds, and destination mailboxes that another mailbox has. Mail that may still arrive is
        one entry, until the last of it is given up. Full mailboxes are one entry, until the first is tried again.
        """

    def set_window(
        self,
        import_id: str,
        window: str,
        opens_at: float = 0,
        shuts_at: float = 0,
        *,
        renew: bool = False,
        wave: str = "",
    ) -> bool:
        """Sets the hours in which the import, or a wave of it, may work ("" for all).

        `opens_at` and `shuts_at` are the time window that is open now or opens next.

        Outside of it nothing is claimed, and lanes at work are told to pause. With `renew` it sets only the time
        window, and only if the hours are still the same. Returns whether it was done.
        """

    def mailboxes(self, import_id: str, start: int = 0, count: int = -1) -> list[tuple[Mailbox, Tally]]:
        """Returns `count` mailboxes from `start` on, in the manifest's order; with count -1, all from there on."""

    def find_mailboxes(self, import_id: str, wanted: Search) -> tuple[int, list[tuple[Mailbox, Tally]]]:
        """Returns how many mailboxes match the search, and the page of them that was asked for."""

    def failure_codes(self, import_id: str) -> dict[str, int]:
        """Returns the codes of the mailboxes' failures, each with the number of mailboxes that have it."""

    def mailbox(self, mailbox_id: str) -> Mailbox | None:
        """Returns the mailbox, or None if there is none with this id."""

    def folders(self, mailbox_id: str) -> list[tuple[Folder, Tally]]:
        """Returns the mailbox's folders in the order of the plan."""

    def notes(self, folder_id: str) -> list[Note]:
        """Returns the notes on single messages of the folder, by UID."""

    def failures(self, mailbox_id: str) -> list[Failure]:
        """Returns the mailbox's last failures, newest first."""

    def waves(self, import_id: str) -> list[Wave]:
        """Returns the import's waves, by their order, else as they appeared.

        What is without a wave stands there as "", without numbers, where its weight or its order is set.
        """

    def set_wave(
        self,
        import_id: str,
        name: str,
        *,
        starts_at: float | None = None,
        weight: int | None = None,
        order: int | None = None,
    ) -> bool:
        """Sets what is given of a wave, and makes it where it is not there; "" stands for the mailboxes without one.

        Before `starts_at` (seconds since the epoch; 0: at once) none of its mailboxes is claimed, and lanes at work are
        told to pause. Returns False when there is no such import.
        """

    def move(self, import_id: str, mailbox_id: str, *, wave: str | None = None, priority: int | None = None) -> bool:
        """Moves a mailbox into another wave ("" for none), and sets its priority.

        Where it may be served then, and no lane is at it, the next free lane takes it. When none is free, `attend` tells
        one to pause. Returns False when there is no such mailbox.
        """

    def control(self, import_id: str, mailbox_id: str | None, word: Control, *, wave: str = "") -> int:
        """Pauses, resumes or cancels one mailbox, or with None the whole import or one wave.

        A wave has a word of its own: it is paused while the import runs, and stays so when the import is resumed. A
        mailbox that is moved out of it is not.

        Returns how many mailboxes that concerns.
        """

    def retry(self, import_id: str, mailbox_id: str, batches: Sequence[tuple[Unit, Sequence[Note]]]) -> bool:
        """Queues a settled mailbox again, and the given batches of messages that were refused or failed.

        For a settled mailbox the batches may also hold messages that the destination no longer shows: these leave the
        ledger, and are copied anew. Returns False when there was nothing to queue.
        """

    def accept_missing(self, import_id: str, mailbox_id: str, folder_id: str, uids: UidSet) -> int:
        """Accepts for the operator that messages of a settled mailbox stay missing.

        Those of `uids` that are noted as missing move to `Folder.accepted`. Returns how many did.
        """

    def seal(self, import_id: str, sealed: Mapping[tuple[str, str], bytes]) -> None:
        """Stores sealed credentials by (mailbox id, side)."""

    def sealed(self, import_id: str, mailbox_id: str, side: str) -> bytes | None:
        """Returns the sealed credentials, or None when they are forgotten."""

    def forget(self, import_id: str) -> bool:
        """Deletes all credentials and tokens of an import now, and what servers said about them; whether there were credentials."""

    def reseal(self, import_id: str, renew: Callable[[bytes], bytes]) -> Resealed:
        """Puts `renew(sealed)` in the place of everything sealed of an import; what was replaced meanwhile is left.

        What `renew` cannot open (`CredentialsError`) is left and counted.
        """

    def purge(self, seconds: float) -> bool:
        """Has the store write its file anew, so that nothing that was deleted is left in it.

        It waits for that for `seconds` at most, and returns whether the file is written anew. It returns False where
        this user of Redis may not, or it takes longer.
        """

    def close(self, import_id: str) -> bool:
        """Forgets an import that is not under way, with all that the store has of it.

        That is its request, ledger, notes and credentials. Nothing else does this: a ledger lives until an operator
        closes its import. When a call broke off, the same call completes it. Returns False when there is no such
        import. Raises `StoreError` while the import runs.
        """

    def erase(self, import_id: str, mailbox_id: str) -> bool:
        """Forgets one settled mailbox of an import that stays: its request, ledger, notes, failures and credentials.

        The import's sums no longer count it. Returns False when it is not there. Raises `StoreError` while the mailbox
        is under way.
        """

    def set_limit(self, scope: str, most: int | None) -> None:
        """Sets the most connections of a scope ("source_host") or of one key ("source_host:mail.old.example").

        None restores the default. Rates are set in the same way, by their names in `shared.model.rates`
        ("source_account.bytes_per_day").
        """

    def limits(self) -> dict[str, int]:
        """Returns the limits and rates that were set."""

    def set_usual(self, limits: Mapping[str, int]) -> None:
        """Sets the most connections that are usual at a server, or for each account there.

        The name is "source_host:mail.old.example" for a server, or "source_account:imaps://mail.old.example:993" for
        each account there. Where a limit is also set for all servers, the lower one counts. A limit set for just this
        host or account goes before both.
        """

    def usual(self) -> dict[str, int]:
        """Returns the usual limits, by scope and server."""


class WorkStore(Protocol):
    """The methods that workers call under a lease."""

    def claim(self, holder: str, *, prefer: str = "", hint: str = "", held: str = "") -> Lease | None:
        """Leases to the holder the fairest unit that may run now; returns None when there is none.

        A unit of mailbox `prefer` comes first, then the unit `hint`, then the mailbox that was given least so far. A
        mailbox whose accounts or hosts owe something (`shared.model.rates`) is not copied; where the holder is connected
        already, a debt that it can wait for does not count. `held` is the mailbox whose connections this holder keeps;
        its permits are exchanged for those of the mailbox that is claimed.
        """

    def attend(self, worker: str, leases: Sequence[Lease], *, extend: bool) -> list[Wish]:
        """Returns what is wanted of each lease.

        With `extend` it renews the leases. The call is the worker's heartbeat.
        """

    def leave(self, holder: str, mailbox_id: str) -> None:
        """Gives back the holder's permits: it closed its connections to this mailbox's accounts."""

    def progress(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        intents: Sequence[Intent] = (),
        withdrawn: Iterable[str] = (),
        doubts: UidSet = NO_UIDS,
    ) -> ProgressReply:
        """Settles groups, withdraws intents, notes `doubts` and writes new intents, in one round trip.

        The intents that it withdraws are those of which nothing arrived. `doubts` are source UIDs that were not found
        after their append was in doubt. `Folder.doubts` only ever grows, and has the time. When the word that the call
        returns is not `Control.RUN`, the new intents were not written and nothing may be appended. New intents are
        charged to the rates of the mailbox's accounts and hosts, once however often the call is repeated. The folder gets
        the destination UIDVALIDITY that they name.
        """

    def finish(self, lease: Lease, records: Sequence[LedgerEntry] = ()) -> None:
        """Closes the unit; what follows it (next batch, verification, end of the import) happens in the same moment.

        `records` may hold the batch's whole ledger entry, merged, so that it takes less room.
        """

    def follow(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        records: Sequence[LedgerEntry] = (),
        prefer: str = "",
        claim: bool = True,
        found: bool | None = None,
    ) -> Lease | None:
        """Does `progress`, `finish` and, with `claim`, the holder's next `claim` in one round trip.

        With `found` it does `looked` instead of `finish`.

        Each is a step of its own, in this order. When one raises, the claim may have been granted all the same: the
        holder's next claim gives it back.
        """

    def release(
        self,
        lease: Lease,
        *,
        how: Disposition,
        delay_seconds: float = 0,
        failure: Failure | None = None,
        hold: str = "",
        hold_seconds: float = 0,
        again_seconds: float = 0,
    ) -> None:
        """Gives the unit back.

        `how` is one that the scripts know (`Disposition`); `waits` tells of a doubt. With `again_seconds`, `reap` queues
        the parked mailbox again after that time, unless an operator acted before.
        """

    def hold(self, name: str, seconds: float, *, import_id: str, why: str) -> None:
        """Keeps all lanes from "scope:key" for so long, since a server asked for it in the words `why`.

        A hold is never shortened. `release` does the same, with the failure's words.
        """

    def split(self, lease: Lease, halves: Sequence[tuple[Unit, Sequence[Intent]]]) -> None:
        """Replaces the batch by smaller ones over the UIDs that have no outcome yet."""

    def recheck(self, mailbox_id: str, delay_seconds: float) -> bool:
        """Queues a verified mailbox to be planned and verified once more, not before `delay_seconds`.

        What was sent under a lost lease may have arrived since. Returns False when the mailbox will be verified anyway,
        or cannot be (no credentials, or cancelled).
        """

    def plan_folders(self, lease: Lease, plans: Sequence[tuple[FolderPlan, int]]) -> None:
        """Enters planned folders, each with its place in the order and each in a step of its own.

        The first batch of each is ready at once.
        """

    def folder(self, folder_id: str) -> Folder | None:
        """Returns the folder as planned, or None."""

    def ledger(self, folder_id: str) -> list[LedgerEntry]:
        """Returns the folder's ledger, batch by batch."""

    def audit(self, lease: Lease, audits: Sequence[Audit]) -> None:
        """Enters what verification found, folder by folder."""

    def compared(self, lease: Lease, messages: int) -> None:
        """Notes how many messages of the mailbox were read back on both sides in this verification.

        The number is reset to 0 when the mailbox is queued again.
        """

    def set_flags(self, lease: Lease, folder_id: str, highestmodseq: int, seen: Mapping[str, UidSet]) -> None:
        """Notes that flags were carried over up to this mod-sequence, 0 without CONDSTORE.

        `seen` holds the flags (separated by blanks) → source UIDs, of all messages.
        """

    def set_moving(self, lease: Lease, folder_id: str, moving: Sequence[Moving]) -> None:
        """Replaces `Folder.moving`: the copies of this folder that are about to be moved into others."""

    def set_deleted_too(self, lease: Lease, folder_id: str, uids: UidSet) -> None:
        """Replaces `Folder.deleted_too`, the source UIDs whose copies are about to be removed or were; voids `verified`."""

    def note_mixed(self, lease: Lease, folder_id: str) -> None:
        """Sets `Folder.mixed`."""

    def note_left_out(self, lease: Lease, other_folders: int, public_folders: int) -> None:
        """Notes how many folders of other people, and how many public ones, the plan of the mailbox left out."""

    def flags(self, folder_id: str) -> dict[str, UidSet]:
        """Returns the flags → source UIDs that `plan_folders` or `set_flags` kept last."""

    def maildrop(self, mailbox_id: str) -> Known:
        """Returns the identities that the mailbox's POP3 maildrop has shown so far."""

    def replace_maildrop(self, mailbox_id: str, before: Known, generation: int, digests: bytes) -> Known:
        """Replaces the identities of the mailbox's maildrop (`shared.content.maildrop.Identities.replace`)."""

    def say_maildrop(self, mailbox_id: str, generation: int, said: Mapping[int, bytes]) -> None:
        """Keeps what was read of messages of the mailbox's maildrop (`shared.content.maildrop.Identities.say`)."""

    def share(self, mailbox_id: str, unit_id: str, messages: Sequence[int]) -> list[bytes]:
        """Tells for each message that several folders show (X-GM-MSGID) who copies it.

        The answer is what `stand` said of the message. It is b"?" while another batch that asked brings it, and b""
        when this batch is to bring it from now on. The store forgets this when the mailbox is verified, or after
        `SHARED_SECONDS`.
        """

    def stand(self, mailbox_id: str, places: Mapping[int, bytes]) -> None:
        """Notes where copies of these messages stand at the destination.

        After b"" no batch need wait for the message any more.
        """

    def skipped(self, folder_id: str) -> dict[str, UidSet]:
        """Returns the folder's source UIDs that the request left out, by reason, as planned last."""

    def limits_of(self, mailbox_id: str) -> dict[str, str]:
        """Returns this mailbox's key in each scope, as used in holds: "source_account" → "imaps://…/login"."""


class AccountStore(Protocol):
    """The methods that workers call about accounts at the destination, under the lease of a mailbox's plan."""

    def account_turn(self, lease: Lease, service: str, interval_seconds: float) -> float:
        """Returns the seconds until this mailbox may ask the service, 0 for now.

        Turns are `interval_seconds` apart for all workers together. A turn that lies ahead is kept for its mailbox, so
        that a worker that comes back then is let in.
        """

    def account_hold(self, service: str, seconds: float) -> None:
        """Keeps all workers from the service for so long, since the service asked to wait."""

    def note_account(self, lease: Lease, state: AccountState) -> None:
        """Notes the state of the account (`Mailbox.account`) and the time.

        A state that is noted already keeps its time.
        """


class SignInStore(Protocol):
    """The methods with which workers share what they know about signing in.

    `digest` stands for the credentials and changes with them. `shared` means a login that many mailboxes sign in with,
    such as an administrator's; it is recorded for the import's whole side.
    """

    def login_turn(
        self, import_id: str, mailbox_id: str, side: str, digest: str, holder: str, *, shared: bool, seconds: float
    ) -> LoginTurn:
        """Tells whether this login may be tried now.

        Credentials that never let anybody in are tried by one holder at a time, for at most `seconds`; refused ones are
        not tried. Of mailboxes' own logins at a server that let nobody in so far, `BRAKE_AFTER` are tried; when all of
        those were refused, no other is.
        """

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
        """Notes how a try ended.

        `result` is "in" (mailboxes that were stopped at that server go on), "refused" (`words` are the server's),
        "alone" (refused for a reason that says nothing of others' logins), or "unknown". Returns what a refusal means:
        "refused" (this login is not tried again), "one" (a shared login that let others in; after `MOST_DOUBTS` in a
        row it is refused too), or "doubted" (it let in before, and other connections of the account are open: one more
        try decides); "" for no refusal.
        """

    def forgive_logins(self, import_id: str, mailbox_id: str = "") -> None:
        """Lets the import's shared logins be tried again, since an operator acted.

        Refusals so far then stop no other login. (Sealing credentials anew also ends that stop.) With `mailbox_id` it
        lets only this mailbox's own logins be tried again, since its account did not exist yet. (`retry` lets a
        mailbox's own logins be tried again too.)
        """

    def token(
        self, import_id: str, name: str, holder: str, *, stale: bytes = b"", seconds: float
    ) -> tuple[bytes, float]:
        """Returns the sealed token of this name as (sealed, 0), unless it has expired or is `stale`.

        Otherwise returns (b"", seconds to wait) while another holder fetches one, or (b"", 0): then this holder is to
        fetch it, and no other does for `seconds`.
        """

    def keep_token(self, import_id: str, name: str, holder: str, sealed: bytes, seconds: float) -> None:
        """Keeps the token that was fetched, usable for `seconds`; b"" when none could be had.

        Holders that wait for it go on.
        """


class CoordinationStore(Protocol):
    """The methods that the coordinator calls."""

    def lead(self, holder: str, ttl_seconds: float, post: str = "leader") -> int:
        """Takes or renews the leadership, or the post of the one that sends notices ("sender").

        Returns its term, or 0 while another holder has it.
        """

    def reap(self, grace_seconds: float) -> list[str]:
        """Takes back units whose lease expired, and returns them.

        It makes delayed units ready that are due. It queues parked mailboxes again whose time has come, and so lets a
        finished import go on. A mailbox that an operator paused, or whose passwords are gone, stays parked.
        """

    def processes(self) -> list[str]:
        """Returns the workers and the leading coordinator, as far as they sent a heartbeat or hold something."""

    def bury(self, processes: Sequence[str]) -> list[str]:
        """Voids at once the leases, connections and leadership of processes that are known to be dead.

        Returns the units that went back; their intents stay with them. If such a process lives after all, nothing is
        lost: the store refuses its term.
        """

    def overview(self) -> Overview:
        """Returns the shared state in numbers."""

    def workers(self) -> int:
        """Returns how many worker processes sent a heartbeat lately.

        It is the number that `overview` has, without its other reads.
        """

    def refusing(self) -> str:
        """Says why the store takes no writes just now although it answers; "" when it takes them.

        The reason may be that its disk is full, that it is out of memory, or that it is a replica.
        """

    def ready_mailboxes(self) -> dict[str, float]:
        """Returns the mailboxes that could be served now, with their place in the queue.

        The place changes when a mailbox is given work.
        """

    def ready_units(self, count: int) -> list[Unit]:
        """Returns at most `count` units that a lane could claim now, so that jobs can be enqueued for them."""


class Store(
    RequestStore,
    WorkStore,
    LookStore,
    AccountStore,
    SignInStore,
    CutoverStore,
    MarkStore,
    CoordinationStore,
    NoticeStore,
    ForecastStore,
    Protocol,
):
    """The whole port. `shared.store.redis.redis_store` is the adapter for production, `shared.store.memory.memory_store` the model."""
