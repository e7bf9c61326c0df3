"""Replaces, reads and deletes the passwords, tokens and keys of an import.

They are sealed before they are stored, and are kept nowhere else.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import redis

from producer.intake.account_options import AccountsAsked
from producer.intake.editing import asked_again
from producer.intake.manifest_row import Row
from producer.intake.sign_in import SignInAsked, renewed
from producer.intake.specification import ImportAsked
from producer.operations.acknowledged import on_disk
from producer.operations.resources import HeldResources
from shared.model import AccountState, Import, Mailbox
from shared.model.binding import bound_to
from shared.model.errors import CredentialsError
from shared.model.lifecycle import MailboxState
from shared.model.sides import Side
from shared.model.sign_in import Way
from shared.nouns import dataclass
from shared.runtime.credentials import Credentials, EndsChanged, Vault
from shared.runtime.secret import Secret
from shared.sign_in.allowed_places import AllowedPlaces
from shared.store import Resealed, Store
from shared.store.ports.request_store import RequestStore
from shared.store.records.cutovers import Cutovers, needing
from shared.store.records.named_services import NamedServices
from shared.store.records.page_state import PageState
from shared.store.records.principals import Principals
from shared.store.records.sessions import BrowserSessions
from shared.store.records.targets import Targets
from shared.wording.phrases import Phrase, text_of

CUTOVER_NEEDS_THEM: Final = Phrase(
    "passwords_of_cutover",
    "{name} has a cutover under way: close it or roll it back first (mailhaul cutover status)",
)
WAVE_OF: Final = Phrase("wave_of_import", "wave {wave_name} of import {name}")
ENDS_CHANGED: Final = Phrase("ends_changed", "{what}")
IMPORT: Final = Phrase("import", "import {name}")
ALL_PASSWORDS: Final = Phrase("passwords_all", "the passwords")
SOME_PASSWORDS: Final = Phrase("passwords_some", "the passwords of {gone} of {num} mailboxes")
PASSWORDS_GONE: Final = Phrase(
    "passwords_gone",
    "{what} of import {name} are no longer stored: run the same import command again, or give them with: mailhaul "
    "credentials {id} FILE.csv",
)
ROLLBACK_NEEDS_THEM: Final = Phrase(
    "passwords_of_rollback",
    "{name} is being rolled back: wait until everybody is back (mailhaul cutover status)",
)
GIVE_AGAIN: Final = Phrase(
    "passwords_to_give_again",
    "the passwords of import {name} are no longer stored: give them again",
)

#: The longest wait until the store has rewritten its file, seconds.
_PURGE_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Replaced:
    """The result of new credentials."""

    #: Mailboxes whose credentials were replaced.
    mailboxes: int
    #: Parked mailboxes among these that are queued again.
    queued: int
    #: Rows that fit no mailbox of the import.
    unknown_rows: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Forgotten:
    """The result of forgetting an import's passwords."""

    #: Whether there were any.
    there: bool
    #: Whether nothing of them is left in the store's file.
    purged: bool


