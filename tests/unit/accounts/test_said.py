"""Tests how the answers of hooks and webhooks are read."""

from __future__ import annotations

from collections.abc import Callable

from shared.accounts import NewAccount
from shared.accounts.discreet import Discreet
from shared.accounts.said import outcome_of
from shared.model.accounts import Adopted, Created, Missing, Rejected, Retry
from shared.runtime.secret import Secret


class _Repeats:
    """A service that quotes what it was given."""

    settling_seconds = 0.0

    def ensure(self, account: NewAccount, intend: Callable[[], object]) -> Created | Adopted | Retry | Rejected:
        found = outcome_of("rejected", {"reason": f"no seat is left for {account.password.reveal()}"}, "hook")
        assert isinstance(found, Rejected)
        return found

    def look(self, account: NewAccount) -> Missing:
        return Missing()

    def close(self) -> None: ...


def _reason(password: str) -> str:
    account = NewAccount(
        login="anna@new.example", password=Secret(password), first_name="", last_name="", quota_bytes=None, key="k"
    )
    found = Discreet(_Repeats(), Secret("token")).ensure(account, lambda: None)
    assert isinstance(found, Rejected)
    return found.reason


def test_reason_is_told_without_the_password() -> None:
    assert _reason("pass-canary") == "hook says: no seat is left for ***"


def test_reason_is_told_where_there_is_no_password() -> None:
    assert _reason("") == "hook says: no seat is left for"
