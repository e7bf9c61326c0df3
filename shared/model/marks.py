"""The state of a destination mailbox just before its switch: what stands above it arrived since."""

from __future__ import annotations

from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderMark:
    """The numbers of one destination folder."""

    #: The folder's name, raw bytes as the destination lists it.
    name: bytes
    #: Its UIDVALIDITY; 0 where the server gave none.
    uidvalidity: int
    #: Its UIDNEXT: every message that arrives later has this UID or a higher one.
    uidnext: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchMarks:
    """The marks of one mailbox."""

    #: When they were taken, seconds since the epoch, by the clock of the process that took them.
    at: float
    #: Every folder that the destination listed and let be looked at.
    folders: tuple[FolderMark, ...] = ()
