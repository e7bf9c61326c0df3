"""A brake for rehearsals: when every login of a server is refused, the rest is not tried, since each try counts at the server
towards locking accounts or shutting out this address.
"""

from __future__ import annotations

import threading
from typing import Final

from shared.store import BRAKE_AFTER

#: Logins of one server that are tried before anyone is let in; when all of them are refused, so would be the others.
FIRST: Final = BRAKE_AFTER


class Brake:
    """Counts refusals by server. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._begun: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._released: set[str] = set()

    def may_try(self, server: str) -> bool:
        """Whether one login more may be tried there. The first few go at once; the others wait for how these end."""
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
        """How a try ended. Anything but a refusal releases the brake: the server lets people in, or has another trouble."""
        with self._changed:
            if refused:
                self._refused[server] = self._refused.get(server, 0) + 1
            else:
                self._released.add(server)
            self._changed.notify_all()
