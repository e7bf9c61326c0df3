"""Makes sure that the account at the destination exists before its mailbox is planned.

Account creation has its own rate limit in the store, which all workers share: a lane that comes too early gives the
mailbox back until its turn. The lane writes down what it is about to create, so that after a crash an account that
exists is known to be ours. Then the lane signs in to the account, which leaves the session that planning needs anyway.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Final

from shared.accounts import AccountService, NewAccount
from shared.accounts.kinds import ServiceUrl
from shared.accounts.several import Services, parse_services, secret_of
from shared.model import AccountState, Lease, Mailbox
from shared.model.accounts import Created, Ensured, Rejected, Retry
from shared.model.binding import bound_to
from shared.model.errors import (
    AccountDelayed,
    AccountRejected,
    AuthenticationRefused,
    CredentialsError,
    LoginsStopped,
    Unreachable,
    UsageError,
)
from shared.model.sides import Side
from shared.runtime.credentials import Vault
from shared.runtime.logs import get_logger
from shared.runtime.secret import Secret
from shared.store import Store
from shared.wording.phrases import Phrase, text_of
from worker.sessions.mailbox_sessions import MailboxSessions

WAITS_S_FOR_ITS_TURN: Final = Phrase("waits_s_for_its_turn", "waits {num} s for its turn at {service}")
MADE_ACCOUNT_IT_MAY_BE_USED: Final = Phrase(
    "made_account_it_may_be_used", "{service} made the account; it may be used in a moment"
)
ACCOUNT_SERVICE_CREDENTIALS_NOT_STORED: Final = Phrase(
    "account_service_credentials_not_stored", "the account service's credentials are no longer stored"
)
NOT_THE_ACCOUNT_SERVICE_ASKED_FOR: Final = Phrase(
    "not_the_account_service_asked_for", "{service} is not the account service that was asked for"
)
STATE_STORE_TAMPERED_WITH: Final = Phrase(
    "state_store_tampered_with", "the state store has been tampered with; run the import command again"
)
GIVE_RIGHT_ACCOUNTS_SECRET: Final = Phrase(
    "give_right_accounts_secret", "give the right secret (--accounts-secret-file), and run the import command again"
)
DESTINATION_CREDENTIALS_NOT_STORED: Final = Phrase(
    "destination_credentials_not_stored", "the destination credentials are no longer stored"
)
PASSWORD_OF_AN_OLD_ACCOUNT_STAYS: Final = Phrase(
    "password_of_an_old_account_stays",
    "{what}; the account was there before, and its password is never changed",
)
CANNOT_BE_USED: Final = Phrase("cannot_be_used", "{service} cannot be used: {cause}")
NEW_ACCOUNT_DOES_NOT_LET_US_IN: Final = Phrase(
    "new_account_does_not_let_us_in", "the new account does not let us in yet"
)

_log = get_logger("mailhaul.worker")

#: Seconds until a new account that does not let us in yet is tried again for the first time; the wait doubles with the
#: account's age.
_FIRST_WAIT = 15.0
_LONGEST_WAIT = 300.0


class AccountServices:
    """The account services of a worker process. Thread-safe; a service is opened when it is first needed."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        per_minute: float,
        opened: Callable[[ServiceUrl, Secret], AccountService] | None = None,
    ) -> None:
        self._store, self._vault, self._interval, self._opened = store, vault, 60.0 / per_minute, opened or _opened
        #: (import, domain) → the sealed secret that the service was opened with, and the service.
        self._services: dict[tuple[str, str], tuple[bytes, AccountService]] = {}
        self._lock = threading.Lock()

    def prepare(self, lease: Lease, accounts: str, sessions: MailboxSessions) -> None:
        """Makes sure that the account exists and signs in to it.

        `accounts` is the value of `--accounts`. Raises `AccountDelayed`, `AccountRejected`, and what signing in raises.
        """
        mailbox, services = lease.mailbox, parse_services(accounts)
        if (meant := services.of(mailbox.destination.login)) is None:
            return
        domain, url = meant
        service = self._service(mailbox.import_id, services, domain, url)
        state = mailbox.account
        age = lease.claimed_at - mailbox.account_at if state is AccountState.CREATED else 0.0
        if state is not AccountState.CREATED or age >= service.settling_seconds:
            state = self._ensured(lease, url, service)
        self._signed_in(mailbox, sessions, state, age, service.settling_seconds)

    def _ensured(self, lease: Lease, url: ServiceUrl, service: AccountService) -> AccountState:
        mailbox, store = lease.mailbox, self._store
        if wait := store.account_turn(lease, url.shown, self._interval):
            raise AccountDelayed(WAITS_S_FOR_ITS_TURN.says(num=f"{wait:.0f}", service=url.shown), wait)
        outcome = service.ensure(
            self._wanted(mailbox),
            lambda: store.note_account(lease, AccountState.CREATING),
        )
        _log.info("account_ensured", service=url.kind, result=type(outcome).__name__.lower())
        if isinstance(outcome, Retry | Rejected):
            raise self._not_yet(outcome, url)
        began = mailbox.account in (AccountState.CREATING, AccountState.CREATED)
        state = AccountState.CREATED if isinstance(outcome, Created) or began else AccountState.ADOPTED
        store.note_account(lease, state)
        if isinstance(outcome, Created) and outcome.ready_seconds:
            raise AccountDelayed(MADE_ACCOUNT_IT_MAY_BE_USED.says(service=url.shown), outcome.ready_seconds)
        return state

    def _not_yet(self, outcome: Ensured, url: ServiceUrl) -> Exception:
        if isinstance(outcome, Rejected):
            return AccountRejected(outcome.reason, outcome.advice)
        assert isinstance(outcome, Retry)
        if outcome.everyone:
            self._store.account_hold(url.shown, outcome.after_seconds)
        if not outcome.reached:
            # Treated like a mail server that cannot be reached: waited for, and parked in the end.
            return Unreachable(Side.DESTINATION, outcome.why)
        return AccountDelayed(outcome.why, outcome.after_seconds)

    def _signed_in(
        self, mailbox: Mailbox, sessions: MailboxSessions, state: AccountState, age: float, settling: float
    ) -> None:
        try:
            sessions.destination(mailbox)
        except AuthenticationRefused as error:
            if state is AccountState.CREATED and age < settling:
                wait = min(max(_FIRST_WAIT, age), _LONGEST_WAIT)
                self._store.forgive_logins(mailbox.import_id, mailbox.mailbox_id)
                raise AccountDelayed(NEW_ACCOUNT_DOES_NOT_LET_US_IN.says(), wait) from error
            if isinstance(error, LoginsStopped):
                raise
            if state is AccountState.ADOPTED:
                what = PASSWORD_OF_AN_OLD_ACCOUNT_STAYS.says(what=error.what)
                raise AuthenticationRefused(error.side, what, error.detail) from error
            raise

    def _service(self, import_id: str, services: Services, domain: str, url: ServiceUrl) -> AccountService:
        sealed = self._store.sealed(import_id, import_id, "accounts")
        if sealed is None:
            raise CredentialsError(ACCOUNT_SERVICE_CREDENTIALS_NOT_STORED.says())
        with self._lock:
            known = self._services.get((import_id, domain))
            if known and known[0] == sealed:
                return known[1]
        given = self._vault.open(import_id, "accounts", sealed)
        if given.login != services.text:
            # A hook is a program: only those who can seal may name it.
            raise AccountRejected(
                NOT_THE_ACCOUNT_SERVICE_ASKED_FOR.says(service=url.shown),
                STATE_STORE_TAMPERED_WITH.says(),
            )
        try:
            service = self._opened(url, secret_of(services, domain, given.password))
        except (UsageError, OSError) as error:
            advice = GIVE_RIGHT_ACCOUNTS_SECRET.says()
            raise AccountRejected(CANNOT_BE_USED.says(service=url.shown, cause=text_of(error)), advice) from error
        with self._lock:
            self._services[import_id, domain] = (sealed, service)
        return service

    def _wanted(self, mailbox: Mailbox) -> NewAccount:
        sealed = self._store.sealed(mailbox.import_id, mailbox.mailbox_id, Side.DESTINATION)
        import_ = self._store.import_(mailbox.import_id)
        if sealed is None or import_ is None:
            raise CredentialsError(DESTINATION_CREDENTIALS_NOT_STORED.says())
        given = self._vault.open(mailbox.mailbox_id, "destination", sealed, bound=bound_to(import_, mailbox))
        endpoint, login, profile = mailbox.destination.endpoint, mailbox.destination.login, mailbox.profile
        return NewAccount(
            login=login,
            password=given.password,
            first_name=profile.first_name,
            last_name=profile.last_name,
            quota_bytes=profile.quota_bytes,
            key=hashlib.sha256(f"{endpoint.url}\0{login}".encode()).hexdigest()[:32],
            ours=mailbox.account in (AccountState.CREATING, AccountState.CREATED),
        )


def _opened(url: ServiceUrl, secret: Secret) -> AccountService:
    # Imported when it is needed: an HTTP client is half as large as a worker.
    from shared.accounts.opening import open_service

    return open_service(url, secret)
