"""Stores a request and starts it. The order matters, and every step may be repeated after any crash.

1. Write the import and its mailboxes. No worker serves them yet, since the import is only *opening*.

2. Write their sealed credentials. The store accepts them only once the import exists.

3. `submit`: from here on the import runs, and workers find everything that they need.

4. Send the jobs. If they are lost, the coordinator sends them again.

A crash in between leaves the import in state "opening", and the same command completes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from time import time as now

from producer.intake.manifest import Row
from producer.intake.providers import catalogue
from producer.intake.sign_in import SignInAsked
from shared.model import BY_ROW, Account, Endpoint, Import, Mailbox, Options, Profile, Unit, import_id, mailbox_id
from shared.model.binding import bound_to
from shared.model.lifecycle import ImportState
from shared.rules.hours import ALWAYS, Hours
from shared.runtime.credentials import Credentials, Secret, Vault
from shared.store import Store
from shared.wording.phrases import Phrase

#: Sends one job for this unit of this import.
Ring = Callable[[Unit, str], None]
#: Number of jobs sent at once; the coordinator sends the rest as lanes become free.
_FIRST_BELLS = 64
#: Number of mailboxes whose credentials are sealed in one call.
_PART = 500
_NAME_LENGTH = 120
NAME = Phrase("import_name", "must be 1 to {num} printable characters")


def import_name(given: str, manifest: str) -> str:
    """Returns the import's name: the given one, else the file's name without its extension. Raises `UsageError`."""
    name = (given or PurePath(manifest).stem).strip()
    if not name or len(name) > _NAME_LENGTH or not name.isprintable():
        raise NAME.error("name", num=_NAME_LENGTH)
    return name


def prepare_import(
    rows: Sequence[Row], source: Endpoint, destination: Endpoint, options: Options, name: str
) -> tuple[Import, tuple[Mailbox, ...]]:
    """Turns the request into an import and its mailboxes.

    The same name and servers give the same ids, so that a second run continues the first.
    """
    import_ = Import(
        import_id=import_id(name, source, destination),
        name=name,
        source=source,
        destination=destination,
        options=options,
    )
    return import_, tuple(_mailbox(import_, row) for row in rows)


def _mailbox(import_: Import, row: Row) -> Mailbox:
    # A row that repeats the URL of the import's source uses that source, with its CA file or fingerprint.
    elsewhere = row.server is not None and row.server.url != import_.source.url
    source = row.server if row.server and elsewhere else import_.source
    return Mailbox(
        mailbox_id=mailbox_id(import_.import_id, row.login, row.new_login, source.url if elsewhere else ""),
        import_id=import_.import_id,
        row=row.line,
        source=Account(endpoint=source, login=row.login),
        destination=Account(endpoint=import_.destination, login=row.new_login),
        wave=row.wave,
        priority=row.priority,
        group=row.group,
        profile=Profile(first_name=row.first_name, last_name=row.last_name, quota_bytes=row.quota_bytes),
    )


def submit(
    store: Store,
    vault: Vault,
    ring: Ring,
    import_: Import,
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
    """Opens the import, or opens it again. Returns how many mailboxes were queued.

    - `most`: connections that the operator set for all servers, by scope; a provider's preset may lower them.
    - `accounts_secret`: the secret of `request.options.accounts`.
    - `sign_ins`: by side, how rows without a password of their own sign in.
    - `hold`: only stores the import, in state "opening"; no worker serves it before `set_going`.
    - `hours`: when it may work; None keeps the hours that were set before.
    """
    sources = {import_.source, *(mailbox.source.endpoint for mailbox in mailboxes)} - {BY_ROW}
    store.set_usual(catalogue().usual_limits(sources, import_.destination, most or {}))
    queued = store.open_import(_going_on(store, import_), mailboxes, retention_days)
    if hours:
        set_hours(store, import_.import_id, hours, now())
    if import_.options.accounts:
        # The secret is bound to its service: whoever can write to the store cannot name a program for workers to run.
        what = Credentials(login=import_.options.accounts, password=accounts_secret or Secret(""))
        sealed = vault.seal(import_.import_id, "accounts", what)
        store.seal(import_.import_id, {(import_.import_id, "accounts"): sealed})
    sides = {side: (sign_ins or {}).get(side, SignInAsked()) for side in ("source", "destination")}
    for side, asked in sides.items():
        if not asked.by_rows:
            what = Credentials(login=asked.sign_in.text, password=asked.secret)
            sealed = vault.seal(import_.import_id, side, what)
            store.seal(import_.import_id, {(import_.import_id, side): sealed})
    for at in range(0, len(mailboxes), _PART):
        part = zip(mailboxes[at : at + _PART], rows[at : at + _PART], strict=True)
        store.seal(
            import_.import_id,
            {
                (mailbox.mailbox_id, side): sealed
                for mailbox, row in part
                for side, sealed in _sealed(vault, import_, mailbox, row, sides).items()
            },
        )
    if not hold:
        set_going(store, ring, import_.import_id)
    return queued


def _going_on(store: Store, import_: Import) -> Import:
    """Keeps the way of verification of a pass that is under way, unless the request names another one.

    A pass that `verify` began is continued by the command `import`, which must not change it.
    """
    known = store.import_(import_.import_id)
    if known is None or known.state is ImportState.FINISHED or import_.options.verify != Options().verify:
        return import_
    return replace(import_, options=replace(import_.options, verify=known.options.verify))


def set_going(store: Store, ring: Ring, import_id_: str) -> None:
    """Starts an import that was stored."""
    store.submit(import_id_)
    ring_some(store, ring, import_id_)


def set_hours(store: Store, import_id_: str, hours: Hours, at: float, wave: str = "") -> None:
    """Sets the hours in which the import, or a wave of it, may work, from `at` on (seconds since the epoch).

    The coordinator moves the time window on from there.
    """
    if hours == ALWAYS:
        store.set_window(import_id_, "", wave=wave)
        return
    span = hours.span(at)
    store.set_window(import_id_, hours.text, span.opens_at, span.shuts_at, wave=wave)


def ring_some(store: Store, ring: Ring, import_id_: str) -> None:
    """Sends jobs for the units that are ready now, so that they do not wait for the coordinator's next tick."""
    for unit in store.ready_units(_FIRST_BELLS):
        ring(unit, import_id_)


def _sealed(
    vault: Vault, import_: Import, mailbox: Mailbox, row: Row, sides: Mapping[str, SignInAsked]
) -> Mapping[str, bytes]:
    sealed, bound = {}, bound_to(import_, mailbox)
    for side, asked in sides.items():
        own = asked.own(side, row)
        # An account that is to be created needs its password, whichever way the import signs in to it.
        spare = row.new_password if import_.options.accounts and side == "destination" else Secret("")
        login = mailbox.source.login if side == "source" else mailbox.destination.login
        credentials = Credentials(login=login, password=own or spare, own=own is not None)
        sealed[side] = vault.seal(mailbox.mailbox_id, side, credentials, bound=bound)
    return sealed
