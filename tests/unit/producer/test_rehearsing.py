"""Tests what `check` says at its end: what is bad stands together, and a quota that cannot hold the mail is bad."""

from __future__ import annotations

import pytest

from producer.cli.rehearsing import _grouped
from producer.intake.checked import OVERFULL, Checked, CheckedSide


def _row(row: int, *, size: int = 1_900_000, quota: int | None = 204_800, used: int = 0, there: int = 0) -> Checked:
    destination = CheckedSide(ok=True, quota_bytes=quota, quota_used_bytes=used, messages=there)
    source = CheckedSide(ok=True, messages=20, size_bytes=size)
    return Checked(row=row, login=f"u{row}", destination_login=f"u{row}", source=source, destination=destination)


@pytest.mark.parametrize(
    ("row", "ok"),
    [
        (_row(1), False),
        (_row(1, quota=None), True),
        (_row(1, quota=1_900_000), True),
        (_row(1, quota=2_000_000, used=500_000), False),
        (_row(1, quota=2_000_000, used=500_000, there=5), True),  # that may be a part of the same mail
        (_row(1, there=5), False),
    ],
)
def test_a_quota_that_cannot_hold_the_mail_is_bad(row: Checked, ok: bool) -> None:
    assert row.works
    assert row.ok is ok
    assert row.overfull == ("" if ok else OVERFULL)


def test_what_may_not_fit_is_said_and_not_bad() -> None:
    assert "may not fit" in _row(1, quota=2_000_000, used=500_000, there=5).warning


def test_faults_that_are_alike_stand_together_at_the_end() -> None:
    refused = CheckedSide(
        failure="source: authentication failed", detail="no", advice="correct login and password in the file"
    )
    wrong = [
        Checked(row=at, login=f"w{at}", destination_login=f"w{at}", source=refused, destination=CheckedSide(ok=True))
        for at in range(10, 50)
    ]
    lines = list(_grouped([_row(1), _row(2), *wrong]))
    assert lines[:2] == [
        f"BAD {OVERFULL} (2 mailboxes: row 1 u1, row 2 u2)",
        "    → raise the quota, or leave something out",
    ]
    assert len(lines) == 4
    assert lines[2].startswith("BAD source: authentication failed: no (40 mailboxes: row 10 w10, ")
    assert lines[2].endswith(" more)")
