"""Signs in before an import exists, by the same rules as the import; the state of logins is kept in this process.

The connections that it opens are bounded for each host.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Final

from cryptography.fernet import Fernet

from producer.intake.manifest_row import Row
from producer.intake.sign_in import SignInAsked
from shared.model import Endpoint
from shared.model.sides import Side
from shared.runtime.credentials import Vault
from shared.sign_in.admission import Admission, Visitor
from shared.store.memory.memory_sign_ins import SignInBook

#: Most connections to one host at the same time; no provider allows fewer.
MOST_AT_ONCE: Final = 16


class ConnectionPlaces:
    """The places at each host, which all the scans of a process share. Thread-safe.

    Whoever needs both sides takes the source's place first, so none waits for the other's.
    """

    def __init__(self, source_connections: int, destination_connections: int) -> None:
        """Takes the most connections to one host of each side."""
        given = {Side.SOURCE: source_connections, Side.DESTINATION: destination_connections}
        #: The most connections to one host, by side.
        self.most: Mapping[Side, int] = {side: max(1, min(most, MOST_AT_ONCE)) for side, most in given.items()}
        self._hosts: dict[tuple[Side, str], threading.Semaphore] = {}
        self._lock = threading.Lock()

    def place(self, side: Side, host: str) -> AbstractContextManager[object]:
        """Returns what waits for a place at a host, and gives it back at its end."""
        with self._lock:
            return self._hosts.setdefault((side, host.lower()), threading.Semaphore(self.most[side]))


def visitor_of(side: Side, endpoint: Endpoint, row: Row, asked: SignInAsked) -> Visitor:
    """Returns the visitor that signs in for this row."""
    sign_in, secret = asked.of(side, row)
    return Visitor(
        import_id="",
        mailbox_id=f"row {row.line}",
        side=side,
        endpoint=endpoint,
        user=row.login if side == Side.SOURCE else row.new_login,
        sign_in=sign_in,
        secret=secret,
        digest="",
    )


def admission(connect_timeout_seconds: float, command_timeout_seconds: float) -> Admission:
    """Returns an `Admission` with the rules of an import and a state of its own. Thread-safe."""
    book = SignInBook(lambda: int(time.monotonic() * 1000))
    vault = Vault([Fernet.generate_key()])
    patience = connect_timeout_seconds + command_timeout_seconds
    return Admission(book, vault, connect_timeout_seconds, patience_seconds=patience)
