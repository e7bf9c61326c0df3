"""What an operator may do: every verb, as a function over the store. The command line, the page and the API call only
these.

Nothing here prints, waits or starts a process. What servers are asked for is in `producer.intake.scan`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from producer.coordinator import tally
from producer.coordinator.tally import Progress, Window
from producer.intake.manifest import Row
from producer.intake.sign_in import SignInAsked
from producer.intake.submit import Ring, import_name, prepare_import, ring_some, set_going, set_hours, submit
from producer.limits import read_limit, set_limit
from producer.trouble import ErrorGroup, Sufferer, folder_trouble, trouble, unreadable
from shared.credentials import Credentials, Secret, Vault
from shared.errors import CredentialsError, UsageError
from shared.hours import Hours
from shared.lifecycle import SETTLED, Control, MailboxState, Outcome
from shared.model import AccountState, Import, Mailbox, Note, Tally, Unit, UnitKind, part_id
from shared.store import Store
from shared.uids import UidSet

__all__ = [
    "ErrorGroup",
    "Sufferer",
    "accounts_secret_of",
    "control",
    "errors",
    "find_import",
    "find_mailboxes",
    "folder_trouble",
    "forget",
    "import_name",
    "meant_by",
    "prepare_import",
    "progress_of",
    "read_limit",
    "replace_credentials",
    "replace_passwords",
    "retry",
    "rows_of",
    "set_going",
    "set_limit",
    "set_window",
    "sign_ins_of",
    "stored_passwords",
    "submit",
    "verify",
]

#: Outcomes that a person may want tried again.
RETRIED: Final = (Outcome.REFUSED, Outcome.FAILED)
#: Messages of one batch that is tried again.
_RETRY_BATCH = 500
#: Candidates named when a text fits several imports.
_NAMED = 8


def find_import(store: Store, text: str = "") -> Import:
    """The import with this id, beginning of an id, or name; without a text the newest. Raises `UsageError` that lists
    the candidates."""
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


def find_mailboxes(store: Store, request: Import, login: str) -> list[tuple[Mailbox, Tally]]:
    """The mailbox with this login at the source, else at the destination; all without one. Raises `UsageError`."""
    everyone = store.mailboxes(request.import_id)
    if not login:
        return everyone
    found = [pair for pair in everyone if pair[0].source.login == login] or [
        pair for pair in everyone if login in (pair[0].destination.login, pair[0].mailbox_id)
    ]
    if not found:
        raise UsageError(f"import {request.name} has no mailbox with the login {login}")
    return found


def progress_of(store: Store, request: Import, window: Window | None = None) -> Progress:
    """Where the import stands."""
    counts, mailboxes = store.import_tally(request.import_id)
    stranded, waits = store.stranded(request.import_id), store.waits(request.import_id)
    return tally.progress(request, counts, mailboxes, window, stranded, waits)


def control(store: Store, ring: Ring, request: Import, word: Control, login: str = "") -> int:
    """Pause, resume or cancel the import or one mailbox; how many mailboxes it concerns."""
    if login:
        concerned = sum(
            store.control(request.import_id, mailbox.mailbox_id, word)
            for mailbox, _ in find_mailboxes(store, request, login)
        )
    else:
        concerned = store.control(request.import_id, None, word)
    if word is Control.RUN:
        ring_some(store, ring, request.import_id)
    return concerned


def retry(store: Store, ring: Ring, request: Import, login: str = "", code: str = "") -> tuple[int, int]:
    """Queues again what is parked, and messages that were refused or failed: (mailboxes, messages). A cancelled mailbox
    only when it is named, or the whole import was cancelled. `code`: only mailboxes whose failure this is."""
    chosen = [
        pair
        for pair in find_mailboxes(store, request, login)
        if not code or (pair[0].failure is not None and pair[0].failure.code == code)
    ]
    whole = not code and all(mailbox.state is MailboxState.CANCELLED for mailbox, _ in chosen)
    again: list[tuple[Mailbox, list[tuple[Unit, Sequence[Note]]]]] = []
    for mailbox, counts in chosen:
        batches = list(_retried(store, mailbox)) if any(counts[outcome] for outcome in RETRIED) else []
        parked = mailbox.state is MailboxState.PARKED or (mailbox.state is MailboxState.CANCELLED and (login or whole))
        if (
            batches
            or parked
            or (
                mailbox.state is MailboxState.COMPLETE
                and any(unreadable(folder) for folder, _ in store.folders(mailbox.mailbox_id))
            )
        ):
            again.append((mailbox, batches))
    _need_passwords(store, request, [mailbox for mailbox, _ in again])
    store.forgive_logins(request.import_id)
    mailboxes = messages = 0
    for mailbox, batches in again:
        if store.retry(request.import_id, mailbox.mailbox_id, batches):
            mailboxes += 1
            messages += sum(len(unit.uids) for unit, _ in batches)
    if mailboxes:
        ring_some(store, ring, request.import_id)
    return mailboxes, messages


def _need_passwords(store: Store, request: Import, mailboxes: Sequence[Mailbox]) -> None:
    """Raises `UsageError` when those of any of these are gone: nobody could sign in."""
    gone = sum(
        any(store.sealed(request.import_id, mailbox.mailbox_id, side) is None for side in ("source", "destination"))
        for mailbox in mailboxes
    )
    if gone:
        some = f"the passwords of {gone} of {len(mailboxes)} mailboxes" if gone < len(mailboxes) else "the passwords"
        raise UsageError(
            f"{some} of import {request.name} are no longer stored: run the same import command again, or give them with: "
            f"mailhaul credentials {request.import_id[:8]} FILE.csv"
        )


def _retried(store: Store, mailbox: Mailbox) -> Iterator[tuple[Unit, Sequence[Note]]]:
    for folder, counts in store.folders(mailbox.mailbox_id):
        if not any(counts[outcome] for outcome in RETRIED):
            continue
        notes = [note for note in store.notes(folder.folder_id) if note.what in RETRIED]
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


def verify(store: Store, ring: Ring, request: Import, retention_days: float, *, full: bool, login: str = "") -> int:
    """Opens mailboxes again: a pass that finds what is new, and compares. How many were queued."""
    chosen = [mailbox for mailbox, _ in find_mailboxes(store, request, login)]
    if any(store.import_tally(request.import_id)[1].get(state) for state in MailboxState if state not in SETTLED):
        raise UsageError(f"import {request.name} is under way: ask again when it is finished (mailhaul watch)")
    _need_passwords(store, request, chosen)
    options = replace(request.options, verify="full" if full else "anew")
    queued = store.open_import(replace(request, options=options), chosen, retention_days)
    store.submit(request.import_id)
    ring_some(store, ring, request.import_id)
    return queued


@dataclass(frozen=True, kw_only=True, slots=True)
class Replaced:
    """What new credentials did."""

    #: Mailboxes whose credentials were replaced.
    mailboxes: int
    #: Of these, parked ones that are queued again.
    queued: int
    #: Rows that fit no mailbox of the import.
    unknown_rows: tuple[int, ...] = ()


def replace_credentials(
    store: Store, vault: Vault, ring: Ring, request: Import, rows: Sequence[Row], columns: Sequence[str] = ()
) -> Replaced:
    """Seals new passwords, found by the login at the source, and queues mailboxes again that are parked.

    A file without passwords for the destination replaces the destination's too when both were the same so far (as in a
    manifest of two columns); otherwise the destination's is left alone."""
    meant = meant_by(request, [mailbox for mailbox, _ in store.mailboxes(request.import_id)])
    both_given = "new_password" in columns
    unknown = []
    done = queued = 0
    for row in rows:
        mailbox = meant(row)
        if mailbox is None:
            unknown.append(row.line)
            continue
        sealed = {"source": (mailbox.source.login, row.password)}
        if (both_given and row.new_password != row.password) or _were_alike(store, vault, mailbox):
            sealed["destination"] = (mailbox.destination.login, row.new_password)
        store.seal(
            request.import_id,
            {
                (mailbox.mailbox_id, side): vault.seal(
                    mailbox.mailbox_id, side, Credentials(login=name, password=password)
                )
                for side, (name, password) in sealed.items()
            },
        )
        done += 1
        if mailbox.state is MailboxState.PARKED and store.retry(request.import_id, mailbox.mailbox_id, []):
            queued += 1
    if queued:
        ring_some(store, ring, request.import_id)
    return Replaced(mailboxes=done, queued=queued, unknown_rows=tuple(unknown))


