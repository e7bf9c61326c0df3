"""The mail ports in memory: servers that behave as the contract says, and misbehave when told to.

What a server has stored stays stored whatever becomes of the session that brought it, as with real servers. Nothing
here reads a clock or uses chance: a run with the same calls and the same `fault` hook goes the same way.
"""

from __future__ import annotations

from shared.model.sides import Side
from shared.testing.memory_folders import At, DeliveredLate, Fault, MemoryFolder, Stored
from shared.testing.memory_server import USUAL, MemoryMail
from shared.testing.memory_sessions import MemoryDestination, MemorySource

__all__ = ["USUAL", "At", "DeliveredLate", "Fault", "MemoryFolder", "MemoryServer", "Stored"]


class MemoryServer(MemoryMail):
    """A server that lets anybody in."""

    def source(self, login: str) -> MemorySource:
        """Returns a signed-in session with the source."""
        return MemorySource(self, Side.SOURCE, login)

    def destination(self, login: str) -> MemoryDestination:
        """Returns a signed-in session with the destination."""
        return MemoryDestination(self, Side.DESTINATION, login)