class CredentialsOperations(HeldResources):
    """The operations on the passwords, tokens and keys of an import."""

    @on_disk
    def replace_credentials(self, import_: Import, rows: Sequence[Row], columns: Sequence[str] = ()) -> Replaced:
        """Seals new passwords, found by the login at the source, and queues parked mailboxes again.

        A file without passwords for the destination replaces the destination's too when both were the same so far (as in a
        manifest of two columns). Otherwise the destination's stays as it is.
        """
        meant = meant_by(import_, [mailbox for mailbox, _ in self.store.mailboxes(import_.import_id)])
        both_given = "new_password" in columns
        unknown = []
        done = queued = 0
        for row in rows:
            mailbox = meant(row)
            if mailbox is None:
                unknown.append(row.line)
                continue
            _refuse_changed(self.store, self.vault, import_, mailbox)
            sealed = {"source": (mailbox.source.login, row.password)}
            if (both_given and row.new_password != row.password) or _were_alike(
                self.store, self.vault, import_, mailbox
            ):
                sealed["destination"] = (mailbox.destination.login, row.new_password)
            self.store.seal(
                import_.import_id,
                {
                    (mailbox.mailbox_id, side): self.vault.seal(
                        mailbox.mailbox_id,
                        side,
                        Credentials(login=name, password=password),
                        bound=bound_to(import_, mailbox),
                    )
                    for side, (name, password) in sealed.items()
                },
            )
            done += 1
            if mailbox.state is MailboxState.PARKED and self.store.retry(import_.import_id, mailbox.mailbox_id, []):
                queued += 1
        if queued:
            self.ring_some(import_.import_id)
        return Replaced(mailboxes=done, queued=queued, unknown_rows=tuple(unknown))

    @on_disk
    def replace_passwords(self, import_: Import, mailbox: Mailbox, given: Mapping[Side, Secret]) -> bool:
        """Seals new passwords of one mailbox, by side; the other side's stays as it is.

        Returns whether the mailbox was parked and goes on.
        """
        _refuse_changed(self.store, self.vault, import_, mailbox)
        logins = {"source": mailbox.source.login, "destination": mailbox.destination.login}
        self.store.seal(
            import_.import_id,
            {
                (mailbox.mailbox_id, side): self.vault.seal(
                    mailbox.mailbox_id,
                    side,
                    Credentials(login=logins[side], password=password),
                    bound=bound_to(import_, mailbox),
                )
                for side, password in given.items()
            },
        )
        goes_on = mailbox.state is MailboxState.PARKED and self.store.retry(import_.import_id, mailbox.mailbox_id, [])
        if goes_on:
            self.ring_some(import_.import_id)
        return goes_on

    def shared_anew(self, import_: Import, readers: Mapping[Side, Callable[[Way], Secret]]) -> dict[Side, Secret]:
        """Returns, by side, the secrets that the readers give, for `replace_shared`.

        Raises `UsageError` where a side has no shared secret, or needs one of another kind.
        """
        sign_ins = self.sign_ins_of(import_)
        ends = {Side.SOURCE: import_.source, Side.DESTINATION: import_.destination}
        return {side: renewed(side, ends[side], sign_ins[side], read) for side, read in readers.items()}

    @on_disk
    def replace_shared(self, import_: Import, given: Mapping[Side, Secret]) -> int:
        """Seals new shared secrets of the import, by side, as `shared_anew` read them.

        They are an administrator's password, a token or a key, for accounts without a password of their own. Mailboxes that
        were parked because the old one was refused go on. Returns how many.
        """
        codes = {f"{side}_{why}" for side in given for why in ("auth_refused", "logins_stopped")}
        waiting = [
            mailbox
            for mailbox, _ in self.store.mailboxes(import_.import_id)
            if mailbox.state is MailboxState.PARKED
            and mailbox.failure is not None
            and mailbox.failure.code in codes
            and not _own(self.store, self.vault, import_, mailbox, Side(mailbox.failure.code.partition("_")[0]))
        ]
        need_passwords(self.store, import_, waiting)
        sign_ins = {Side.SOURCE: import_.options.source_sign_in, Side.DESTINATION: import_.options.destination_sign_in}
        for side, secret in given.items():
            held = Credentials(login=sign_ins[side].text, password=secret)
            self.store.seal(
                import_.import_id, {(import_.import_id, side): self.vault.seal(import_.import_id, side, held)}
            )
        queued = sum(self.store.retry(import_.import_id, mailbox.mailbox_id, []) for mailbox in waiting)
        if queued:
            self.ring_some(import_.import_id)
        return queued

    def stored_passwords(self, mailboxes: Sequence[Mailbox]) -> dict[str, Secret]:
        """Returns, by login at the destination, passwords of accounts that an earlier run created or was to create."""
        found = {}
        for mailbox in mailboxes:
            sealed = [self.store.sealed(mailbox.import_id, mailbox.mailbox_id, side) for side in Side]
            known = self.store.mailbox(mailbox.mailbox_id) if all(sealed) else None
            import_ = self.store.import_(mailbox.import_id) if known else None
            if known is None or import_ is None:
                continue
            try:
                theirs, ours = (
                    self.vault.open(mailbox.mailbox_id, side, one, bound=bound_to(import_, known)).password
                    for side, one in zip(Side, sealed, strict=True)
                    if one is not None
                )
            except CredentialsError:
                continue
            if theirs != ours or known.account in (AccountState.CREATING, AccountState.CREATED):
                found[mailbox.destination.login] = ours
        return found

    def rows_of(self, import_: Import) -> tuple[Row, ...]:
        """Rebuilds the manifest's rows from the store. Raises `UsageError` when its passwords are deleted."""
        rows = []
        for mailbox, _ in self.store.mailboxes(import_.import_id):
            found = []
            for side in Side:
                sealed = self.store.sealed(import_.import_id, mailbox.mailbox_id, side)
                if sealed is None:
                    raise GIVE_AGAIN.error(name=import_.name)
                given = self.vault.open(mailbox.mailbox_id, side, sealed, bound=bound_to(import_, mailbox))
                # An account that is to be made gets this password, also where somebody else signs in to it.
                made = side is Side.DESTINATION and bool(import_.options.accounts)
                found.append(given.password if given.own or made else Secret(""))
            rows.append(
                Row(
                    line=mailbox.row,
                    login=mailbox.source.login,
                    password=found[0],
                    new_login=mailbox.destination.login,
                    new_password=found[1],
                    own_new_password=found[0] != found[1],
                    server=mailbox.source.endpoint if mailbox.source.endpoint.url != import_.source.url else None,
                    first_name=mailbox.profile.first_name,
                    last_name=mailbox.profile.last_name,
                    quota_bytes=mailbox.profile.quota_bytes,
                    wave=mailbox.wave,
                    priority=mailbox.priority,
                    group=mailbox.group,
                )
            )
        return tuple(rows)

    def sign_ins_of(self, import_: Import) -> dict[Side, SignInAsked]:
        """Returns how each side signs in where a row gives no password. Raises `UsageError` when the secret is deleted."""
        found = {}
        for side, sign_in in (
            (Side.SOURCE, import_.options.source_sign_in),
            (Side.DESTINATION, import_.options.destination_sign_in),
        ):
            sealed = self.store.sealed(import_.import_id, import_.import_id, side)
            if sealed is None and SignInAsked(sign_in=sign_in).by_rows:
                found[side] = SignInAsked(sign_in=sign_in)
            elif sealed is None:
                raise GIVE_AGAIN.error(name=import_.name)
            else:
                found[side] = SignInAsked(
                    sign_in=sign_in, secret=self.vault.open(import_.import_id, side, sealed).password
                )
        return found

    def accounts_secret_of(self, import_: Import) -> Secret:
        """Returns the secret of the import's account services; empty where they need none. Raises `CredentialsError`."""
        sealed = self.store.sealed(import_.import_id, import_.import_id, "accounts")
        return self.vault.open(import_.import_id, "accounts", sealed).password if sealed else Secret("")

    def version_of(self, import_: Import, store: RequestStore | None = None) -> str:
        """Returns a digest of all that an edit replaces: the import, its mailboxes, and whatever is sealed of them."""
        store, held = store or self.store, hashlib.sha256()
        held.update(repr(store.import_(import_.import_id)).encode("utf-8", "surrogatepass"))
        shared = [(import_.import_id, name) for name in (*Side, "accounts")]
        for mailbox, _ in store.mailboxes(import_.import_id):
            held.update(repr(mailbox).encode("utf-8", "surrogatepass"))
            shared += [(mailbox.mailbox_id, side) for side in Side]
        for name, side in shared:
            held.update(store.sealed(import_.import_id, name, side) or b"-")
        return held.hexdigest()

    def asked_again(self, import_: Import) -> ImportAsked:
        """Returns what opens such an import, with its rows and secrets. Raises `UsageError` where these are deleted."""
        accounts = AccountsAsked(text=import_.options.accounts, secret=self.accounts_secret_of(import_))
        return asked_again(import_, self.rows_of(import_), self.sign_ins_of(import_), accounts)

    @on_disk
    def forget(self, import_: Import) -> Forgotten:
        """Deletes the import's passwords and tokens now, and what servers said when they were signed in to.

        They go from the store's file too where that is permitted. Raises `UsageError` while a cutover needs them: without them
        nobody could be turned, not even back.
        """
        need_no_passwords(self.store, import_)
        there = self.store.forget(import_.import_id)
        return Forgotten(there=there, purged=self.store.purge(_PURGE_SECONDS))

    @on_disk
    def rotate(self, state: redis.Redis) -> Resealed:
        """Seals everything that is stored with the first key of the vault, and signs anew what is signed, while imports run.

        What a process with the same keys writes meanwhile is sealed by that key, too. Repeated, it changes nothing for
        anybody. `state` is the connection to the state database.
        """
        store, vault = self.store, self.vault
        total = Principals(state, vault).resign() + BrowserSessions(state, vault).resign()
        total += Targets(state, vault).resign() + NamedServices(state, vault).resign()
        total += AllowedPlaces(store, vault).resign() + PageState(state).renew_drafts(vault.rotate)
        for import_ in store.imports():
            total += store.reseal(import_.import_id, vault.rotate)
            total += Cutovers(store, vault).resign(import_.import_id)
        return total


