"""Stores a request and starts it. The order matters, and every step may be repeated after any crash.

1. Write the import and its mailboxes. No worker serves them yet, since the import is only *opening*.

2. Write their sealed credentials. The store accepts them only once the import exists.

3. `submit`: from here on the import runs, and workers find everything that they need.

4. Send the jobs. If they are lost, the coordinator sends them again.

A crash in between leaves the import in state "opening", and the same command completes it. Where the store was started
again in between, all of it is written once more (`shared.store.submitting`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import time as now
from typing import Final

from producer.intake.manifest_row import Row
from producer.intake.providers import catalogue
from producer.intake.sign_in import SignInAsked
from producer.operations.acknowledged import on_disk
from producer.operations.resources import HeldResources
from shared.model import BY_ROW, Import, Mailbox, Options
from shared.model.binding import bound_to
from shared.model.errors import CredentialsError
from shared.model.lifecycle import ImportState
from shared.model.sides import Side
from shared.rules.hours import ALWAYS, Hours
from shared.runtime.credentials import Credentials, Vault
from shared.runtime.secret import Secret
from shared.sign_in.removals import REMOVALS, sealed_permission
from shared.store.ports.request_store import RequestStore
from shared.store.submitting import submit_whole

#: Number of mailboxes whose credentials are sealed in one call.
_PART: Final = 500


class RequestOperations(HeldResources):
    """The operations that store a request and start it."""

    @on_disk
    def submit(
        self,
        import_: Import,
        mailboxes: Sequence[Mailbox],
        rows: Sequence[Row],
        *,
        accounts_secret: Secret | None = None,
        sign_ins: Mapping[Side, SignInAsked] | None = None,
        hold: bool = False,
        hours: Hours | None = None,
    ) -> int:
        """Opens the import, or opens it again. Returns how many mailboxes were queued.

        - `accounts_secret`: the secret of `import_.options.accounts`; without one, that which is stored for it stays.
        - `sign_ins`: by side, how rows without a password of their own sign in.
        - `hold`: only stores the import, in state "opening"; no worker serves it before `set_going`.
        - `hours`: when it may work; None keeps the hours that were set before.
        """
        self._set_usual(import_, mailboxes)

        def write() -> int:
            return self._written(self.store, import_, mailboxes, rows, accounts_secret, sign_ins or {}, hours)

        queued = submit_whole(self.store, import_.import_id, write, hold=hold)
        if not hold:
            self.ring_some(import_.import_id)
        return queued

    def _set_usual(self, import_: Import, mailboxes: Sequence[Mailbox]) -> None:
        sources = {import_.source, *(mailbox.source.endpoint for mailbox in mailboxes)} - {BY_ROW}
        self.store.set_usual(catalogue().usual_limits(sources, import_.destination, self.own_limits))

    def _written(
        self,
        store: RequestStore,
        import_: Import,
        mailboxes: Sequence[Mailbox],
        rows: Sequence[Row],
        accounts_secret: Secret | None,
        sign_ins: Mapping[Side, SignInAsked],
        hours: Hours | None,
    ) -> int:
        queued = store.open_import(_going_on(store, import_), mailboxes, self.settings.retention_days)
        if hours:
            set_hours(store, import_.import_id, hours, now())
        if import_.options.accounts and (accounts_secret or not self._keeps_accounts(store, import_)):
            # The secret is bound to its service: whoever can write to the store cannot name a program for workers to run.
            what = Credentials(login=import_.options.accounts, password=accounts_secret or Secret(""))
            sealed = self.vault.seal(import_.import_id, "accounts", what)
            store.seal(import_.import_id, {(import_.import_id, "accounts"): sealed})
        permission = sealed_permission(self.vault, import_.import_id, import_.options)
        store.seal(import_.import_id, {(import_.import_id, REMOVALS): permission})
        sides = {side: sign_ins.get(side, SignInAsked()) for side in Side}
        for side, asked in sides.items():
            if not asked.by_rows:
                what = Credentials(login=asked.sign_in.text, password=asked.secret)
                sealed = self.vault.seal(import_.import_id, side, what)
                store.seal(import_.import_id, {(import_.import_id, side): sealed})
        for at in range(0, len(mailboxes), _PART):
            part = zip(mailboxes[at : at + _PART], rows[at : at + _PART], strict=True)
            store.seal(
                import_.import_id,
                {
                    (mailbox.mailbox_id, side): sealed
                    for mailbox, row in part
                    for side, sealed in _sealed(self.vault, import_, mailbox, row, sides).items()
                },
            )
        return queued

    def _keeps_accounts(self, store: RequestStore, import_: Import) -> bool:
        """Tells whether a secret for the same account service is there, which a request without one leaves as it is."""
        sealed = store.sealed(import_.import_id, import_.import_id, "accounts")
        try:
            return sealed is not None and (
                self.vault.open(import_.import_id, "accounts", sealed).login == import_.options.accounts
            )
        except CredentialsError:
            return False

    @on_disk
    def set_going(self, import_id_: str) -> None:
        """Starts an import that was stored."""
        self.store.submit(import_id_)
        self.ring_some(import_id_)


def _going_on(store: RequestStore, import_: Import) -> Import:
    """Keeps the way of verification of a pass that is under way, unless the request names another one.

    A pass that `verify` began is continued by the command `import`, which must not change it.
    """
    known = store.import_(import_.import_id)
    if known is None or known.state is ImportState.FINISHED or import_.options.verify != Options().verify:
        return import_
    return replace(import_, options=replace(import_.options, verify=known.options.verify))


def set_hours(store: RequestStore, import_id_: str, hours: Hours, at: float, wave: str = "") -> None:
    """Sets the hours in which the import, or a wave of it, may work, from `at` on (seconds since the epoch).

    The coordinator moves the time window on from there.
    """
    if hours == ALWAYS:
        store.set_window(import_id_, "", wave=wave)
        return
    span = hours.span(at)
    store.set_window(import_id_, hours.text, span.opens_at, span.shuts_at, wave=wave)


def _sealed(
    vault: Vault, import_: Import, mailbox: Mailbox, row: Row, sides: Mapping[Side, SignInAsked]
) -> Mapping[Side, bytes]:
    sealed, bound = {}, bound_to(import_, mailbox)
    for side, asked in sides.items():
        own = asked.own(side, row)
        # An account that is to be created needs its password, whichever way the import signs in to it.
        spare = row.new_password if import_.options.accounts and side == Side.DESTINATION else Secret("")
        login = mailbox.source.login if side == Side.SOURCE else mailbox.destination.login
        credentials = Credentials(login=login, password=own or spare, own=own is not None)
        sealed[side] = vault.seal(mailbox.mailbox_id, side, credentials, bound=bound)
    return sealed
