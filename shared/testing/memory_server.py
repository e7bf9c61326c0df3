"""The content of a mail server in memory, and its misbehaviour; `shared.testing.memory_mail` opens sessions with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Final

from shared.mail import KeptDates, KeptFlags, Quota
from shared.model.errors import (
    MailError,
)
from shared.model.uids import Uid
from shared.testing.memory_folders import At, Fault, MemoryFolder, Stored

#: The capabilities of a server unless told otherwise.
USUAL: Final = frozenset(
    {
        "IMAP4REV1",
        "LITERAL+",
        "UIDPLUS",
        "MOVE",
        "MULTIAPPEND",
        "CONDSTORE",
        "ESEARCH",
        "NAMESPACE",
        "SPECIAL-USE",
        "STATUS=SIZE",
    }
)


class MemoryMail:
    """The accounts with their folders. All options may be changed at any time; sessions see it at their next step."""

    def __init__(
        self,
        *,
        capabilities: Iterable[str] = USUAL,
        separator: str | None = "/",
        prefix: bytes = b"",
        fault: Fault | None = None,
        refuse: Callable[[Stored], MailError | None] | None = None,
        alter: Callable[[Stored], Stored | None] | None = None,
        append_limit_bytes: int | None = None,
        quota: Quota | None = None,
    ) -> None:
        """Takes `refuse`, which gives the error for a message that the server does not take.

        `alter` changes what is stored (bytes, date, flags), or says OK and stores nothing by giving None.
        """
        self.capabilities = frozenset(capabilities)
        self.separator = separator
        self.prefix = prefix
        self.fault = fault
        self.refuse = refuse
        self.alter = alter
        self.append_limit_bytes = append_limit_bytes
        #: The quota that every account is told.
        self.quota = quota
        #: The dates outside of the usual that the server is known to keep or to change.
        self.dates = KeptDates()
        #: The system flags that it is known to keep or to forget when a message is appended.
        self.kept_flags = KeptFlags()
        #: Number of times each operation was asked for.
        self.calls: dict[str, int] = {}
        self.lock = threading.RLock()
        self._accounts: dict[str, dict[bytes, MemoryFolder]] = {}
        self._late: list[tuple[MemoryFolder, list[Stored]]] = []

    def folders(self, login: str) -> dict[bytes, MemoryFolder]:
        """Returns the account's folders by name; the account is created, with INBOX, when first named."""
        with self.lock:
            return self._accounts.setdefault(login, {b"INBOX": MemoryFolder(name=b"INBOX")})

    def folder(self, login: str, name: bytes) -> MemoryFolder:
        """Returns a folder, created when first named."""
        with self.lock:
            return self.folders(login).setdefault(name, MemoryFolder(name=name))

    def deliver_late(self) -> int:
        """Stores what `DeliveredLate` held back, and returns the number of messages."""
        with self.lock:
            count = 0
            for folder, messages in self._late:
                for stored in messages:
                    count += self.keep(folder, stored) is not None
            self._late.clear()
            return count

    def hold(self, folder: MemoryFolder, messages: list[Stored]) -> None:
        """Keeps messages back for `deliver_late`."""
        with self.lock:
            self._late.append((folder, messages))

    def keep(self, folder: MemoryFolder, stored: Stored) -> Uid | None:
        """Stores one message under the next UID, changed as `alter` says. Returns None when `alter` threw it away."""
        with self.lock:
            changed = self.alter(stored) if self.alter else stored
            if changed is None:
                return None
            flags = changed.flags
            if "\\*" not in folder.permanent_flags:
                known = {flag.lower() for flag in folder.permanent_flags}
                flags = tuple(flag for flag in flags if flag.lower() in known)
            return folder.add(
                changed.body, flags=flags, internaldate=changed.internaldate, zone_minutes=changed.zone_minutes
            )

    def strike(self, operation: str, at: At) -> None:
        """Counts the operation and calls `fault`, which may raise."""
        with self.lock:
            self.calls[operation] = self.calls.get(operation, 0) + 1
        if self.fault:
            self.fault(operation, at)
