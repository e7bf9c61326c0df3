"""The part of the store's port that the producer writes and every process reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from shared.model import (
    Failure,
    Folder,
    Import,
    Mailbox,
    Note,
    Stranded,
    Tally,
    Unit,
    Wait,
    Wave,
)
from shared.model.lifecycle import Control, MailboxState
from shared.model.search import Search
from shared.model.uids import UidSet
from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Resealed:
    """The result of sealing anew."""

    #: The number of entries that are sealed by the first key now.
    renewed: int = 0
    #: The number that no key opens.
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

    def life(self) -> str:
        """Returns a name of the server's life: another one after each start and each failover, which may lose a second."""

    def submit(self, import_id: str, *, since: str = "") -> None:
        """Marks the request as complete: the import runs from here on, until every mailbox is settled.

        Begins a new pass, unless one was under way. Raises `StoreRestarted` where the server's life is not `since` any
        more: what was written then may be lost. Callers write and submit by `shared.store.submitting`.
        """

    def sweep(self, import_id: str) -> bool:
        """Lets the next `PIECE` mailboxes follow a change of the import or of one of its waves, with "" of any import.

        Returns whether more is left. The methods that change every mailbox (`submit`, `control`, `set_wave`, `set_window`,
        `set_standing`, `forget`) call it until none is left. Where a caller died meanwhile, the next change of the import
        does the rest first, or else `reap` does. Until a mailbox has followed, it waits; it is never given work that the
        import or wave forbids already.
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

    def mailbox_state(self, mailbox_id: str) -> MailboxState | None:
        """Returns the state of the mailbox, as `mailbox` does, and reads no more than that."""

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
        """Stores sealed credentials by (mailbox id, side); empty ones delete what was stored.

        Those for a mailbox that is not there are left out: it was erased while its import was written.
        """

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

    def wait_for_disk(self) -> bool:
        """Waits until the server's disk has all that was acknowledged before, so that a power cut takes none of it.

        Returns False where the server does not tell, or keeps nothing on a disk.
        """

    def close(self, import_id: str) -> bool:
        """Forgets an import that is not under way, with all that the store has of it.

        That is its request, ledger, notes and credentials. Nothing else does this: a ledger lives until an operator
        closes its import. When a call broke off, the same call completes it. Returns False when there is no such
        import. Raises `StoreError` while the import runs.
        """

    def archive(self, import_id: str, *, away: bool) -> bool:
        """Puts an import into the archive (`away`), or takes it back. All that the store has of it stays.

        Returns False when it was so already, or there is no such import. Raises `StoreError` when a running import is to go.
        """

    def erase(self, import_id: str, mailbox_id: str) -> bool:
        """Forgets one mailbox of an import that stays: its request, ledger, notes, failures and credentials.

        It is settled, or queued in an import that was never started. The import's sums no longer count it. Returns False
        when it is not there. Raises `StoreError` while the mailbox is under way.
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
