"""Operations on an import as a whole: a further pass, the beginning of a cutover, and its end.

No function here prints, waits or starts a process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from producer.cutover import acts
from producer.operations.acknowledged import on_disk
from producer.operations.credentials import need_no_passwords, need_passwords
from producer.operations.finding import MISSING, find_mailboxes
from producer.operations.resources import HeldResources
from shared.model import Import, Mailbox
from shared.model.choices import Verification
from shared.model.cutover import Cutover, CutoverOptions
from shared.model.lifecycle import SETTLED, ImportState, MailboxState
from shared.model.search import Search
from shared.model.uids import UidSet
from shared.store import Store
from shared.store.records.cutovers import Cutovers
from shared.store.submitting import submit_whole
from shared.wording.phrases import Phrase

BUSY: Final = Phrase(
    "verified_import_under_way",
    "import {name} is under way: ask again when it is finished (mailhaul watch)",
)
NOT_FINISHED: Final = Phrase(
    "closed_import_under_way",
    "import {name} is under way: wait until it is finished, or cancel it first (mailhaul cancel)",
)
STANDS: Final = Phrase(
    "closed_import_stands",
    "import {name} stands: its mailboxes are looked at again by themselves; end that first (mailhaul standing --off)",
)

ARCHIVED_RUNNING: Final = Phrase(
    "archived_import_under_way",
    "import {name} is under way: it can be put away when it is finished or cancelled",
)
ARCHIVED_STANDS: Final = Phrase(
    "archived_import_stands",
    "import {name} stands: its mailboxes are looked at again by themselves; end that first",
)


class PassOperations(HeldResources):
    """The operations on an import as a whole."""

    @on_disk
    def verify(
        self,
        import_: Import,
        *,
        full: bool,
        login: str = "",
        wave: str = "",
        accept_missing: bool = False,
    ) -> tuple[int, int]:
        """Opens mailboxes again for a pass that copies what is new and compares.

        Returns how many were queued, and how many messages reported as missing are accepted as removed (`accept_missing`).
        Raises `UsageError` while the import is under way.
        """
        chosen = [mailbox for mailbox, _ in find_mailboxes(self.store, import_, login, wave)]
        if any(
            self.store.import_tally(import_.import_id)[1].get(state) for state in MailboxState if state not in SETTLED
        ):
            raise BUSY.error(name=import_.name)
        need_passwords(self.store, import_, chosen)
        accepted = sum(_accepted(self.store, import_, mailbox) for mailbox in chosen) if accept_missing else 0
        options = replace(import_.options, verify=Verification.FULL if full else Verification.ANEW)
        again = replace(import_, options=options)
        queued = submit_whole(
            self.store, import_.import_id, lambda: self.store.open_import(again, chosen, self.settings.retention_days)
        )
        self.ring_some(import_.import_id)
        return queued, accepted

    @on_disk
    def close(self, import_: Import) -> bool:
        """Deletes the import and its ledger from the store. Raises `UsageError` while it is under way."""
        found = self.store.import_(import_.import_id)
        if found is not None and found.state is ImportState.RUNNING:
            raise NOT_FINISHED.error(name=import_.name)
        if any(one for one in self.store.standings(import_.import_id).values()):
            raise STANDS.error(name=import_.name)
        need_no_passwords(self.store, import_)
        return self.store.close(import_.import_id)

    @on_disk
    def archive(self, import_: Import, *, away: bool) -> int:
        """Puts the import into the archive, or takes it back. Returns how many were changed: 1 or 0.

        All of it stays; lists and searches leave it out unless they are asked for it. Raises `UsageError` when work is left.
        """
        found = self.store.import_(import_.import_id)
        if away:
            if found is not None and found.state is ImportState.RUNNING:
                raise ARCHIVED_RUNNING.error(name=import_.name)
            if any(one for one in self.store.standings(import_.import_id).values()):
                raise ARCHIVED_STANDS.error(name=import_.name)
            need_no_passwords(self.store, import_)
        return int(self.store.archive(import_.import_id, away=away))

    @on_disk
    def start_cutover(self, import_: Import, wave: str, options: CutoverOptions, *, who: str, at: float) -> Cutover:
        """Begins the cutover of a wave, or "" of the import as a whole.

        Raises `UsageError`, also when the passwords are no longer stored, so that nothing could be kept in sync.
        """
        acts.may_cut_over(self.store, import_, wave)
        some = self.store.find_mailboxes(import_.import_id, Search(wave=wave, count=1))[1]
        need_passwords(self.store, import_, [mailbox for mailbox, _ in some])
        return acts.start(self.cutovers, import_, wave, options, who=who, at=at)

    @on_disk
    def send_to_cutover(
        self,
        import_: Import,
        wave: str,
        event: str,
        *,
        who: str,
        at: float,
        force: Sequence[str] = (),
        reason: str = "",
    ) -> Cutover:
        """Sends an event of a person to a cutover; see `producer.cutover.acts.send`. Raises `UsageError`."""
        return acts.send(self.cutovers, import_, wave, event, who=who, at=at, force=force, reason=reason)

    @property
    def cutovers(self) -> Cutovers:
        """The cutovers of the imports."""
        return Cutovers(self.store, self.vault)


def _accepted(store: Store, import_: Import, mailbox: Mailbox) -> int:
    """Accepts the messages of the mailbox that are reported as missing as removed on purpose. Returns how many."""
    accepted = 0
    for folder, counts in store.folders(mailbox.mailbox_id):
        if counts.missing:
            uids = UidSet.of(note.uid for note in store.notes(folder.folder_id) if note.what == MISSING)
            accepted += store.accept_missing(import_.import_id, mailbox.mailbox_id, folder.folder_id, uids)
    return accepted
