"""Writes a request down and sets it going. Order matters, and every step may be repeated after any crash:

1. the import and its mailboxes: nothing is served yet, since the import is only *opening*;
2. their credentials, sealed: the store has a place for them only once the import is there;
3. `submit`: from here on it runs, and workers find everything that they need;
4. the doorbells. When this one is lost, the coordinator rings.

Killed in between, it stands in state "opening" and the same command goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from time import time as now

from producer.intake.manifest import Row
from producer.intake.providers import catalogue
from producer.intake.sign_in import SignInAsked
from shared.credentials import Credentials, Secret, Vault
from shared.errors import UsageError
from shared.hours import ALWAYS, Hours
from shared.lifecycle import ImportState
from shared.model import BY_ROW, Account, Endpoint, Import, Mailbox, Options, Profile, Unit, import_id, mailbox_id
from shared.model.binding import bound_to
from shared.store import Store

#: Rings once for this unit of this import.
Ring = Callable[[Unit, str], None]
#: Doorbells rung at once; the coordinator rings for the rest as lanes get free.
_FIRST_BELLS = 64
#: Mailboxes whose credentials are sealed in one call.
_PART = 500
_NAME_LENGTH = 120


def import_name(given: str, manifest: str) -> str:
    """What the import is called: what was given, else the file's name without its ending. Raises `UsageError`."""
    name = (given or PurePath(manifest).stem).strip()
    if not name or len(name) > _NAME_LENGTH or not name.isprintable():
        raise UsageError(f"--name: must be 1 to {_NAME_LENGTH} printable characters")
    return name


def prepare_import(
    rows: Sequence[Row], source: Endpoint, destination: Endpoint, options: Options, name: str
) -> tuple[Import, tuple[Mailbox, ...]]:
    """The request as nouns. The same name and servers give the same ids, so that running it again goes on."""
    request = Import(
        import_id=import_id(name, source, destination),
        name=name,
        source=source,
        destination=destination,
        options=options,
    )
    return request, tuple(_mailbox(request, row) for row in rows)


def _mailbox(request: Import, row: Row) -> Mailbox:
    # That of all stays that of all however a row writes it: then its CA file or fingerprint counts.
    elsewhere = row.server is not None and row.server.url != request.source.url
    source = row.server if row.server and elsewhere else request.source
    return Mailbox(
        mailbox_id=mailbox_id(request.import_id, row.login, row.new_login, source.url if elsewhere else ""),
        import_id=request.import_id,
        row=row.line,
        source=Account(endpoint=source, login=row.login),
        destination=Account(endpoint=request.destination, login=row.new_login),
        profile=Profile(first_name=row.first_name, last_name=row.last_name, quota_bytes=row.quota_bytes),
    )


def submit(
    store: Store,
    vault: Vault,
    ring: Ring,
    request: Import,
    mailboxes: Sequence[Mailbox],
    rows: Sequence[Row],
    retention_days: float,
    *,
    most: Mapping[str, int] | None = None,
    accounts_secret: Secret | None = None,
    sign_ins: Mapping[str, SignInAsked] | None = None,
    hold: bool = False,
    hours: Hours | None = None,
) -> int:
    """Opens (or opens again) the import; returns how many mailboxes were queued. `most`: connections that a person set for
    all servers, by scope; what a provider is known to allow may be less. `accounts_secret`: that of
    `request.options.accounts`. `sign_ins`: by side, how and with what rows sign in that have no password of their own. `hold`:
    only written down; it stands in state "opening", and nothing of it is served before `set_going`. `hours`: when it may work; None
    leaves what was said before."""
    sources = {request.source, *(mailbox.source.endpoint for mailbox in mailboxes)} - {BY_ROW}
    store.set_usual(catalogue().usual_limits(sources, request.destination, most or {}))
    queued = store.open_import(_going_on(store, request), mailboxes, retention_days)
    if hours:
        set_hours(store, request.import_id, hours, now())
    if request.options.accounts:
        # Bound to the service that it is for: who can write to the store cannot name a program for workers to run.
        what = Credentials(login=request.options.accounts, password=accounts_secret or Secret(""))
        sealed = vault.seal(request.import_id, "accounts", what)
        store.seal(request.import_id, {(request.import_id, "accounts"): sealed})
    sides = {side: (sign_ins or {}).get(side, SignInAsked()) for side in ("source", "destination")}
    for side, asked in sides.items():
        if not asked.by_rows:
            what = Credentials(login=asked.sign_in.text, password=asked.secret)
            sealed = vault.seal(request.import_id, side, what)
            store.seal(request.import_id, {(request.import_id, side): sealed})
    for at in range(0, len(mailboxes), _PART):
        part = zip(mailboxes[at : at + _PART], rows[at : at + _PART], strict=True)
        store.seal(
            request.import_id,
            {
                (mailbox.mailbox_id, side): sealed
                for mailbox, row in part
                for side, sealed in _sealed(vault, request, mailbox, row, sides).items()
            },
        )
    if not hold:
        set_going(store, ring, request.import_id)
    return queued


def _going_on(store: Store, request: Import) -> Import:
    """A pass that is under way is verified in the way that was asked for when it began, unless another is asked for now: the
    command that goes on with what `verify` began is `import`."""
    known = store.import_(request.import_id)
    if known is None or known.state is ImportState.FINISHED or request.options.verify != Options().verify:
        return request
    return replace(request, options=replace(request.options, verify=known.options.verify))


def set_going(store: Store, ring: Ring, import_id_: str) -> None:
    """What was written down runs from here on."""
    store.submit(import_id_)
    ring_some(store, ring, import_id_)


def set_hours(store: Store, import_id_: str, hours: Hours, at: float) -> None:
    """When it may work, from `at` on (seconds since the epoch). The coordinator goes on from there."""
    if hours == ALWAYS:
        store.set_window(import_id_, "")
        return
    span = hours.span(at)
    store.set_window(import_id_, hours.text, span.opens_at, span.shuts_at)


def ring_some(store: Store, ring: Ring, import_id_: str) -> None:
    """Doorbells for what is ready now, so that nobody waits for the coordinator's next turn."""
    for unit in store.ready_units(_FIRST_BELLS):
        ring(unit, import_id_)


def _sealed(
    vault: Vault, request: Import, mailbox: Mailbox, row: Row, sides: Mapping[str, SignInAsked]
) -> Mapping[str, bytes]:
    sealed, bound = {}, bound_to(request, mailbox)
    for side, asked in sides.items():
        own = asked.own(side, row)
        # Of an account that is to be made the password is needed, whoever signs in to it.
        spare = row.new_password if request.options.accounts and side == "destination" else Secret("")
        login = mailbox.source.login if side == "source" else mailbox.destination.login
        credentials = Credentials(login=login, password=own or spare, own=own is not None)
        sealed[side] = vault.seal(mailbox.mailbox_id, side, credentials, bound=bound)
    return sealed
