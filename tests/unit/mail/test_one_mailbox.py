"""The unique-ids of POP3 that name the UIDVALIDITY of a folder."""

from __future__ import annotations

import pytest

from shared.mail.one_mailbox import ids_name


@pytest.mark.parametrize(
    ("ids", "uidvalidity", "named"),
    [
        ([b"0000000B6B0BC570", b"0000000C6B0BC570"], 0x6B0BC570, True),  # Dovecot: UID and UIDVALIDITY, %08Xu%08Xv
        ([b"1300000000.11", b"1300000000.12"], 1_300_000_000, True),  # Cyrus
        ([b"UID11-1300000000", b"UID12-1300000000"], 1_300_000_000, True),  # Courier
        ([b"1300000000.11", b"1300000001.12"], 1_300_000_000, False),
        ([b"0000000B6B0BC571", b"msg1-a1b", b"11"], 1, False),  # the digit is in all of them, the number in none
        ([b"1.11", b"1.12"], 1, True),
        ([], 1, False),
    ],
)
def test_the_number_is_named(ids: list[bytes], uidvalidity: int, named: bool) -> None:
    assert ids_name(ids, uidvalidity) is named