def replace_passwords(
    store: Store, vault: Vault, ring: Ring, request: Import, mailbox: Mailbox, given: Mapping[str, Secret]
) -> bool:
    """Seals new passwords of one mailbox, by side, and leaves the other side's alone; whether it was parked and goes on."""
    logins = {"source": mailbox.source.login, "destination": mailbox.destination.login}
    store.seal(
        request.import_id,
        {
            (mailbox.mailbox_id, side): vault.seal(
                mailbox.mailbox_id, side, Credentials(login=logins[side], password=password)
            )
            for side, password in given.items()
        },
    )
    goes_on = mailbox.state is MailboxState.PARKED and store.retry(request.import_id, mailbox.mailbox_id, [])
    if goes_on:
        ring_some(store, ring, request.import_id)
    return goes_on


def meant_by(request: Import, mailboxes: Sequence[Mailbox]) -> Callable[[Row], Mailbox | None]:
    """Whose new password a row holds: found by the login at the source. Where several servers have that login, the row must
    name its server, as the manifest did, since a password is shown to nobody but the server that it is for."""
    found: dict[str, list[Mailbox]] = defaultdict(list)
    for mailbox in mailboxes:
        found[mailbox.source.login].append(mailbox)

    def meant(row: Row) -> Mailbox | None:
        alike = found.get(row.login, [])
        if row.server or len(alike) > 1:
            url = (row.server or request.source).url
            alike = [mailbox for mailbox in alike if mailbox.source.endpoint.url == url]
        return alike[0] if len(alike) == 1 else None

    return meant


