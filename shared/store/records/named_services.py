"""The account services that administrators set up while mailhaul runs, by name.

Each row is signed, since it says to whom passwords of new accounts are given; the secret is sealed
(`shared.store.records.signed`).
"""

from __future__ import annotations

import re
from typing import Any, Final

from shared.model.errors import CredentialsError
from shared.nouns import dataclass
from shared.runtime.credentials import Credentials
from shared.runtime.logs import get_logger
from shared.runtime.secret import Secret
from shared.store.records.sealed_rows import SealedRows
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
    #: The person who set it up.
    by: str = ""
    #: When, seconds since the epoch.
    at: float = 0.0


class NamedServices(SealedRows):
    """The named services; imports that chose one keep what they need when it is removed.

    Thread-safe. Raises `StoreError` while the database is away.
    """

    key = keys.NAMED_SERVICES

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
        self._write(service.name, row)

    def all(self) -> dict[str, NamedService]:
        """Returns the services by name, in the order of the names.

        One whose row no key signed, or whose secret no key opens, is left out and logged.
        """
        found = (self._service(name, text) for name, text in sorted(self._texts().items()))
        return {one.name: one for one in found if one}

    def _service(self, name: str, text: bytes) -> NamedService | None:
        row = self._row(name, text)
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
