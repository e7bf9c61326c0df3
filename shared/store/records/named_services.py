"""The account services that administrators set up while mailhaul runs, by name.

Each row is signed, since it says to whom passwords of new accounts are given; the secret is sealed
(`shared.store.records.signed`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import redis

from shared.model.errors import CredentialsError
from shared.runtime.credentials import Credentials, Secret
from shared.runtime.logs import get_logger
from shared.store import Resealed
from shared.store.records.plain_commands import PlainCommands
from shared.store.records.signed import row_of, signed_row
from shared.store.records.targets import TargetVault
from shared.store.redis import keys

#: The form of a name.
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_SIDE: Final = "accounts"
_log = get_logger("mailhaul.accounts")


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedService:
    """An account service that has a name."""

    #: The name, in the form of `NAME`.
    name: str
    #: The service as `shared.accounts.several` reads it, with the domain in front if it is for one domain.
    text: str
    #: The secret that it demands.
    secret: Secret = Secret("")
    #: Whether it came by page or API, so that it may lead only where these may connect to.
    guarded: bool = False
    #: Who set it up.
    by: str = ""
    #: When, seconds since the epoch.
    at: float = 0.0


class NamedServices(PlainCommands):
    """The named services. Thread-safe. Raises `StoreError` while the database is away."""

    def __init__(self, client: redis.Redis, vault: TargetVault) -> None:
        super().__init__(client)
        self._vault = vault

    def set(self, service: NamedService) -> None:
        """Enters a service, in place of one that has its name."""
        held = Credentials(login=service.name, password=service.secret)
        row: dict[str, Any] = {
            "text": service.text,
            "guarded": service.guarded,
            "by": service.by,
            "at": service.at,
            "sealed": self._vault.seal(service.name, _SIDE, held, bound=service.text).decode(),
        }
        self._do("hset", keys.NAMED_SERVICES, service.name, signed_row(self._vault, _place(service.name), row))

    def all(self) -> dict[str, NamedService]:
        """Returns the services by name, in the order of the names.

        One whose row no key signed, or whose secret no key opens, is left out and logged.
        """
        rows = cast(Mapping[bytes, bytes], self._do("hgetall", keys.NAMED_SERVICES))
        found = (self._service(name.decode("utf-8", "replace"), text) for name, text in sorted(rows.items()))
        return {one.name: one for one in found if one}

    def remove(self, name: str) -> bool:
        """Removes a service; imports that chose it keep what they need. Returns whether there was one."""
        return bool(self._do("hdel", keys.NAMED_SERVICES, name))

    def resign(self) -> Resealed:
        """Seals and signs every row by the first key. Rows that no key fits are left and counted as lost."""
        total, pairs = Resealed(), list[bytes | str]()
        rows = cast(Mapping[bytes, bytes], self._do("hgetall", keys.NAMED_SERVICES))
        for name, text in rows.items():
            place = _place(name.decode("utf-8", "replace"))
            try:
                if (row := row_of(self._vault, place, text)) is None:
                    raise CredentialsError("the row is not signed")
                row["sealed"] = self._vault.rotate(row["sealed"].encode()).decode()
                pairs += [name, text, signed_row(self._vault, place, row)]
            except CredentialsError:
                total += Resealed(lost=1)
        return total + Resealed(renewed=self._swap(keys.NAMED_SERVICES, pairs))

    def _service(self, name: str, text: bytes) -> NamedService | None:
        row = row_of(self._vault, _place(name), text)
        if row is None:
            return None
        try:
            held = self._vault.open(name, _SIDE, row["sealed"].encode(), bound=row["text"])
        except CredentialsError as error:
            _log.warning("service_not_opened", service=name, error=str(error))
            return None
        return NamedService(
            name=name,
            text=row["text"],
            secret=held.password,
            guarded=bool(row["guarded"]),
            by=str(row["by"]),
            at=float(row["at"]),
        )


def _place(name: str) -> str:
    return f"{keys.NAMED_SERVICES}:{name}"
