"""The model's part that decides when a mailbox of a standing import is looked at.

The module is plain Python; its callers hold the lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from shared.model import Unit, UnitKind
from shared.model.lifecycle import MailboxState
from shared.rules.standing import Standing, next_look
from shared.store.memory.memory_lines import Lines

if TYPE_CHECKING:
    from shared.model import Mailbox
    from shared.store.memory.memory_tables import FolderRow, MailboxRow, UnitRow

#: The time for which a look that is due waits behind other work before it may go first, ms.
LATE_MS = 30_000
#: The shortest time between the end of a look and the next that may go first, ms.
NEXT_LATE_MS = 500
#: The number of looks that one call of `reap` begins.
BEGUN_AT_ONCE = 200
#: The time until a mailbox that may not be looked at is asked about again, ms.
POSTPONED_MS = 60_000


class Looks(Lines):
    """The looks that are to come, those that are due, and who was given one last."""

    folders: dict[str, FolderRow]

    def __init__(self) -> None:
        super().__init__()
        #: Mailbox → when the store asks whether its look is due, ms.
        self.looks: dict[str, int] = {}
        #: Mailbox that may be looked at now → since when, ms.
        self.due: dict[str, int] = {}
        #: The lane that was given a look last, and when another may go before other work, ms.
        self.looker = ""
        self.late_at = 0
        #: Source host that did not answer a look → until when no other look at it is begun, ms.
        self.look_holds: dict[str, int] = {}
        #: The import whose looks were begun last, where not all were.
        self.begun = ""

    def drop_unit(self, unit_id: str) -> None:
        """Deletes a unit."""
        raise NotImplementedError

    def add_unit(self, unit: Unit, order: int) -> UnitRow:
        """Adds a unit."""
        raise NotImplementedError

    def make_ready(self, row: UnitRow) -> None:
        """Lets the unit be claimed from now on."""
        raise NotImplementedError

    def may(self, m: MailboxRow) -> bool:
        """Tells whether operators let the mailbox be given work now."""
        raise NotImplementedError

    def standing_of(self, mailbox: Mailbox) -> Standing | None:
        """Returns how the mailbox stands: the word of its wave goes before that of its import."""
        known: Mapping[str, Standing | None] = self.imports[mailbox.import_id].standing
        return known[mailbox.wave] if mailbox.wave in known else known.get("")

    def end_look(self, m: MailboxRow) -> None:
        """Takes back the look that is to come, and voids one that is due or at work."""
        self.looks.pop(m.mailbox.mailbox_id, None)
        if m.looking:
            m.looking = m.look_again = 0
            self.drop_unit(f"{m.mailbox.mailbox_id}.look")
        m.set(look_at=0.0)

    def put_off_late(self, claimed_at: float) -> None:
        """Lets a late look wait as long as one took that was claimed at `claimed_at` and has ended, well or badly."""
        now = self.now()
        self.late_at = now + max(NEXT_LATE_MS, now - round(claimed_at * 1000))

    def due_by_route(self) -> dict[str, list[str]]:
        """Returns the mailboxes whose look is due, by route: the routes and the mailboxes of each by since when."""
        found: dict[str, list[str]] = {}
        for mailbox_id in sorted(self.due, key=lambda m: (self.due[m], m)):
            found.setdefault(self.mailboxes[mailbox_id].route, []).append(mailbox_id)
        return dict(sorted(found.items(), key=lambda item: (self.due[item[1][0]], item[0])))

    def plan_look(self, m: MailboxRow) -> None:
        """Enters when the mailbox is looked at next. One whose look is due already keeps that."""
        standing = self.standing_of(m.mailbox)
        if m.mailbox.state is not MailboxState.COMPLETE or standing is None:
            self.end_look(m)
        elif not m.looking:
            last = m.mailbox.looked_at
            at = round(last * 1000) + round(next_look(last, m.mailbox.mail_at, standing) * 1000)
            self.looks[m.mailbox.mailbox_id] = at
            m.set(look_at=at / 1000)

    def begin_looks(self) -> None:
        """Queues the looks that are due, so many in all; the next call begins with the import behind the last one."""
        now, left = self.now(), BEGUN_AT_ONCE
        waiting: dict[str, list[str]] = {}
        for mailbox_id, at in sorted(self.looks.items(), key=lambda item: (item[1], item[0])):
            if at <= now:
                waiting.setdefault(self.mailboxes[mailbox_id].mailbox.import_id, []).append(mailbox_id)
        for import_id in sorted(waiting, key=lambda one: (one <= self.begun, one)):
            due = waiting[import_id][:left]
            for mailbox_id in due:
                self._begin_look(self.mailboxes[mailbox_id])
            left -= len(due)
            if not left:
                self.begun = import_id
                break

    def _begin_look(self, m: MailboxRow) -> None:
        if self.standing_of(m.mailbox) is None:  # a sweep has not come to it yet
            self.end_look(m)
            return
        m.looking = round(m.mailbox.look_at * 1000)
        if not self.may(m) or not self.imports[m.mailbox.import_id].credentials:
            m.looking = 0
            self.looks[m.mailbox.mailbox_id] = self.now() + POSTPONED_MS
            return
        del self.looks[m.mailbox.mailbox_id]
        unit = Unit(unit_id=f"{m.mailbox.mailbox_id}.look", kind=UnitKind.LOOK, mailbox_id=m.mailbox.mailbox_id)
        self.make_ready(self.add_unit(unit, 0))

    def end_pass(self, m: MailboxRow) -> None:
        """Notes that what the source held when the pass was planned is at the destination."""
        messages = sum(self.folders[folder].counts["messages"] for folder in m.folders)
        now = self.now() / 1000
        if messages != m.seen:
            m.seen = messages
            m.set(mail_at=now)
        m.set(looked_at=now, synced_at=m.mailbox.planned_at or now, after_look=False)
        self.plan_look(m)