def _were_alike(store: Store, vault: Vault, mailbox: Mailbox) -> bool:
    """Whether both sides had one password; so too when neither is stored any more and the logins are one."""
    found: list[Secret] = []
    for side in ("source", "destination"):
        sealed = store.sealed(mailbox.import_id, mailbox.mailbox_id, side)
        try:
            if sealed is not None:
                given = vault.open(mailbox.mailbox_id, side, sealed)
                if not given.own:
                    return False
                found.append(given.password)
        except CredentialsError:
            return mailbox.source.login == mailbox.destination.login
    if len(found) == 2:
        return found[0] == found[1]
    return mailbox.source.login == mailbox.destination.login


def stored_passwords(store: Store, vault: Vault, mailboxes: Sequence[Mailbox]) -> dict[str, Secret]:
    """Passwords of accounts that an earlier run made or had set apart for this, by login at the destination."""
    found = {}
    for mailbox in mailboxes:
        sealed = [store.sealed(mailbox.import_id, mailbox.mailbox_id, side) for side in ("source", "destination")]
        known = store.mailbox(mailbox.mailbox_id) if all(sealed) else None
        if known is None:
            continue
        try:
            theirs, ours = (
                vault.open(mailbox.mailbox_id, side, one).password
                for side, one in zip(("source", "destination"), sealed, strict=True)
                if one is not None
            )
        except CredentialsError:
            continue
        if theirs != ours or known.account in (AccountState.CREATING, AccountState.CREATED):
            found[mailbox.destination.login] = ours
    return found


def rows_of(store: Store, vault: Vault, request: Import) -> tuple[Row, ...]:
    """The manifest again, from what is stored. Raises `UsageError` when its passwords are forgotten."""
    rows = []
    for mailbox, _ in store.mailboxes(request.import_id):
        found = []
        for side in ("source", "destination"):
            sealed = store.sealed(request.import_id, mailbox.mailbox_id, side)
            if sealed is None:
                raise UsageError(f"the passwords of import {request.name} are no longer stored: give them again")
            given = vault.open(mailbox.mailbox_id, side, sealed)
            found.append(given.password if given.own else Secret(""))
        rows.append(
            Row(
                line=mailbox.row,
                login=mailbox.source.login,
                password=found[0],
                new_login=mailbox.destination.login,
                new_password=found[1],
                own_new_password=found[0] != found[1],
                server=mailbox.source.endpoint if mailbox.source.endpoint.url != request.source.url else None,
                first_name=mailbox.profile.first_name,
                last_name=mailbox.profile.last_name,
                quota_bytes=mailbox.profile.quota_bytes,
            )
        )
    return tuple(rows)


def sign_ins_of(store: Store, vault: Vault, request: Import) -> dict[str, SignInAsked]:
    """How each side is signed in to where a row gives no password. Raises `UsageError` when that is forgotten."""
    found = {}
    for side, sign_in in (
        ("source", request.options.source_sign_in),
        ("destination", request.options.destination_sign_in),
    ):
        sealed = store.sealed(request.import_id, request.import_id, side)
        if sealed is None and SignInAsked(sign_in=sign_in).by_rows:
            found[side] = SignInAsked(sign_in=sign_in)
        elif sealed is None:
            raise UsageError(f"the passwords of import {request.name} are no longer stored: give them again")
        else:
            found[side] = SignInAsked(sign_in=sign_in, secret=vault.open(request.import_id, side, sealed).password)
    return found


def accounts_secret_of(store: Store, vault: Vault, request: Import) -> Secret:
    """What the import's account services are shown; empty where they need none. Raises `CredentialsError`."""
    sealed = store.sealed(request.import_id, request.import_id, "accounts")
    return vault.open(request.import_id, "accounts", sealed).password if sealed else Secret("")


def forget(store: Store, request: Import) -> bool:
    """Deletes the import's passwords now; whether there were any."""
    return store.forget(request.import_id)


def set_window(store: Store, ring: Ring, request: Import, hours: Hours, at: float) -> None:
    """The hours in which the import may work from now (`at`) on. A person's pause is another matter."""
    set_hours(store, request.import_id, hours, at)
    ring_some(store, ring, request.import_id)


def errors(
    store: Store, request: Import, login: str = "", everyone: Sequence[tuple[Mailbox, Tally]] | None = None
) -> list[ErrorGroup]:
    """What went wrong, by kind. With `everyone` (rows that were just read) folders are left alone."""
    rows = find_mailboxes(store, request, login) if everyone is None else everyone
    return trouble(store, request, rows, folders=everyone is None)
