"""Keeps INTERNALDATE within what servers can hold (RFC 9051 §2.3.3).

Measured: Dovecot stores 1900 as 2036 and year 1 as 2042, Cyrus turns 1970-01-01 into "now" and refuses 1900. So dates
are clamped to those that every tested server stores as given, and each clamped one is reported.
"""

from __future__ import annotations

from typing import Final

#: 1970-01-02T00:00:00Z
EARLIEST: Final = 86_400
#: 2038-01-19T03:14:07Z, the last second of a signed 32-bit clock
LATEST: Final = 2_147_483_647


def clamp(epoch_seconds: int) -> int:
    """Returns the nearest date that servers store as given."""
    return min(max(epoch_seconds, EARLIEST), LATEST)
