"""Makes sure that an account exists before its mailbox is planned: turns, waits, crashes, refusals.

Over the store in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from shared.accounts import NewAccount
from shared.model import AccountState, Lease, Options
from shared.model.accounts import Adopted, Created, Ensured, Rejected, Retry
from shared.model.binding import bound_to
from shared.model.errors import AccountDelayed, AccountRejected, AuthenticationRefused, MailhaulError, Unreachable
from shared.runtime.credentials import Credentials, Vault
from shared.runtime.secret import Secret
from shared.store.memory.memory_store import MemoryStore
from tests.contract.store_kit import Clock, person, request, take
from worker.decisions.failures import judge
from worker.sessions.account_making import AccountServices
from worker.sessions.mailbox_sessions import MailboxSessions

URL = "scim+https://id.example/v2"
KEY = b"MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA="


class AccountMaking:
    """A mailbox whose account is asked for, a service that answers what it is told, and a server that may refuse."""

    def __init__(self, settling: float = 120.0) -> None:
        self.clock = Clock()
        self.store = MemoryStore(clock=self.clock)
        self.whole, self.row = request(), person(request(), 1)
        vault = Vault([KEY])
        self.store.open_import(self.whole, [self.row], 14)
        i, m = self.whole.import_id, self.row.mailbox_id
        ends = bound_to(self.whole, self.row)
        for owner, side, password, bound in ((m, "destination", "pw", ends), (i, "accounts", "token", "")):
            sealed = vault.seal(owner, side, Credentials(login=URL, password=Secret(password)), bound=bound)
            self.store.seal(i, {(owner, side): sealed})
        self.store.submit(i)
        #: The service's answers, one a call; the last one is repeated.
        self.answers: list[Ensured | Exception] = [Created()]
        self.settling_seconds = settling
        self.asked: list[NewAccount] = []
        self.secrets: list[str] = []
        #: Whether the destination accepts the login.
        self.open_door = True
        self.sign_ins = 0
        self._accounts = AccountServices(self.store, vault, 60, self._opened)

    def _opened(self, url: Any, secret: Secret) -> Any:
        self.secrets.append(secret.reveal())
        return self

    def ensure(self, account: NewAccount, intend: Callable[[], None]) -> Ensured:
        """Answers as an account service."""
        self.asked.append(account)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not isinstance(answer, Adopted):
            intend()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def destination(self, mailbox: Any) -> None:
        """Signs in as `MailboxSessions` does, or refuses."""
        self.sign_ins += 1
        if not self.open_door:
            raise AuthenticationRefused("destination", "the login was refused")

    def prepare(self) -> Lease:
        """Prepares the account in a lane that holds the plan's unit.

        An error gives the unit back as the table says, and time passes until it is due.
        """
        lease = take(self.store)
        try:
            self._accounts.prepare(lease, URL, cast(MailboxSessions, self))
        except MailhaulError as error:
            verdict = judge(error, lease.unit.attempts, lease.mailbox.failure)
            self.store.release(lease, how=verdict.how, delay_seconds=verdict.delay_seconds)
            self.clock.forward(verdict.delay_seconds + 0.001)
            raise
        return lease

    @property
    def account(self) -> AccountState:
        """The account's state in the store."""
        found = self.store.mailbox(self.row.mailbox_id)
        assert found
        return found.account


def test_a_created_account_is_signed_in_to() -> None:
    making = AccountMaking()
    making.prepare()
    assert (making.account, making.sign_ins, making.secrets) == (AccountState.CREATED, 1, ["token"])
    assert making.asked[0].password == Secret("pw")
    assert making.asked[0].login == "user1"


def test_an_account_that_was_there_is_adopted() -> None:
    making = AccountMaking()
    making.answers = [Adopted()]
    making.prepare()
    assert making.account is AccountState.ADOPTED


