"""The copy back of a rollback: marks what the destination holds before a switch, and brings back what came since.

The copy back is an import in the other direction. Workers copy it with the same engine as any other: each message once,
byte for byte, verified. It takes its credentials from those of the import that it returns, and stands in the lists beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from shared.folders.mapping import readable
from shared.mail import MailDestination
from shared.mail.answers.numbers import known_statuses
from shared.model import (
    Account,
    FolderMark,
    Import,
    Mailbox,
    Options,
    SwitchMarks,
    Tally,
    import_id,
    mailbox_id,
)
from shared.model.binding import bound_to
from shared.model.errors import CredentialsError, StoreError
from shared.model.lifecycle import MailboxState, Outcome
from shared.model.protocols import protocol_of
from shared.nouns import dataclass
from shared.rules.standing import Standing
from shared.runtime.credentials import Credentials, Vault
from shared.store import Store
from shared.store.submitting import submit_whole
from shared.wording.often_said import CREDENTIALS_ARE_NO_LONGER_STORED
from shared.wording.phrases import Phrase

SOURCE_TAKES_NO_MAIL: Final = Phrase(
    "source_takes_no_mail",
    "its source speaks {protocol}, which takes no mail: what comes to the destination stays there",
)
MAILBOX_IS_NOT_IN_STORE: Final = Phrase("mailbox_is_not_in_store", "mailbox {name} is not in the store")
IMPORT_IS_NOT_IN_STORE: Final = Phrase("import_is_not_in_store", "import {name} is not in the store")
IMPORT_HAS_NO_WAVE: Final = Phrase("import_has_no_wave", "import {name} has no wave {wave}")

NOT_BROUGHT_BACK: Final = Phrase("not_brought_back", "{login}: {what}")
NEVER_SWITCHED: Final = Phrase("never_switched", "{login}: it was never switched, so nothing is to be brought back")

#: The words behind the name of the import whose mail is brought back.
SUFFIX: Final = " (back)"
_LONGEST_NAME: Final = 120
#: The interval at which a mailbox that was brought back is looked at for mail that still comes to the new server.
LATE: Final = Standing(least_seconds=60.0, most_seconds=900.0)
#: Side → the side of the import that goes the other way.
_OTHER: Final = {"source": "destination", "destination": "source"}
#: States in which a copy back does nothing more by itself.
_ENDS: Final = frozenset({MailboxState.COMPLETE, MailboxState.PARKED, MailboxState.CANCELLED})


class DestinationEntrance(Protocol):
    """The part of `shared.sign_in.entrance.Entrance` that signs in at a destination."""

    def destination(self, mailbox: Mailbox) -> MailDestination:
        """Signs in. Raises MailError and CredentialsError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BackProgress:
    """The progress of the copy back of one mailbox."""

    #: The import that brings it back; "" while none was begun.
    import_id: str = ""
    #: The mailbox of that import.
    mailbox_id: str = ""
    #: The state of that mailbox; None while none was begun.
    state: MailboxState | None = None
    #: Messages that were brought back, or stood at the source already.
    back: int = 0
    #: Messages that are still to be brought back.
    pending: int = 0
    #: Messages that the source refused, or that failed.
    failed: int = 0
    #: Why it is parked, in a sentence; "" where it is not.
    trouble: str = ""

    @property
    def ended(self) -> bool:
        """Tells whether nothing more happens by itself."""
        return self.state in _ENDS

    @property
    def whole(self) -> bool:
        """Tells whether everything was brought back, and verified."""
        return self.state is MailboxState.COMPLETE and not self.pending and not self.failed


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveBack:
    """The progress of the copies back of one wave."""

    #: The number of mailboxes that are brought back, and of those that are complete.
    mailboxes: int = 0
    whole: int = 0
    #: Messages that were brought back, or stood at the source already.
    messages: int = 0
    #: Messages that are still to be brought back, and those that the source refused or that failed.
    pending: int = 0
    failed: int = 0
    #: (login, why) of each mailbox that is parked.
    stopped: tuple[tuple[str, str], ...] = ()