def _own(store: Store, vault: Vault, import_: Import, mailbox: Mailbox, side: Side) -> bool:
    """Tells whether the mailbox signs in with a password of its own at this side."""
    sealed = store.sealed(mailbox.import_id, mailbox.mailbox_id, side)
    try:
        return sealed is not None and vault.open(mailbox.mailbox_id, side, sealed, bound=bound_to(import_, mailbox)).own
    except CredentialsError:
        return True


def _refuse_changed(store: Store, vault: Vault, import_: Import, mailbox: Mailbox) -> None:
    """Raises `UsageError` when the store names other servers or logins than the stored passwords were given for.

    Otherwise a new password would be sealed for whatever server was put there.
    """
    for side in Side:
        sealed = store.sealed(mailbox.import_id, mailbox.mailbox_id, side)
        try:
            if sealed is not None:
                vault.open(mailbox.mailbox_id, side, sealed, bound=bound_to(import_, mailbox))
        except EndsChanged as error:
            raise ENDS_CHANGED.error(what=text_of(error)) from None
        except CredentialsError:
            continue  # sealed by a lost key or an older version, so there is nothing to compare with


def meant_by(import_: Import, mailboxes: Sequence[Mailbox]) -> Callable[[Row], Mailbox | None]:
    """Returns a function that finds the mailbox a row's new password is for, by the login at the source.

    Where several servers have that login, the row must name its server, as the manifest did: a password is shown only
    to the server that it is for.
    """
    found: dict[str, list[Mailbox]] = defaultdict(list)
    for mailbox in mailboxes:
        found[mailbox.source.login].append(mailbox)

    def meant(row: Row) -> Mailbox | None:
        alike = found.get(row.login, [])
        if row.server or len(alike) > 1:
            url = (row.server or import_.source).url
            alike = [mailbox for mailbox in alike if mailbox.source.endpoint.url == url]
        return alike[0] if len(alike) == 1 else None

    return meant