@pytest.mark.parametrize("intent", [True, False])
def test_after_a_crash_between_creating_and_writing_it_down_it_is_known_to_be_ours(intent: bool) -> None:
    """Checks the account's state after a crash.

    Without the intent (the negative control) it would be taken for somebody else's.
    """
    making = AccountMaking()
    making.answers = [RuntimeError("killed"), Adopted()]
    if not intent:
        note = making.store.note_account
        making.store.note_account = lambda lease, state: None if state is AccountState.CREATING else note(lease, state)  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        making.prepare()
    making.clock.forward(61)
    making.store.reap(0)
    making.prepare()
    assert making.account is (AccountState.CREATED if intent else AccountState.ADOPTED)


def test_an_account_that_needs_a_moment_is_not_tried_before() -> None:
    making = AccountMaking(settling=0)
    making.answers = [Created(ready_seconds=2.0), Adopted()]
    with pytest.raises(AccountDelayed):
        making.prepare()
    assert making.sign_ins == 0
    making.prepare()
    assert (making.sign_ins, making.account) == (1, AccountState.CREATED)


def test_a_new_account_that_does_not_let_us_in_yet_is_waited_for_and_at_last_refused() -> None:
    making = AccountMaking()
    making.open_door = False
    for _ in range(4):
        with pytest.raises(AccountDelayed):
            making.prepare()
    with pytest.raises(AuthenticationRefused):
        making.prepare()
    assert making.sign_ins == 5, "waits double, so that no server takes it for an attack"
    assert making.store.claim("lane") is None, "parked"


def test_an_account_that_was_there_is_tried_once() -> None:
    making = AccountMaking()
    making.answers, making.open_door = [Adopted()], False
    with pytest.raises(AuthenticationRefused, match="never changed"):
        making.prepare()
    assert making.sign_ins == 1
    assert making.store.claim("lane") is None, "parked"


def test_a_service_that_asks_everybody_to_wait_is_held_and_no_attempt_is_counted() -> None:
    making = AccountMaking()
    making.answers = [Retry(after_seconds=600, why="busy", everyone=True), Created()]
    with pytest.raises(AccountDelayed, match="busy"):
        making.prepare()
    lease = take(making.store)
    assert lease.unit.attempts == 1, "waiting is not failing"
    making.store.release(lease, how="wait")
    making.prepare()
    assert making.account is AccountState.CREATED


def test_a_service_that_is_not_there_is_waited_for_as_a_server_is() -> None:
    making = AccountMaking()
    making.answers = [Retry(after_seconds=15, why="cannot be reached", everyone=True, reached=False)]
    with pytest.raises(Unreachable):
        making.prepare()


def test_a_rejection_parks_with_reason_and_advice() -> None:
    error = AccountRejected("no such domain", "add the domain")
    verdict = judge(error, 1)
    assert (verdict.code, verdict.how, verdict.advice) == ("account_rejected", "park", "add the domain")
    making = AccountMaking()
    making.answers = [Rejected(reason="no such domain")]
    with pytest.raises(AccountRejected, match="no such domain"):
        making.prepare()
    assert making.store.claim("lane") is None
    assert "mailhaul retry" in judge(AccountRejected("x"), 1).advice


def test_a_new_secret_is_used_at_once() -> None:
    making = AccountMaking()
    making.answers = [Retry(after_seconds=1, why="wait")]
    with pytest.raises(AccountDelayed):
        making.prepare()
    sealed = Vault([KEY]).seal(making.whole.import_id, "accounts", Credentials(login=URL, password=Secret("new")))
    making.store.seal(making.whole.import_id, {(making.whole.import_id, "accounts"): sealed})
    with pytest.raises(AccountDelayed):
        making.prepare()
    assert making.secrets == ["token", "new"]


def test_none_asks_nobody() -> None:
    making = AccountMaking()
    making._accounts.prepare(take(making.store), Options().accounts, cast(MailboxSessions, making))
    assert (making.asked, making.sign_ins) == ([], 0)


def test_who_can_only_write_to_the_store_cannot_name_a_program() -> None:
    making = AccountMaking()
    with pytest.raises(AccountRejected, match="not the account service that was asked for"):
        making._accounts.prepare(take(making.store), "hook:/bin/sh?arg=-c", cast(MailboxSessions, making))
    assert (making.asked, making.secrets) == ([], [])