def wave_back(store: Store, origin: Import, begun: Sequence[Mailbox]) -> WaveBack:
    """Tells how far the copies back of these mailboxes are; the store is read once for each import that goes the other way."""
    wanted: dict[str, set[str]] = {}
    for one in begun:
        import_ = _turned_round(origin, one)
        wanted.setdefault(import_.import_id, set()).add(_mailbox(import_, one).mailbox_id)
    progress = WaveBack(mailboxes=len(begun))
    for back_id, ids in wanted.items():
        for found, tally in store.mailboxes(back_id):
            if found.mailbox_id in ids:
                progress = _with(progress, found, tally)
    return progress


def _with(progress: WaveBack, found: Mailbox, tally: Tally) -> WaveBack:
    failed = tally[Outcome.REFUSED] + tally[Outcome.FAILED]
    parked = found.state is MailboxState.PARKED and found.failure
    return replace(
        progress,
        whole=progress.whole + (found.state is MailboxState.COMPLETE and not tally.pending and not failed),
        messages=progress.messages + tally[Outcome.COPIED] + tally[Outcome.ALREADY_PRESENT],
        pending=progress.pending + tally.pending,
        failed=progress.failed + failed,
        stopped=(*progress.stopped, (found.destination.login, found.failure.sentence))
        if parked and found.failure
        else progress.stopped,
    )


def no_way_back(mailbox: Mailbox) -> str:
    """Says why nothing can ever be brought back to the mailbox's source; "" where it can."""
    spoken = protocol_of(mailbox.source.endpoint)
    if not spoken.takes_mail:
        return SOURCE_TAKES_NO_MAIL.says(protocol=spoken.title)
    return ""


def back_progress(store: Store, mailbox: Mailbox) -> BackProgress:
    """Tells how far the copy back of this mailbox is."""
    origin = store.import_(mailbox.import_id)
    if origin is None:
        return BackProgress()
    import_ = _turned_round(origin, mailbox)
    wanted = _mailbox(import_, mailbox).mailbox_id
    found = store.mailbox(wanted)
    if found is None:
        return BackProgress()
    tallies = [tally for _, tally in store.folders(wanted)]

    def sum_of(*outcomes: Outcome) -> int:
        return sum(tally[outcome] for tally in tallies for outcome in outcomes)

    return BackProgress(
        import_id=import_.import_id,
        mailbox_id=wanted,
        state=found.state,
        back=sum_of(Outcome.COPIED, Outcome.ALREADY_PRESENT),
        pending=sum(tally.pending for tally in tallies),
        failed=sum_of(Outcome.REFUSED, Outcome.FAILED),
        trouble=found.failure.sentence if found.failure and found.state is MailboxState.PARKED else "",
    )