def _were_alike(store: Store, vault: Vault, import_: Import, mailbox: Mailbox) -> bool:
    """Tells whether both sides had one password; if neither is stored any more, whether they have one login."""
    found: list[Secret] = []
    for side in Side:
        sealed = store.sealed(mailbox.import_id, mailbox.mailbox_id, side)
        try:
            if sealed is not None:
                given = vault.open(mailbox.mailbox_id, side, sealed, bound=bound_to(import_, mailbox))
                if not given.own:
                    return False
                found.append(given.password)
        except CredentialsError:
            return mailbox.source.login == mailbox.destination.login
    if len(found) == 2:
        return found[0] == found[1]
    return mailbox.source.login == mailbox.destination.login


def need_no_passwords(store: Store, import_: Import) -> None:
    """Raises `UsageError` while a cutover of the import, or its rollback, is under way."""
    if found := needing(store, import_.import_id):
        wave, back = found
        which = WAVE_OF.says(wave_name=wave, name=import_.name) if wave else IMPORT.says(name=import_.name)
        if back:
            raise ROLLBACK_NEEDS_THEM.error(name=which)
        raise CUTOVER_NEEDS_THEM.error(name=which)


def need_passwords(store: Store, import_: Import, mailboxes: Sequence[Mailbox]) -> None:
    """Raises `UsageError` when the passwords of any of these mailboxes are deleted, so that no worker could sign in."""
    gone = sum(
        any(store.sealed(import_.import_id, mailbox.mailbox_id, side) is None for side in Side) for mailbox in mailboxes
    )
    if gone:
        some = SOME_PASSWORDS.says(gone=gone, num=len(mailboxes)) if gone < len(mailboxes) else ALL_PASSWORDS.says()
        raise PASSWORDS_GONE.error(what=some, name=import_.name, id=import_.import_id[:8])
