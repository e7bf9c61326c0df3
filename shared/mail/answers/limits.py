"""Reads what a destination says of the largest message that it takes (RFC 7889). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shared.wording.phrases import Phrase

LARGER_THAN_DESTINATION_TAKES: Final = Phrase(
    "larger_than_destination_takes", "larger than the destination takes (limit {num} bytes)"
)

#: The capability; without a number it says that each folder has a limit of its own, told by STATUS.
APPENDLIMIT: Final = "APPENDLIMIT"


def append_limit(capabilities: Iterable[str]) -> int | None:
    """Returns the limit of APPENDLIMIT=n in bytes, the same for all folders; None where the server names none."""
    found = [int(name[12:]) for name in capabilities if name.startswith("APPENDLIMIT=") and name[12:].isdigit()]
    return min(found) if found else None


def may_be_too_large(capabilities: frozenset[str], size_bytes: int) -> bool:
    """Tells whether among messages of together `size_bytes` (0: unknown) one may be larger than the destination takes.

    Where each folder has a limit of its own, the limit is unknown until the folder is open.
    """
    most = append_limit(capabilities)
    return APPENDLIMIT in capabilities or (most is not None and not 0 < size_bytes <= most)


def too_large(most: int) -> str:
    """Returns the reason, as it stands in the report."""
    return LARGER_THAN_DESTINATION_TAKES.says(num=most)
