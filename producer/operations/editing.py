"""Changes an import that was opened and not started: name, servers, sign-ins, choices, rows.

An import's id follows from its name and servers, and seals are bound to it. Where these change, the import is written anew
under its new id, and the old one is closed afterwards. Neither runs meanwhile, and the same call again completes what broke
off in between.

Where the id stays, seals may be bound to another pin or another way to sign in from one moment to the next. So the rows are
kept whole, sealed, until all is written: whoever edits or starts the import after a break completes it from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from producer.intake.editing import need_unstarted, rows_as_text, with_ends_of
from producer.intake.manifest import Row
from producer.intake.preparing import prepare_import
from producer.intake.specification import ImportSpecification
from producer.operations.credentials import KEPT, CredentialsOperations
from producer.operations.submission import RequestOperations
from shared.model import Import, Mailbox
from shared.model.errors import UnderWay
from shared.model.lifecycle import Control, ImportState
from shared.model.sides import Side
from shared.runtime.credentials import Credentials
from shared.store import Store
from shared.wording.phrases import Phrase

NAME_TAKEN: Final = Phrase(
    "edited_name_taken",
    "an import called {name} between these servers is there already: give another name",
    headed=False,
)
STARTED_MEANWHILE: Final = Phrase(
    "edited_import_started_meanwhile",
    "import {name} was started meanwhile, and goes on as it was; the changed one stands beside it, not started: close one of them",
)


class EditOperations(CredentialsOperations, RequestOperations):
    """The operations that change an import before its start."""

    def rewritten(self, import_: Import, new: ImportSpecification) -> Import:
        """Writes the import as it is specified now, in state "opening". Returns it; its id may be another one.

        Raises `UsageError` when the import was started, or an import of the new name and servers is there.
        """
        import_ = self.store.import_(import_.import_id) or import_
        need_unstarted(import_)
        new = with_ends_of(new, import_)
        rows = new.manifest.rows
        wanted, mailboxes = prepare_import(rows, new.source, new.destination, new.options, new.name)
        stays = wanted.import_id == import_.import_id
        if not stays:
            self._need_free(wanted, mailboxes)
        else:
            self._keep(wanted, rows)
        self.submit(
            wanted,
            mailboxes,
            rows,
            hold=True,
            hours=new.hours,
            sign_ins=new.sign_ins,
            accounts_secret=new.accounts.secret,
        )
        if stays:
            self._settle_rows(import_, mailboxes)
            gone = [str(side) for side in Side if side not in new.sign_ins or new.sign_ins[side].by_rows]
            gone += [] if wanted.options.accounts else ["accounts"]
            self.store.seal(wanted.import_id, {(wanted.import_id, name): b"" for name in (*gone, KEPT)})
        else:
            _carry(self.store, import_, wanted, hours=new.hours is None)
            try:
                self.store.close(import_.import_id)
            except UnderWay:  # some of its mailboxes may be gone: nothing but a person says which of the two goes
                raise STARTED_MEANWHILE.error(name=import_.name) from None
        now = self.store.import_(wanted.import_id)
        if now is not None and now.passes:  # a person started it meanwhile: it is not held
            self.set_going(wanted.import_id)
        return now or wanted

    def set_going(self, import_id_: str) -> None:
        """Starts an import that was stored. What an edit left unfinished is completed first."""
        import_ = self.store.import_(import_id_)
        kept = self.kept_rows(import_) if import_ and not import_.passes else None
        if import_ and kept is not None:
            _, mailboxes = prepare_import(kept, import_.source, import_.destination, import_.options, import_.name)
            self.submit(import_, mailboxes, kept, hold=True, sign_ins=self.sign_ins_of(import_))
            self._settle_rows(import_, mailboxes)
            self.store.seal(import_id_, {(import_id_, KEPT): b""})
        super().set_going(import_id_)

    def _keep(self, import_: Import, rows: Sequence[Row]) -> None:
        """Keeps the rows whole, until the import is written."""
        held = Credentials(login="", password=rows_as_text(rows))
        sealed = self.vault.seal(import_.import_id, KEPT, held)
        self.store.seal(import_.import_id, {(import_.import_id, KEPT): sealed})

    def _need_free(self, wanted: Import, mailboxes: Sequence[Mailbox]) -> None:
        """Raises `UsageError` where another import has this id; one that the same call wrote before is none."""
        there = self.store.import_(wanted.import_id)
        if there is None:
            return
        known = {mailbox.mailbox_id for mailbox, _ in self.store.mailboxes(wanted.import_id)}
        fresh = there.state is ImportState.OPENING and not there.passes
        if not fresh or not known <= {mailbox.mailbox_id for mailbox in mailboxes}:
            raise NAME_TAKEN.error("name", name=wanted.name)

    def _settle_rows(self, import_: Import, mailboxes: Sequence[Mailbox]) -> None:
        """Erases the mailboxes that are in no row any more, and moves the others to the waves that the rows name."""
        wanted = {mailbox.mailbox_id: mailbox for mailbox in mailboxes}
        for mailbox, _ in self.store.mailboxes(import_.import_id):
            row = wanted.get(mailbox.mailbox_id)
            if row is None:
                self.store.erase(import_.import_id, mailbox.mailbox_id)
            elif (row.wave, row.priority) != (mailbox.wave, mailbox.priority):
                self.store.move(import_.import_id, mailbox.mailbox_id, wave=row.wave, priority=row.priority)


def _carry(store: Store, old: Import, new: Import, *, hours: bool) -> None:
    """Gives the new import what was set of the old one beside its rows: hours, waves, and what of it stands."""
    if hours and old.window:
        store.set_window(new.import_id, old.window, old.opens_at, old.shuts_at)
    for wave in store.waves(old.import_id):
        store.set_wave(new.import_id, wave.name, starts_at=wave.starts_at, weight=wave.weight, order=wave.order)
        if wave.window:
            store.set_window(new.import_id, wave.window, wave.opens_at, wave.shuts_at, wave=wave.name)
        if wave.control is Control.PAUSE:
            store.control(new.import_id, None, Control.PAUSE, wave=wave.name)
    for name, standing in store.standings(old.import_id).items():
        store.set_standing(new.import_id, name, standing)
