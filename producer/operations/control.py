"""Operations on the work of an import: pause, resume, cancel, retry, its hours, its waves and limits.

No function here prints, waits or starts a process.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from producer.operations.acknowledged import on_disk
from producer.operations.credentials import need_passwords
from producer.operations.finding import MISSING, RETRIED, find_mailboxes, given_up_by_cancel
from producer.operations.limits import check_limit
from producer.operations.resources import HeldResources
from producer.operations.submission import set_hours
from producer.waves import checked, priority_of, wave_of
from shared.model import Import, Mailbox, Note, Unit, UnitKind, part_id
from shared.model.lifecycle import SETTLED, Control, MailboxState
from shared.model.uids import UidSet
from shared.rules.hours import Hours
from shared.store import Store
from shared.wording.phrases import FieldName, Phrase

START_OF_NO_WAVE: Final = Phrase("start_without_wave", "is of one wave; say which by {wave}")
NO_AIM: Final = Phrase("move_where", "say where it goes: {wave}, {front} or {priority}")
WHICH_MAILBOX: Final = Phrase("move_which", "say which mailbox")

#: Number of messages in one batch that is tried again.
_RETRY_BATCH: Final = 500


class ControlOperations(HeldResources):
    """The operations on the work of an import."""

    @on_disk
    def control(self, import_: Import, word: Control, login: str = "", wave: str = "") -> int:
        """Pauses, resumes or cancels the import, a wave or one mailbox. Returns how many mailboxes it changes.

        Resuming a cancelled import or mailbox queues it again, as `retry` does. It returns 0 if the state was already as
        wanted, or if nothing is left to change.
        """
        # `request` may be older than another user's pause or resume.
        import_ = self.store.import_(import_.import_id) or import_
        if wave and not login:
            return self._control_wave(import_, word, wave)
        if word is Control.RUN and (went_on := self._go_on(import_, login, wave)):
            return went_on
        if not login and word is import_.control and word is not Control.CANCEL:
            rows = find_mailboxes(self.store, import_, "") if word is Control.RUN else []
            if not any(mailbox.control is not word and mailbox.state not in SETTLED for mailbox, _ in rows):
                return 0
        # The store also counts mailboxes that were cancelled before.
        most = given_up_by_cancel(self.store, import_, login, wave)[0] if word is Control.CANCEL else None
        if login:
            concerned = sum(
                self.store.control(import_.import_id, mailbox.mailbox_id, word)
                for mailbox, _ in find_mailboxes(self.store, import_, login, wave)
                if word is not Control.PAUSE or mailbox.control is not word
            )
        else:
            concerned = self.store.control(import_.import_id, None, word)
        if word is Control.RUN:
            self.ring_some(import_.import_id)
        return concerned if most is None else min(most, concerned)

    def _control_wave(self, import_: Import, word: Control, wave: str) -> int:
        """Pauses, resumes or cancels a wave. Returns how many mailboxes it changes."""
        there, rows = wave_of(self.store, import_, wave), find_mailboxes(self.store, import_, "", wave)
        went_on = self._go_on(import_, "", wave) if word is Control.RUN else 0
        alike = word is Control.RUN and all(mailbox.control is word or mailbox.state in SETTLED for mailbox, _ in rows)
        if there.control is word and (alike or word is Control.PAUSE):
            return went_on
        most = given_up_by_cancel(self.store, import_, "", wave)[0] if word is Control.CANCEL else len(rows)
        concerned = self.store.control(import_.import_id, None, word, wave=wave)
        if word is Control.RUN:
            self.ring_some(import_.import_id)
        return max(went_on, min(most, concerned))

    def _go_on(self, import_: Import, login: str, wave: str) -> int:
        """Queues cancelled mailboxes again: all of a cancelled import, else those that are named. Returns how many."""
        if not (login or wave) and import_.control is not Control.CANCEL:
            return 0
        found = find_mailboxes(self.store, import_, login, wave)
        cancelled = {mailbox.mailbox_id for mailbox, _ in found if mailbox.state is MailboxState.CANCELLED}
        return self.retry(import_, login, wave=wave, only=cancelled)[0] if cancelled else 0

    @on_disk
    def retry(
        self,
        import_: Import,
        login: str = "",
        code: str = "",
        *,
        wave: str = "",
        only: Collection[str] | None = None,
        copy_missing: bool = False,
    ) -> tuple[int, int]:
        """Queues parked mailboxes again, and messages that were refused or failed. Returns (mailboxes, messages).

        A cancelled mailbox is queued only when it is named, or when the whole import was cancelled. `code` selects
        mailboxes with this failure; `only` selects these ids. `copy_missing` adds messages of settled mailboxes that the
        destination no longer shows.
        """
        import_ = self.store.import_(import_.import_id) or import_  # as in `control`
        chosen = [
            pair
            for pair in find_mailboxes(self.store, import_, login, wave)
            if (not code or (pair[0].failure is not None and pair[0].failure.code == code))
            and (only is None or pair[0].mailbox_id in only)
        ]
        everyone = all(mailbox.state is MailboxState.CANCELLED for mailbox, _ in chosen)
        whole = not code and (import_.control is Control.CANCEL or everyone)
        again: list[tuple[Mailbox, list[tuple[Unit, Sequence[Note]]]]] = []
        for mailbox, counts in chosen:
            gone = copy_missing and counts.missing and mailbox.state in SETTLED
            wanted = (*RETRIED, MISSING) if gone else RETRIED
            batches = (
                list(_retried(self.store, mailbox, wanted))
                if gone or any(counts[outcome] for outcome in RETRIED)
                else []
            )
            parked = mailbox.state is MailboxState.PARKED or (
                mailbox.state is MailboxState.CANCELLED and (login or whole)
            )
            complete = mailbox.state is MailboxState.COMPLETE
            if batches or parked or (complete and (counts.withheld or counts.unreadable)):
                again.append((mailbox, batches))
        need_passwords(self.store, import_, [mailbox for mailbox, _ in again])
        self.store.forgive_logins(import_.import_id)
        mailboxes = messages = 0
        for mailbox, batches in again:
            if self.store.retry(import_.import_id, mailbox.mailbox_id, batches):
                mailboxes += 1
                messages += sum(len(unit.uids) for unit, _ in batches)
        if mailboxes:
            self.ring_some(import_.import_id)
        return mailboxes, messages

    @on_disk
    def set_window(self, import_: Import, hours: Hours, at: float, wave: str = "") -> None:
        """Sets the hours in which the import, or a wave of it, may work from now (`at`) on.

        The operator's pause is independent of them. Raises `UsageError`.
        """
        if wave:
            wave_of(self.store, import_, wave)
        set_hours(self.store, import_.import_id, hours, at, wave)
        self.ring_some(import_.import_id)

    @on_disk
    def set_wave(
        self,
        import_: Import,
        name: str,
        *,
        starts_at: float | None = None,
        weight: int | None = None,
        order: int | None = None,
    ) -> None:
        """Sets what is given of a wave, from now on; makes it where it is not there yet. Raises `UsageError`."""
        checked(weight, order, starts_at, time.time())
        if starts_at is not None and not name:
            raise START_OF_NO_WAVE.error("starts_at", wave=FieldName("wave"))
        self.store.set_wave(import_.import_id, name, starts_at=starts_at, weight=weight, order=order)
        self.ring_some(import_.import_id)

    @on_disk
    def move(
        self,
        import_: Import,
        login: str,
        *,
        wave: str | None = None,
        priority: int | None = None,
        front: bool = False,
    ) -> int:
        """Moves a mailbox into another wave, or within its own. It is at work within seconds. Returns how many were moved.

        Raises `UsageError`.
        """
        asked = priority_of(priority, front=front)
        if wave is None and asked is None:
            raise NO_AIM.error(wave=FieldName("wave"), front=FieldName("front"), priority=FieldName("priority"))
        if not login:
            raise WHICH_MAILBOX.error("login")
        moved = 0
        for mailbox, _ in find_mailboxes(self.store, import_, login):
            moved += self.store.move(import_.import_id, mailbox.mailbox_id, wave=wave, priority=asked)
        self.ring_some(import_.import_id)
        return moved

    @on_disk
    def set_limit(self, scope: str, most: int | None) -> None:
        """Sets a limit on connections or on a rate, as `limits.check_limit` describes it. None restores the default.

        Raises `UsageError`.
        """
        check_limit(scope, most)
        self.store.set_limit(scope, most)


def _retried(store: Store, mailbox: Mailbox, wanted: Collection[str]) -> Iterator[tuple[Unit, Sequence[Note]]]:
    for folder, counts in store.folders(mailbox.mailbox_id):
        if not (counts.missing or any(counts[outcome] for outcome in RETRIED)):
            continue
        notes = [note for note in store.notes(folder.folder_id) if note.what in wanted]
        for at in range(0, len(notes), _RETRY_BATCH):
            part = notes[at : at + _RETRY_BATCH]
            uids = UidSet.of(note.uid for note in part)
            unit = Unit(
                unit_id=part_id(folder.folder_id, uids),
                kind=UnitKind.COPY,
                mailbox_id=mailbox.mailbox_id,
                folder_id=folder.folder_id,
                uids=uids,
                size_bytes=sum(max(0, note.size_bytes) for note in part),
            )
            yield unit, part
