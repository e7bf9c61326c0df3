"""Changes an import that was opened and not started: name, servers, sign-ins, choices, rows.

An import's id follows from its name and servers. Where these change, the import is written under its new id, and the old one
is closed. All of it happens in one step of the store, or nothing: no start, no other edit, no new password and no erasure
comes in between, and nothing breaks off half-done.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from producer.intake.editing import need_unstarted, with_ends_of
from producer.intake.preparing import prepare_import
from producer.intake.specification import ImportSpecification
from producer.operations.acknowledged import on_disk
from producer.operations.credentials import CredentialsOperations
from producer.operations.submission import RequestOperations
from shared.model import Import, Mailbox
from shared.model.errors import ChangedMeanwhile
from shared.model.lifecycle import Control, MailboxState
from shared.model.sides import Side
from shared.store import ChangedStore
from shared.wording.phrases import Phrase

NAME_TAKEN: Final = Phrase(
    "edited_name_taken",
    "an import called {name} between these servers is there already: give another name",
    headed=False,
)
CHANGED_MEANWHILE: Final = Phrase(
    "edited_changed_meanwhile",
    "import {name} was changed meanwhile (rows, passwords or choices): nothing was saved; begin the change again",
)


class EditOperations(CredentialsOperations, RequestOperations):
    """The operations that change an import before its start."""

    @on_disk
    def rewritten(self, import_: Import, new: ImportSpecification, version: str) -> Import:
        """Writes the import as it is specified now, in state "opening". Returns it; its id may be another one.

        `version` is what `version_of` said before the import was read. Raises `UsageError` when it is another one now, the
        import was started, or an import of the new name and servers is there.
        """
        new = with_ends_of(new, import_)
        rows = new.manifest.rows
        wanted, mailboxes = prepare_import(rows, new.source, new.destination, new.options, new.name)
        stays = wanted.import_id == import_.import_id
        rowed = {mailbox.mailbox_id: mailbox for mailbox in mailboxes}

        def write(store: ChangedStore) -> None:
            now = store.import_(import_.import_id)
            if now is not None:
                need_unstarted(now)
            if self.version_of(import_, store) != version:
                raise CHANGED_MEANWHILE.error(name=import_.name)
            if not stays and store.import_(wanted.import_id) is not None:
                raise NAME_TAKEN.error("name", name=wanted.name)
            before = [mailbox for mailbox, _ in store.mailboxes(import_.import_id)]
            self._written(store, wanted, mailboxes, rows, new.accounts.secret, new.sign_ins, new.hours)
            if not stays:
                _carry(store, import_, wanted, hours=new.hours is None)
            _stay_cancelled(store, now, before, wanted, mailboxes)
            if not stays:
                store.close(import_.import_id)
                return
            for mailbox in before:
                row = rowed.get(mailbox.mailbox_id)
                if row is None:
                    store.erase(wanted.import_id, mailbox.mailbox_id)
                elif (row.wave, row.priority) != (mailbox.wave, mailbox.priority):
                    store.move(wanted.import_id, mailbox.mailbox_id, wave=row.wave, priority=row.priority)
            gone = [str(side) for side in Side if side not in new.sign_ins or new.sign_ins[side].by_rows]
            gone += [] if wanted.options.accounts else ["accounts"]
            if gone:
                store.seal(wanted.import_id, {(wanted.import_id, name): b"" for name in gone})

        self._set_usual(wanted, mailboxes)
        try:
            self.store.at_once(sorted({import_.import_id, wanted.import_id}), write)
        except ChangedMeanwhile:
            raise CHANGED_MEANWHILE.error(name=import_.name) from None
        return self.store.import_(wanted.import_id) or wanted


def _stay_cancelled(
    store: ChangedStore, old: Import | None, before: Sequence[Mailbox], new: Import, mailboxes: Sequence[Mailbox]
) -> None:
    """Cancels again what a person had cancelled: the import, or mailboxes, by themselves or with a wave.

    With another login, owner or server it is another mailbox, and is queued.
    """
    if old is None:
        return
    if old.control is Control.CANCEL:
        store.control(new.import_id, None, Control.CANCEL)
        return
    cancelled = {_person(old, mailbox) for mailbox in before if mailbox.state is MailboxState.CANCELLED}
    for mailbox in mailboxes:
        if _person(new, mailbox) in cancelled:
            store.control(new.import_id, mailbox.mailbox_id, Control.CANCEL)


def _person(import_: Import, mailbox: Mailbox) -> tuple[str, str, str]:
    """Returns what a mailbox is known by, whatever the import is called and wherever its servers are."""
    server = mailbox.source.endpoint.url
    return mailbox.source.login, mailbox.destination.login, "" if server == import_.source.url else server


def _carry(store: ChangedStore, old: Import, new: Import, *, hours: bool) -> None:
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
