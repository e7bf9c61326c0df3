"""Tests which of a mailbox's failures are counted before a refusal is believed to be about the message."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import Failure, errors
from shared.model.sides import Side
from tests.contract.store_kit import person, request
from worker.decisions.failures import describe, judge, same_in_a_row

ERROR = errors.NothingTaken(Side.DESTINATION, "has a fault of its own", "full")


def failed(before: Failure | None, at: float, what: str = ERROR.what, folder: str = "INBOX") -> Failure:
    error = errors.NothingTaken(Side.DESTINATION, what, "full")
    return describe(error, judge(error, 1, before), at, folder, before)


def counted(failures: list[Failure], **fields: float) -> int:
    mailbox = replace(person(request(), 1), failure=failures[0] if failures else None, **fields)  # type: ignore[arg-type]
    return same_in_a_row(mailbox, failures, ERROR, "INBOX")


def test_the_same_in_a_row_counts() -> None:
    first = failed(None, 10)
    second = failed(first, 20)
    assert (counted([]), counted([first]), counted([second, first])) == (0, 1, 2)


def test_nothing_counts_from_before_the_mailbox_got_on() -> None:
    first = failed(None, 10)
    assert counted([failed(first, 20), first], looked_at=15) == 1
    assert counted([failed(first, 20), first], over_at=30) == 0


@pytest.mark.parametrize("other", [{"what": "has another fault"}, {"folder": "Sent"}])
def test_what_was_said_of_other_messages_does_not_count(other: dict[str, str]) -> None:
    first = failed(None, 10, **other)
    assert counted([failed(first, 20), first]) == 1
    assert counted([first]) == 0
