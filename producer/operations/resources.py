"""The resources that operations work with. The command line and the page's process each have their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from shared.model import Unit
from shared.runtime.config import Settings
from shared.runtime.credentials import Vault
from shared.store import Store

#: Sends one job for this unit of this import.
Ring = Callable[[Unit, str], None]
#: Number of jobs sent at once; the coordinator sends the rest as lanes become free.
_FIRST_BELLS = 64


class Resources(Protocol):
    """The objects that an operation may need. Each is made when it is first asked for."""

    @property
    def store(self) -> Store:
        """The state store."""

    @property
    def vault(self) -> Vault:
        """The vault, which seals and opens passwords."""

    @property
    def ring(self) -> Ring:
        """The function that enqueues a job."""

    @property
    def settings(self) -> Settings:
        """The settings of this process."""

    @property
    def own_limits(self) -> Mapping[str, int]:
        """The connection limits and rates that the operator set for all servers, by scope."""


class HeldResources:
    """A group of operations on the same resources."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    @property
    def store(self) -> Store:
        """The state store."""
        return self._resources.store

    @property
    def vault(self) -> Vault:
        """The vault, which seals and opens passwords."""
        return self._resources.vault

    @property
    def settings(self) -> Settings:
        """The settings of this process."""
        return self._resources.settings

    @property
    def own_limits(self) -> Mapping[str, int]:
        """The connection limits and rates that the operator set for all servers, by scope."""
        return self._resources.own_limits

    def ring_some(self, import_id: str) -> None:
        """Sends jobs for the units that are ready now, so that they do not wait for the coordinator's next tick."""
        for unit in self.store.ready_units(_FIRST_BELLS):
            self._resources.ring(unit, import_id)
