"""Rows of one hash of the state database that are signed, and whose secrets are sealed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import redis

from shared.model.errors import CredentialsError
from shared.runtime.credentials import Credentials
from shared.store import Resealed
from shared.store.records.plain_commands import PlainCommands
from shared.store.records.signed import Signer, row_of, signed_row


class SealingVault(Signer, Protocol):
    """The vault of this installation (`shared.runtime.credentials.Vault`)."""

    def seal(self, mailbox_id: str, side: str, credentials: Credentials, *, bound: str = "") -> bytes:
        """Seals credentials for this place."""

    def open(self, mailbox_id: str, side: str, sealed: bytes, *, bound: str = "") -> Credentials:
        """Opens what was sealed for this place. Raises `CredentialsError`."""

    def rotate(self, sealed: bytes) -> bytes:
        """Seals anew by the first key. Raises `CredentialsError`."""


class SealedRows(PlainCommands):
    """The base of the rows of one hash. Thread-safe. Raises `StoreError` while the database is away."""

    #: The key of the hash.
    key: str

    def __init__(self, client: redis.Redis, vault: SealingVault) -> None:
        super().__init__(client)
        self._vault = vault

    @property
    def vault(self) -> SealingVault:
        """The vault, which also knows the signatures of other rows."""
        return self._vault

    def remove(self, name: str) -> bool:
        """Removes a row. Returns whether there was one."""
        return bool(self._do("hdel", self.key, name))

    def resign(self) -> Resealed:
        """Seals and signs every row by the first key. Rows that no key fits are left and counted as lost."""
        total, pairs = Resealed(), list[bytes | str]()
        for name, text in self._texts().items():
            try:
                if (row := self._row(name, text)) is None:
                    raise CredentialsError("the row is not signed")
                row["sealed"] = self._vault.rotate(row["sealed"].encode()).decode()
                pairs += [name, text, signed_row(self._vault, self._place(name), row)]
            except CredentialsError:
                total += Resealed(lost=1)
        return total + Resealed(renewed=self._swap(self.key, pairs))

    def _texts(self) -> dict[str, bytes]:
        rows = cast(Mapping[bytes, bytes], self._do("hgetall", self.key))
        return {name.decode("utf-8", "replace"): text for name, text in rows.items()}

    def _row(self, name: str, text: bytes) -> dict[str, Any] | None:
        return row_of(self._vault, self._place(name), text)

    def _write(self, name: str, row: Mapping[str, Any]) -> None:
        self._do("hset", self.key, name, signed_row(self._vault, self._place(name), row))

    def _place(self, name: str) -> str:
        return f"{self.key}:{name}"
