"""The binding of a password changes with everything that decides where the password goes."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from shared.model import Account, Endpoint, Import, Mailbox, Options, Tls
from shared.model.binding import bound_to
from shared.model.sign_in import SignIn, Way
from tests.contract.store_kit import person, request

WHOLE: Import = request()
ROW: Mailbox = person(WHOLE, 1)

_OTHER = {
    "protocol": "pop3",
    "host": "evil.example",
    "port": 1,
    "tls": Tls.STARTTLS,
    "ca_file": "/other.pem",
    "certificate_sha256": "00" * 32,
    "guarded": True,
}


def _end(row: Mailbox, side: str, account: Account) -> Mailbox:
    return replace(row, **{side: account})  # type: ignore[arg-type]


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("field", [field.name for field in fields(Endpoint)])
def test_every_field_of_an_endpoint_counts(side: str, field: str) -> None:
    account: Account = getattr(ROW, side)
    other = replace(account.endpoint, **{field: _OTHER[field]})
    assert other != account.endpoint
    assert bound_to(WHOLE, _end(ROW, side, replace(account, endpoint=other))) != bound_to(WHOLE, ROW)


@pytest.mark.parametrize("side", ["source", "destination"])
def test_the_login_counts(side: str) -> None:
    account: Account = getattr(ROW, side)
    assert bound_to(WHOLE, _end(ROW, side, replace(account, login="ceo"))) != bound_to(WHOLE, ROW)


def test_the_import_and_the_way_of_signing_in_count() -> None:
    assert bound_to(WHOLE, replace(ROW, import_id="another")) != bound_to(WHOLE, ROW)
    way = replace(WHOLE, options=Options(source_sign_in=SignIn(way=Way.PASSWORD, detail="LOGIN")))
    assert bound_to(way, ROW) != bound_to(WHOLE, ROW)


def test_what_a_person_may_change_later_does_not_count() -> None:
    assert bound_to(
        replace(WHOLE, options=Options(verify="full", include=("INBOX",))), replace(ROW, row=7)
    ) == bound_to(WHOLE, ROW)