class CopyBack:
    """Marks mailboxes before their switch, and brings back what came since. Thread-safe."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        opening: DestinationEntrance,
        retention_days: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Takes what signs in. `retention_days` as for any import; the coordinator rings for it."""
        self._store, self._vault, self._opening = store, vault, opening
        self._retention_days, self._now = retention_days, now

    def mark(self, mailbox: Mailbox) -> SwitchMarks:
        """Keeps UIDVALIDITY and UIDNEXT of every folder of the destination: what comes later is brought back.

        To be called just before the mailbox is switched; again, it takes the numbers of that moment. Raises MailError,
        CredentialsError and `StoreError`.
        """
        at = self._now()
        session = self._opening.destination(mailbox)
        try:
            names, _ = readable(session.listing(), shared=False)
            told = known_statuses(session, names)
            session.close()
        except BaseException:
            session.abort()
            raise
        marks = SwitchMarks(
            at=at,
            folders=tuple(
                FolderMark(name=name, uidvalidity=one.uidvalidity or 0, uidnext=one.uidnext)
                for name, one in zip(names, told, strict=True)
                if not isinstance(one, Exception)
            ),
        )
        if not self._store.mark_switch(mailbox.mailbox_id, marks):
            raise StoreError(MAILBOX_IS_NOT_IN_STORE.says(name=mailbox.mailbox_id))
        return marks

    def begin(self, mailbox: Mailbox) -> str:
        """Begins to bring back what came to the destination since the mark. Returns the id of the import that does it.

        Asked for again while that is under way, it changes nothing; after its end it looks once more for what came since.
        From then on the mailbox is looked at again, since mail may come to the new server for as long as somebody keeps an old
        answer of the DNS; `rest` ends that.
        Raises `UsageError` where there is no way back, `CredentialsError` where the passwords are forgotten, and
        `StoreError`.
        """
        if why := no_way_back(mailbox):
            raise NOT_BROUGHT_BACK.error(login=mailbox.source.login, what=why)
        if self._store.switch_marks(mailbox.mailbox_id) is None:
            raise NEVER_SWITCHED.error(login=mailbox.source.login)
        origin = self._store.import_(mailbox.import_id)
        if origin is None:
            raise StoreError(IMPORT_IS_NOT_IN_STORE.says(name=mailbox.import_id))
        import_ = _turned_round(origin, mailbox)
        there = _mailbox(import_, mailbox)
        sealed = self._sealed(origin, mailbox, import_, there)

        def write() -> int:
            queued = self._store.open_import(import_, [there], self._retention_days)
            self._store.seal(import_.import_id, sealed)
            return queued

        submit_whole(self._store, import_.import_id, write)
        # It was begun before, and its mailbox may have been moved into another wave since.
        stored = self._store.mailbox(there.mailbox_id)
        if stored is not None and stored.wave != there.wave:
            self._store.move(import_.import_id, there.mailbox_id, wave=there.wave)
        if not self._store.set_standing(import_.import_id, there.wave, LATE):
            raise StoreError(IMPORT_HAS_NO_WAVE.says(name=import_.import_id, wave=repr(there.wave)))
        return import_.import_id

    def rest(self, origin: Import, wave: str) -> None:
        """Ends the looks for what still comes to the new server; `wave` is "" for the import as a whole."""
        for import_ in self._store.imports():
            if import_.options.returns == origin.import_id:
                self._store.set_standing(import_.import_id, wave, None)

    def progress(self, mailbox: Mailbox) -> BackProgress:
        """Tells how far the copy back of this mailbox is."""
        return back_progress(self._store, mailbox)

    def _sealed(
        self, origin: Import, mailbox: Mailbox, import_: Import, there: Mailbox
    ) -> dict[tuple[str, str], bytes]:
        """Returns the credentials of both sides, sealed for the other direction."""
        bound = bound_to(origin, mailbox)
        found: dict[tuple[str, str], bytes] = {}
        for side, was in _OTHER.items():
            given = self._opened(mailbox.import_id, mailbox.mailbox_id, was, bound)
            found[there.mailbox_id, side] = self._vault.seal(
                there.mailbox_id, side, given, bound=bound_to(import_, there)
            )
            if not given.own:
                shared = self._opened(mailbox.import_id, mailbox.import_id, was)
                found[import_.import_id, side] = self._vault.seal(import_.import_id, side, shared)
        return found

    def _opened(self, import_: str, name: str, side: str, bound: str = "") -> Credentials:
        sealed = self._store.sealed(import_, name, side)
        if sealed is None:
            raise CredentialsError(CREDENTIALS_ARE_NO_LONGER_STORED.says(side=side))
        return self._vault.open(name, side, sealed, bound=bound)


def _turned_round(origin: Import, mailbox: Mailbox) -> Import:
    """Returns the import that goes the other way for this mailbox. Rows of several old servers make several imports."""
    name = origin.name[: _LONGEST_NAME - len(SUFFIX)] + SUFFIX
    source, destination = origin.destination, mailbox.source.endpoint
    was = origin.options
    return Import(
        import_id=import_id(name, source, destination),
        name=name,
        source=source,
        destination=destination,
        options=Options(
            returns=origin.import_id,
            # Where the folders were put that the import made; the copy back takes them out of it again.
            into=was.into,
            share_destination=was.share_destination,
            case_sensitive_logins=was.case_sensitive_logins,
            # Both sides show the same mail, since it was just copied; that is no mistake here.
            same_mailbox=True,
            source_sign_in=was.destination_sign_in,
            destination_sign_in=was.source_sign_in,
        ),
    )


def _mailbox(import_: Import, mailbox: Mailbox) -> Mailbox:
    """Returns the mailbox as the import has it that goes the other way."""
    login, new_login = mailbox.destination.login, mailbox.source.login
    return replace(
        Mailbox(
            mailbox_id=mailbox_id(import_.import_id, login, new_login),
            import_id=import_.import_id,
            row=mailbox.row,
            source=Account(endpoint=import_.source, login=login),
            destination=Account(endpoint=import_.destination, login=new_login),
        ),
        wave=mailbox.wave,
        priority=mailbox.priority,
        group=mailbox.group,
    )
