"""A brake for dry runs: when a server refuses every login, the remaining logins are not tried.

Each refused login counts at the server towards locking the account or blocking this address.
"""

from __future__ import annotations

import threading
from typing import Final

from shared.store import BRAKE_AFTER

#: Logins of one server that are tried before one is accepted. When all of them are refused, the others are not tried.
FIRST: Final = BRAKE_AFTER


class Brake:
    """Counts refused logins by server. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._released: set[str] = set()

    def may_try(self, server: str) -> bool:
        """Tells whether one more login may be tried at `server`.

        The first few start at once; the others wait for the results of those.
        """
        with self._changed:
            while server not in self._released:
                if self._refused.get(server, 0) >= FIRST:
                    return False
                if self._begun.get(server, 0) < FIRST:
                    self._begun[server] = self._begun.get(server, 0) + 1
                    return True
                self._changed.wait()
            return True

    def ended(self, server: str, *, refused: bool) -> None:
        """Enters the result of a try.

        Any result but a refusal releases the brake: the server accepts logins, or its trouble is another one.
        """
        with self._changed:
            if refused:
                self._refused[server] = self._refused.get(server, 0) + 1
            else:
                self._released.add(server)
            self._changed.notify_all()
