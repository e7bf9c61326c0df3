"""Tests that an account service is one file that registers itself: here one that is no part of mailhaul."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from shared.accounts import AccountService, NewAccount
from shared.accounts import kinds as registry
from shared.accounts.address import parse_service
from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, kind_of, kinds, register
from shared.accounts.opening import open_service
from shared.model.accounts import Created, Ensured, Looked, Missing
from shared.model.errors import UsageError
from shared.runtime.secret import Secret


class Ledger:
    """An account service that writes names into a list."""

    settling_seconds = 0.0

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def look(self, account: NewAccount) -> Looked:
        return Missing()

    def ensure(self, account: NewAccount, *_: object) -> Ensured:
        self.names.append(account.login)
        return Created()

    def close(self) -> None: ...


@pytest.fixture
def names() -> Iterator[list[str]]:
    found: list[str] = []

    def opened(url: ServiceUrl, secret: Secret, settling: float) -> AccountService:
        assert (url.place, url.options["colour"], secret.reveal()) == ("office", "red", "s")
        return cast("AccountService", Ledger(found))

    register(
        AccountKind(
            name="ledger",
            place=ServicePlace.NAME,
            example="ledger://NAME",
            open=opened,
            options=frozenset({"colour"}),
            settling_seconds=7,
        )
    )
    yield found
    del registry._KINDS["ledger"]


def test_a_kind_from_outside_the_tree_is_parsed_opened_and_used(names: list[str]) -> None:
    url = parse_service("ledger://office?colour=red")
    assert url is not None
    service = open_service(url, Secret("s"))
    assert service.settling_seconds == 7
    assert isinstance(service.ensure(NewAccount(login="anna", password=Secret("x")), lambda: None), Created)
    assert names == ["anna"]


def test_its_options_and_its_secret_are_checked_as_it_says(names: list[str]) -> None:
    with pytest.raises(UsageError, match="shade is no option of it; it has ca, colour, settle"):
        parse_service("ledger://office?shade=red")
    url = parse_service("ledger://office?colour=red")
    assert url is not None
    with pytest.raises(UsageError, match=r"--accounts-secret-file: .* needs its secret"):
        open_service(url, Secret(""))


def test_without_it_the_kind_is_unknown() -> None:
    with pytest.raises(UsageError, match=r"write none, or one of: .*passwd-file:/path, scim\+https://host/path"):
        parse_service("ledger://office?colour=red")


def test_modules_that_are_no_kind_are_none() -> None:
    assert kind_of("several") is None
    assert kind_of("../several") is None
    assert "scim" in kinds()
