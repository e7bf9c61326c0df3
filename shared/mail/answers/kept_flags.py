"""The system flags that a destination was seen to keep when a message is appended with them, or to forget.

All sessions with a server share them. Exchange forgets \\Flagged of an APPEND, and keeps it by STORE.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: The flags that are looked at, in small letters: \\Deleted and keywords are not given for the reader's sake.
LOOKED_AT: Final = frozenset({"\\seen", "\\answered", "\\flagged", "\\draft"})


class KeptFlags:
    """The memory of one server. Every assignment stands for itself, so that threads need no lock."""

    def __init__(self) -> None:
        #: Flags that an APPEND was seen to keep, in small letters.
        self.kept: frozenset[str] = frozenset()
        #: Flags that an APPEND was seen to forget.
        self.forgotten: frozenset[str] = frozenset()

    def open(self, flags: Iterable[str]) -> frozenset[str]:
        """Returns those of these flags that are not known to be kept."""
        return (frozenset(flag.lower() for flag in flags) & LOOKED_AT) - self.kept

    def keeps(self, flag: str) -> None:
        """Notes that a message was stored with this flag."""
        self.kept |= {flag}
        self.forgotten -= {flag}

    def forgets(self, flag: str) -> None:
        """Notes that a message was sent with this flag and stored without it."""
        self.forgotten |= {flag}
