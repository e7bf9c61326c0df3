"""Reads imports from the store: which there are, their mailboxes, progress and errors.

No function here changes anything, prints or waits; `producer.operations.operations` has what changes something.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

from producer.coordinator import tally
from producer.coordinator.estimate import NO_CAPS, Caps
from producer.coordinator.pace import Window
from producer.coordinator.tally import Progress
from producer.operations.outages import waits_of
from producer.operations.trouble import ErrorGroup, trouble, trouble_at_a_glance
from producer.waves import wave_of
from shared.model import Import, Mailbox, Tally
from shared.model.lanes import LanePlace
from shared.model.lifecycle import Control, ImportState, MailboxState, Outcome
from shared.model.search import Search
from shared.store import Store
from shared.wording.phrases import Phrase

CANDIDATES: Final = Phrase(
    "import_ambiguous",
    "{what}; give the name or the beginning of the id of one of these:\n{names}{more}",
)
FITS: Final = Phrase("import_fits_several", "{text} fits {num} imports")
FITS_NONE: Final = Phrase("import_unknown", "no import is called {text}")
MORE: Final = Phrase("import_more_candidates", "\n  … and {num} more: mailhaul list")
NO_IMPORT: Final = Phrase(
    "no_import_yet",
    "there is no import yet; start one with: mailhaul import ACCOUNTS.csv --source S --destination D",
)
NO_MAILBOX: Final = Phrase("mailbox_unknown", "import {name} has no mailbox with the login {login}")
NO_MAILBOX_IN_WAVE: Final = Phrase(
    "mailbox_not_in_wave",
    "wave {wave_name} of import {name} has no mailbox with the login {login}",
)

#: Outcomes that the operator may want tried again.
RETRIED: Final = (Outcome.REFUSED, Outcome.FAILED)
#: Note of a message that was copied and that the destination no longer shows.
MISSING: Final = "missing"
#: Largest import, in mailboxes, whose progress counts the part done of each mailbox at work.
_WEIGHED: Final = 100
#: Mailboxes up to which every row is read for the trouble of an import: in a larger one some of each kind are named.
MANY: Final = 1000
#: The largest number of mailboxes in a wave.
_EVERYONE: Final = 10_000_000
#: Mailboxes that are read at once where all are.
_PAGE: Final = 500
#: Number of places named at which a number of lanes was found.
_PLACES: Final = 6
#: Number of candidates named when a text fits several imports.
_NAMED = 8


def find_import(store: Store, text: str = "") -> Import:
    """Returns the import with this id, beginning of an id, or name.

    Without a text it is the newest that is not in the archive. Raises `UsageError` that lists the candidates.
    """
    known = store.imports()
    if not known:
        raise NO_IMPORT.error()
    if not text:
        return next((one for one in known if not one.archived), known[0])
    exact = [one for one in known if text in (one.import_id, one.name)]
    found = exact or [one for one in known if one.import_id.startswith(text.lower()) and len(text) >= 2]
    if len(found) == 1:
        return found[0]
    shown = found or known
    names = "\n".join(f"  {one.import_id[:8]}  {one.name}  ({progress_of(store, one).word})" for one in shown[:_NAMED])
    more = MORE.says(num=len(shown) - _NAMED) if len(shown) > _NAMED else ""
    what = FITS.says(text=f"{text!r}", num=len(found)) if found else FITS_NONE.says(text=f"{text!r}")
    raise CANDIDATES.error(what=what, names=names, more=more)


def find_mailboxes(store: Store, import_: Import, login: str, wave: str = "") -> list[tuple[Mailbox, Tally]]:
    """Returns the mailbox with this id, else the rows with this login at the source, else at the destination.

    Returns all mailboxes without a login. With `wave` only mailboxes of that wave. Raises `UsageError`.
    """
    if wave:
        wave_of(store, import_, wave)
    if not login:
        if wave:
            return list(store.find_mailboxes(import_.import_id, Search(wave=wave, count=_EVERYONE))[1])
        return store.mailboxes(import_.import_id)
    # The store looks through the logins: to read every row would take seconds where there are many.
    known = store.mailbox(login)
    text = known.source.login if known and known.import_id == import_.import_id else login
    alike = store.find_mailboxes(import_.import_id, Search(text=text, wave=wave, count=_EVERYONE))[1]
    found = (
        [pair for pair in alike if pair[0].mailbox_id == login]
        or [pair for pair in alike if pair[0].source.login == login]
        or [pair for pair in alike if pair[0].destination.login == login]
    )
    if not found:
        if wave:
            raise NO_MAILBOX_IN_WAVE.error(wave_name=wave, name=import_.name, login=login)
        raise NO_MAILBOX.error(name=import_.name, login=login)
    return found


def every_mailbox(
    store: Store, import_: Import, wave: str = "", state: MailboxState | None = None
) -> Iterator[tuple[Mailbox, Tally]]:
    """Yields the mailboxes of the import, or of a wave, in the order of their rows, while they are read.

    Of an import of many not more than some are in memory. Raises `UsageError` where it has no such wave, before the first.
    """
    if wave:
        wave_of(store, import_, wave)
    found = _in_pages(store, import_.import_id, Search(wave=wave, count=_PAGE))
    # Pages of those in a state would shift while they are read: who leaves it makes another be left out.
    return (pair for pair in found if state in (None, pair[0].state))


def _in_pages(store: Store, import_id: str, wanted: Search) -> Iterator[tuple[Mailbox, Tally]]:
    for start in count(0, _PAGE):
        # A page has fewer rows where some were erased while it was read.
        total, rows = store.find_mailboxes(import_id, replace(wanted, start=start))
        yield from rows
        if start + _PAGE >= total:
            return


def progress_of(store: Store, import_: Import, window: Window | None = None, wave: str = "") -> Progress:
    """Returns the progress of the import, or of one of its waves. Raises `UsageError`."""
    if wave:
        of_wave = find_mailboxes(store, import_, "", wave)
        states = Counter(mailbox.state for mailbox, _ in of_wave)
        waits = [wait for wait in waits_of(store, import_) if wait.key == wave or not wait.what.is_of_wave]
        return tally.progress(import_, Tally.total(counts for _, counts in of_wave), states, waits=waits, rows=of_wave)
    counts, mailboxes = store.import_tally(import_.import_id)
    stranded, waits = store.stranded(import_.import_id), waits_of(store, import_)
    rows = store.mailboxes(import_.import_id) if weighed(import_, mailboxes) else None
    caps = caps_of(store, import_) if window is not None else NO_CAPS
    lanes = () if import_.state is ImportState.FINISHED else lanes_of(store, import_)
    return replace(
        tally.progress(import_, counts, mailboxes, window, stranded, waits, rows, caps),
        lanes=lanes,
    )


def lanes_of(store: Store, import_: Import) -> tuple[LanePlace, ...]:
    """Returns the places of an import's two servers at which a number of lanes was found.

    Hosts come first, then those with most lanes; a few are enough.
    """
    ends = (("source", import_.source), ("destination", import_.destination))
    hosts = {f"{side}_host:{end.host}" for side, end in ends}
    accounts = tuple(f"{side}_account:{end.url}/" for side, end in ends)
    found = [one for one in store.lane_places() if one.search and (one.name in hosts or one.name.startswith(accounts))]
    return tuple(sorted(found, key=lambda one: (one.name not in hosts, -one.lanes, one.name))[:_PLACES])


def weighed(import_: Import, mailboxes: Mapping[MailboxState, int]) -> bool:
    """Tells whether the progress counts the part done of each mailbox at work.

    In a larger import that part hardly shows, and every row would have to be read.
    """
    return import_.state is not ImportState.FINISHED and sum(mailboxes.values()) <= _WEIGHED


def caps_of(store: Store, import_: Import) -> Caps:
    """Returns the limits that an estimate has to keep."""
    waves, kept = store.waves(import_.import_id), store.forecasts(import_.import_id)
    foreseen_at = kept[-1].ends_at if kept and kept[-1].passes == import_.passes else 0.0
    return Caps(given=store.limits(), usual=store.usual(), waves=waves, now=time.time(), foreseen_at=foreseen_at)


def controls_of(store: Store, import_: Import, login: str = "", wave: str = "") -> list[Control]:
    """Returns what persons want of the import, of the wave, or of the mailboxes with this login. Raises `UsageError`."""
    if login:
        return [mailbox.control for mailbox, _ in find_mailboxes(store, import_, login, wave)]
    if wave:
        return [wave_of(store, import_, wave).control]
    known = store.import_(import_.import_id)
    return [known.control] if known else []


def given_up_by_cancel(store: Store, import_: Import, login: str = "", wave: str = "") -> tuple[int, int]:
    """Returns how many mailboxes a cancellation would give up, and how many are complete and stay so.

    Raises `UsageError`.
    """
    if login or wave:
        mailboxes = Counter(mailbox.state for mailbox, _ in find_mailboxes(store, import_, login, wave))
    else:
        mailboxes = Counter(store.import_tally(import_.import_id)[1])
    complete = mailboxes[MailboxState.COMPLETE]
    return mailboxes.total() - complete - mailboxes[MailboxState.CANCELLED], complete


def errors_of(
    store: Store,
    import_: Import,
    login: str = "",
    everyone: Sequence[tuple[Mailbox, Tally]] | None = None,
    wave: str = "",
    named: int = 0,
) -> list[ErrorGroup]:
    """Returns the errors by kind. With `everyone` (rows that were just read) folders are not read.

    With `named` so many mailboxes of each kind are named in an import of many, and the others are counted.
    """
    if named and not login and sum(store.import_tally(import_.import_id)[1].values()) > MANY:
        if wave:
            wave_of(store, import_, wave)
        return trouble_at_a_glance(store, import_, named, wave)
    rows: Iterable[tuple[Mailbox, Tally]]
    if everyone is not None:
        rows = everyone
    else:
        rows = find_mailboxes(store, import_, login, wave) if login else every_mailbox(store, import_, wave)
    return trouble(store, import_, rows, folders=everyone is None)
