"""The resources of operations, for tests and benchmarks that have a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from producer.operations.operations import Operations
from producer.operations.resources import Ring
from shared.runtime.config import Settings, load_settings
from shared.runtime.credentials import Vault
from shared.store import Store


def _rings_nowhere(*_: object) -> None: ...


@dataclass(kw_only=True)
class GivenResources:
    """Resources that are there already."""

    #: The store.
    store: Store
    #: The vault.
    vault: Vault = field(default_factory=lambda: Vault([b"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="]))
    #: Takes the jobs.
    ring: Ring = _rings_nowhere
    #: The settings; mailboxes are kept for 14 days by default.
    settings: Settings = field(default_factory=lambda: load_settings(retention_days=14))
    #: Limits that the operator set for all servers.
    own_limits: Mapping[str, int] = field(default_factory=dict)

    @property
    def operations(self) -> Operations:
        """The operations on these resources."""
        return Operations(self)
