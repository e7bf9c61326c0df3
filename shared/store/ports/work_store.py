"""The part of the store's port that workers call under a lease."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from shared.content.maildrop import Known
from shared.model import (
    Audit,
    Failure,
    Folder,
    FolderPlan,
    Intent,
    Lease,
    LedgerEntry,
    Moving,
    Note,
    ProgressReply,
    Settled,
    Unit,
)
from shared.model.lanes import NOTHING_MEASURED, Measured
from shared.model.lifecycle import Disposition, Wish
from shared.model.uids import NO_UIDS, UidSet
from shared.store.ports.folder_writers import WriterStore


class WorkStore(WriterStore, Protocol):
    """The methods that workers call under a lease."""

    def claim(self, holder: str, *, prefer: str = "", hint: str = "", held: str = "") -> Lease | None:
        """Leases to the holder the fairest unit that may run now; returns None when there is none.

        A unit of mailbox `prefer` comes first, then the unit `hint`, then the mailbox that was given least so far. A
        mailbox whose accounts or hosts owe something (`shared.model.rates`) is not copied; where the holder is connected
        already, a debt that it can wait for does not count. `held` is the mailbox whose connections this holder keeps;
        its permits are exchanged for those of the mailbox that is claimed.
        """

    def attend(
        self,
        worker: str,
        leases: Sequence[Lease],
        *,
        extend: bool,
        beat: int = 0,
        measured: Mapping[str, Measured] = NOTHING_MEASURED,
    ) -> list[Wish]:
        """Returns what is wanted of each lease.

        With `extend` it renews the leases. The call is the worker's heartbeat. `measured` (by mailbox) is added to the sums of
        `lane_places`, once for each number `beat`. Where fewer lanes are let in than are there, some that copy are to pause.
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
        crowded: bool = False,
    ) -> None:
        """Gives the unit back.

        `how` is one that the scripts know (`Disposition`); `waits` tells of a doubt. With `again_seconds`, `reap` queues
        the parked mailbox again after that time, unless an operator acted before. `crowded`: at `hold` one connection more
        was refused. Where other lanes have one, it is no failure and no hold: no more than these are let in from now on.
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

    def plan_folders(
        self, lease: Lease, plans: Sequence[tuple[FolderPlan, int]], *, settle_seconds: float = 0.0
    ) -> None:
        """Enters planned folders, each with its place in the order and each in a step of its own.

        The first batch of each is ready at once. Raises `FolderInUse` where the plan voids a folder's ledger and what a lane
        sent there may have come after the folder was listed: for `settle_seconds` after the lane ended. The folder's batches
        are not claimed until the plan is to be tried again.
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

    def notes(self, folder_id: str) -> list[Note]:
        """Returns the notes on messages of a folder (`RequestStore.notes`)."""

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
