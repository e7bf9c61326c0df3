"""The operations of mailhaul: every verb, as a function over the store.

The command line, the page and the API call only these. No function here prints, waits or starts a process. Requests to
servers are in `producer.intake.scan`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from producer.coordinator import tally
from producer.coordinator.estimate import NO_CAPS, Caps
from producer.coordinator.pace import Window
from producer.coordinator.tally import Progress
from producer.operations.outages import waits_of
from producer.operations.trouble import ErrorGroup, Sufferer, folder_trouble, trouble
from producer.waves import checked, priority_of, read_start, total, wave_of, waves_of
from shared.model import Import, Mailbox, Note, Tally, Unit, UnitKind, part_id
from shared.model.errors import UsageError
from shared.model.lifecycle import SETTLED, Control, ImportState, MailboxState, Outcome
from shared.model.search import Search
from shared.model.uids import UidSet
from shared.rules.hours import Hours
from shared.store import Store

if TYPE_CHECKING:
    from producer.intake.submit import Ring, import_name, prepare_import, set_going, submit
    from producer.operations.credentials import (
        Forgotten,
        Replaced,
        accounts_secret_of,
        forget,
        meant_by,
        replace_credentials,
        replace_passwords,
        replace_shared,
        rows_of,
        shared_anew,
        sign_ins_of,
        stored_passwords,
    )
    from producer.operations.limits import read_limit, set_limit
    from producer.operations.rotation import rotate
    from shared.model.cutover import Cutover, CutoverOptions
    from shared.runtime.credentials import Vault

__all__ = [
    "ErrorGroup",
    "Forgotten",
    "Replaced",
    "Sufferer",
    "accounts_secret_of",
    "caps_of",
    "close",
    "control",
    "errors",
    "find_import",
    "find_mailboxes",
    "folder_trouble",
    "forget",
    "given_up_by_cancel",
    "import_name",
    "meant_by",
    "move",
    "prepare_import",
    "progress_of",
    "read_limit",
    "read_start",
    "replace_credentials",
    "replace_passwords",
    "replace_shared",
    "retry",
    "rotate",
    "rows_of",
    "set_going",
    "set_limit",
    "set_wave",
    "set_window",
    "shared_anew",
    "sign_ins_of",
    "start_cutover",
    "stored_passwords",
    "submit",
    "verify",
    "waits_of",
    "wave_of",
    "waves_of",
    "weighed",
]

#: Operations by the module that does them; it is loaded when one is asked for, since a verb that only looks needs none.
_ELSEWHERE: Final = {
    "producer.operations.credentials": (
        "Forgotten",
        "Replaced",
        "accounts_secret_of",
        "forget",
        "meant_by",
        "need_no_passwords",
        "need_passwords",
        "replace_credentials",
        "replace_passwords",
        "replace_shared",
        "rows_of",
        "shared_anew",
        "sign_ins_of",
        "stored_passwords",
    ),
    "producer.intake.submit": ("import_name", "prepare_import", "set_going", "submit"),
    "producer.operations.limits": ("read_limit", "set_limit"),
    "producer.operations.rotation": ("rotate",),
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        for module, names in _ELSEWHERE.items():
            if name in names:
                return getattr(import_module(module), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


#: Outcomes that the operator may want tried again.
RETRIED: Final = (Outcome.REFUSED, Outcome.FAILED)
#: Note of a message that was copied and that the destination no longer shows.
MISSING: Final = "missing"
#: Number of messages in one batch that is tried again.
_RETRY_BATCH = 500
#: Largest import, in mailboxes, whose progress counts the part done of each mailbox at work.
_WEIGHED: Final = 100
#: The largest number of mailboxes in a wave.
_EVERYONE: Final = 10_000_000
#: Number of candidates named when a text fits several imports.
_NAMED = 8


def _ring_some(store: Store, ring: Ring, import_id: str) -> None:
    from producer.intake.submit import ring_some

    ring_some(store, ring, import_id)


def find_import(store: Store, text: str = "") -> Import:
    """Returns the import with this id, beginning of an id, or name; without a text the newest.

    Raises `UsageError` that lists the candidates.
    """
    known = store.imports()
    if not known:
        raise UsageError(
            "there is no import yet; start one with: mailhaul import ACCOUNTS.csv --source S --destination D"
        )
    if not text:
        return known[0]
    exact = [one for one in known if text in (one.import_id, one.name)]
    found = exact or [one for one in known if one.import_id.startswith(text.lower()) and len(text) >= 2]
    if len(found) == 1:
        return found[0]
    shown = found or known
    names = "\n".join(f"  {one.import_id[:8]}  {one.name}  ({one.state})" for one in shown[:_NAMED])
    more = f"\n  … and {len(shown) - _NAMED} more: mailhaul list" if len(shown) > _NAMED else ""
    what = f"{text!r} fits {len(found)} imports" if found else f"no import is called {text!r}"
    raise UsageError(f"{what}; give the name or the beginning of the id of one of these:\n{names}{more}")


def find_mailboxes(store: Store, import_: Import, login: str, wave: str = "") -> list[tuple[Mailbox, Tally]]:
    """Returns the mailbox with this id, else the rows with this login at the source, else at the destination.

    Returns all mailboxes without a login. With `wave` only mailboxes of that wave. Raises `UsageError`.
    """
    if wave:
        wave_of(store, import_, wave)
        everyone = store.find_mailboxes(import_.import_id, Search(wave=wave, count=_EVERYONE))[1]
    else:
        everyone = store.mailboxes(import_.import_id)
    if not login:
        return everyone
    found = (
        [pair for pair in everyone if pair[0].mailbox_id == login]
        or [pair for pair in everyone if pair[0].source.login == login]
        or [pair for pair in everyone if pair[0].destination.login == login]
    )
    if not found:
        if wave:
            raise UsageError(f"wave {wave} of import {import_.name} has no mailbox with the login {login}")
        raise UsageError(f"import {import_.name} has no mailbox with the login {login}")
    return found


def progress_of(store: Store, import_: Import, window: Window | None = None, wave: str = "") -> Progress:
    """Returns the progress of the import, or of one of its waves. Raises `UsageError`."""
    if wave:
        of_wave = find_mailboxes(store, import_, "", wave)
        states = Counter(mailbox.state for mailbox, _ in of_wave)
        waits = [wait for wait in waits_of(store, import_) if wait.key == wave or not wait.what.startswith("wave_")]
        return tally.progress(import_, total(counts for _, counts in of_wave), states, waits=waits, rows=of_wave)
    counts, mailboxes = store.import_tally(import_.import_id)
    stranded, waits = store.stranded(import_.import_id), waits_of(store, import_)
    rows = store.mailboxes(import_.import_id) if weighed(import_, mailboxes) else None
    caps = caps_of(store, import_) if window is not None else NO_CAPS
    return tally.progress(import_, counts, mailboxes, window, stranded, waits, rows, caps)


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


def control(store: Store, ring: Ring, import_: Import, word: Control, login: str = "", wave: str = "") -> int:
    """Pauses, resumes or cancels the import, a wave or one mailbox. Returns how many mailboxes it changes.

    Resuming a cancelled import or mailbox queues it again, as `retry` does. It returns 0 if the state was already as
    wanted, or if nothing is left to change.
    """
    # `request` may be older than another user's pause or resume.
    import_ = store.import_(import_.import_id) or import_
    if wave and not login:
        return _control_wave(store, ring, import_, word, wave)
    if word is Control.RUN and (went_on := _go_on(store, ring, import_, login, wave)):
        return went_on
    if not login and word is import_.control and word is not Control.CANCEL:
        rows = find_mailboxes(store, import_, "") if word is Control.RUN else []
        if not any(mailbox.control is not word and mailbox.state not in SETTLED for mailbox, _ in rows):
            return 0
    # The store also counts mailboxes that were cancelled before.
    most = given_up_by_cancel(store, import_, login, wave)[0] if word is Control.CANCEL else None
    if login:
        concerned = sum(
            store.control(import_.import_id, mailbox.mailbox_id, word)
            for mailbox, _ in find_mailboxes(store, import_, login, wave)
            if word is not Control.PAUSE or mailbox.control is not word
        )
    else:
        concerned = store.control(import_.import_id, None, word)
    if word is Control.RUN:
        _ring_some(store, ring, import_.import_id)
    return concerned if most is None else min(most, concerned)


def _control_wave(store: Store, ring: Ring, import_: Import, word: Control, wave: str) -> int:
    """Pauses, resumes or cancels a wave. Returns how many mailboxes it changes."""
    there, rows = wave_of(store, import_, wave), find_mailboxes(store, import_, "", wave)
    went_on = _go_on(store, ring, import_, "", wave) if word is Control.RUN else 0
    alike = word is Control.RUN and all(mailbox.control is word or mailbox.state in SETTLED for mailbox, _ in rows)
    if there.control is word and (alike or word is Control.PAUSE):
        return went_on
    most = given_up_by_cancel(store, import_, "", wave)[0] if word is Control.CANCEL else len(rows)
    concerned = store.control(import_.import_id, None, word, wave=wave)
    if word is Control.RUN:
        _ring_some(store, ring, import_.import_id)
    return max(went_on, min(most, concerned))


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


def _go_on(store: Store, ring: Ring, import_: Import, login: str, wave: str) -> int:
    """Queues cancelled mailboxes again: all of a cancelled import, else those that are named. Returns how many."""
    if not (login or wave) and import_.control is not Control.CANCEL:
        return 0
    found = find_mailboxes(store, import_, login, wave)
    cancelled = {mailbox.mailbox_id for mailbox, _ in found if mailbox.state is MailboxState.CANCELLED}
    return retry(store, ring, import_, login, wave=wave, only=cancelled)[0] if cancelled else 0


def retry(
    store: Store,
    ring: Ring,
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
    from producer.operations.credentials import need_passwords

    import_ = store.import_(import_.import_id) or import_  # as in `control`
    chosen = [
        pair
        for pair in find_mailboxes(store, import_, login, wave)
        if (not code or (pair[0].failure is not None and pair[0].failure.code == code))
        and (only is None or pair[0].mailbox_id in only)
    ]
    everyone = all(mailbox.state is MailboxState.CANCELLED for mailbox, _ in chosen)
    whole = not code and (import_.control is Control.CANCEL or everyone)
    again: list[tuple[Mailbox, list[tuple[Unit, Sequence[Note]]]]] = []
    for mailbox, counts in chosen:
        gone = copy_missing and counts.missing and mailbox.state in SETTLED
        wanted = (*RETRIED, MISSING) if gone else RETRIED
        batches = list(_retried(store, mailbox, wanted)) if gone or any(counts[outcome] for outcome in RETRIED) else []
        parked = mailbox.state is MailboxState.PARKED or (mailbox.state is MailboxState.CANCELLED and (login or whole))
        complete = mailbox.state is MailboxState.COMPLETE
        if batches or parked or (complete and (counts.withheld or counts.unreadable)):
            again.append((mailbox, batches))
    need_passwords(store, import_, [mailbox for mailbox, _ in again])
    store.forgive_logins(import_.import_id)
    mailboxes = messages = 0
    for mailbox, batches in again:
        if store.retry(import_.import_id, mailbox.mailbox_id, batches):
            mailboxes += 1
            messages += sum(len(unit.uids) for unit, _ in batches)
    if mailboxes:
        _ring_some(store, ring, import_.import_id)
    return mailboxes, messages


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


def verify(
    store: Store,
    ring: Ring,
    import_: Import,
    retention_days: float,
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
    from producer.operations.credentials import need_passwords

    chosen = [mailbox for mailbox, _ in find_mailboxes(store, import_, login, wave)]
    if any(store.import_tally(import_.import_id)[1].get(state) for state in MailboxState if state not in SETTLED):
        raise UsageError(f"import {import_.name} is under way: ask again when it is finished (mailhaul watch)")
    need_passwords(store, import_, chosen)
    accepted = sum(_accepted(store, import_, mailbox) for mailbox in chosen) if accept_missing else 0
    options = replace(import_.options, verify="full" if full else "anew")
    queued = store.open_import(replace(import_, options=options), chosen, retention_days)
    store.submit(import_.import_id)
    _ring_some(store, ring, import_.import_id)
    return queued, accepted


def _accepted(store: Store, import_: Import, mailbox: Mailbox) -> int:
    """Accepts the messages of the mailbox that are reported as missing as removed on purpose. Returns how many."""
    accepted = 0
    for folder, counts in store.folders(mailbox.mailbox_id):
        if counts.missing:
            uids = UidSet.of(note.uid for note in store.notes(folder.folder_id) if note.what == MISSING)
            accepted += store.accept_missing(import_.import_id, mailbox.mailbox_id, folder.folder_id, uids)
    return accepted


def close(store: Store, import_: Import) -> bool:
    """Deletes the import and its ledger from the store. Raises `UsageError` while it is under way."""
    from producer.operations.credentials import need_no_passwords

    found = store.import_(import_.import_id)
    if found is not None and found.state is ImportState.RUNNING:
        raise UsageError(
            f"import {import_.name} is under way: wait until it is finished, or cancel it first (mailhaul cancel)"
        )
    if any(one for one in store.standings(import_.import_id).values()):
        raise UsageError(
            f"import {import_.name} stands: its mailboxes are looked at again by themselves; end that first "
            "(mailhaul standing --off)"
        )
    need_no_passwords(store, import_)
    return store.close(import_.import_id)


def start_cutover(
    store: Store, vault: Vault, import_: Import, wave: str, options: CutoverOptions, *, who: str, at: float
) -> Cutover:
    """Begins the cutover of a wave, or "" of the import as a whole.

    Raises `UsageError`, also when the passwords are no longer stored, so that nothing could be kept in sync.
    """
    from producer.cutover import acts
    from producer.operations.credentials import need_passwords
    from shared.store.records.cutovers import Cutovers

    acts.may_cut_over(store, import_, wave)
    some = store.find_mailboxes(import_.import_id, Search(wave=wave, count=1))[1]
    need_passwords(store, import_, [mailbox for mailbox, _ in some])
    return acts.start(Cutovers(store, vault), store, import_, wave, options, who=who, at=at)


def set_window(store: Store, ring: Ring, import_: Import, hours: Hours, at: float, wave: str = "") -> None:
    """Sets the hours in which the import, or a wave of it, may work from now (`at`) on.

    The operator's pause is independent of them. Raises `UsageError`.
    """
    if wave:
        wave_of(store, import_, wave)
    from producer.intake.submit import set_hours

    set_hours(store, import_.import_id, hours, at, wave)
    _ring_some(store, ring, import_.import_id)


def set_wave(
    store: Store,
    ring: Ring,
    import_: Import,
    name: str,
    *,
    starts_at: float | None = None,
    weight: int | None = None,
    order: int | None = None,
) -> None:
    """Sets what is given of a wave, from now on; makes it where it is not there yet. Raises `UsageError`."""
    checked(weight, order)
    if starts_at is not None and not name:
        raise UsageError("--start-at: is of one wave; say which by --wave")
    store.set_wave(import_.import_id, name, starts_at=starts_at, weight=weight, order=order)
    _ring_some(store, ring, import_.import_id)


def move(
    store: Store,
    ring: Ring,
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
        raise UsageError("say where it goes: --wave, --front or --priority")
    if not login:
        raise UsageError("--mailbox: say which mailbox")
    moved = 0
    for mailbox, _ in find_mailboxes(store, import_, login):
        moved += store.move(import_.import_id, mailbox.mailbox_id, wave=wave, priority=asked)
    _ring_some(store, ring, import_.import_id)
    return moved


def errors(
    store: Store,
    import_: Import,
    login: str = "",
    everyone: Sequence[tuple[Mailbox, Tally]] | None = None,
    wave: str = "",
) -> list[ErrorGroup]:
    """Returns the errors by kind. With `everyone` (rows that were just read) folders are not read."""
    rows = find_mailboxes(store, import_, login, wave) if everyone is None else everyone
    return trouble(store, import_, rows, folders=everyone is None)
