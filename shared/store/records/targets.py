"""The targets in the state database: who is told what, and how.

Each row is signed, since it gives the right to be told; where it leads, with its secrets, is sealed
(`shared.store.records.signed`).
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Final
from urllib.parse import urlsplit

from shared.content.json_text import read_json
from shared.model.errors import CredentialsError
from shared.nouns import dataclass
from shared.runtime.credentials import Credentials
from shared.runtime.logs import get_logger
from shared.runtime.secret import Secret
from shared.store.records.sealed_rows import SealedRows
from shared.store.redis import keys

#: The ways in which a target is told.
WAYS: Final = ("email", "webhook", "slack", "teams")
#: The characters between the parts of a URL, and the letters of a part that may be a secret by itself.
_BETWEEN_PARTS: Final = re.compile("[/?&=]")
_LONG_PART: Final = 9
_log = get_logger("mailhaul.notices")


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A reader, or a program: who is told, what, and how."""

    #: The id.
    target_id: str = ""
    #: One of `WAYS`.
    way: str
    #: Where it leads, as people may see it: addresses, or a host.
    shown: str
    #: Where it leads, with all secrets, by name; never shown.
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Kinds of notices that it wants (`shared.model.notices.KINDS`).
    kinds: tuple[str, ...] = ()
    #: Ids of the imports that it wants to hear of; empty: all.
    imports: tuple[str, ...] = ()
    #: The language of its reader.
    language: str = "en"
    #: The time zone of its reader, as in "Europe/Berlin".
    zone: str = "UTC"
    #: When the daily digest is sent, minutes after midnight in that zone; None for no digest.
    digest_minutes: int | None = None
    #: Whether messages may hold logins.
    logins: bool = False
    #: Whether it came by page or API, so that it may lead only where these may connect to.
    guarded: bool = False
    #: When it was set up, seconds since the epoch: what happened before is not told.
    made_at: float = 0.0

    @property
    def hidden(self) -> tuple[str, ...]:
        """The texts that nobody is shown: passwords, and of a URL what is behind its host, whole and in its long parts."""
        url = urlsplit(self.secret.get("url", ""))
        inside = url.path + (f"?{url.query}" if url.query else "")
        whole = ["" if inside == "/" else inside, self.secret.get("password", "")]
        parts = [part for part in _BETWEEN_PARTS.split(inside) if len(part) >= _LONG_PART]
        return tuple(filter(None, (*whole, *parts)))

    def wants(self, kind: str, import_id: str) -> bool:
        """Tells whether it is told of this."""
        return kind in self.kinds and (not self.imports or not import_id or import_id in self.imports)


class Targets(SealedRows):
    """The targets. Thread-safe. Raises `StoreError` while the database is away."""

    key = keys.TARGETS

    def add(self, target: Target, made_at: float = 0.0) -> Target:
        """Enters a target under a new id, and returns it."""
        made = replace(target, target_id=secrets.token_hex(4), made_at=made_at or time.time())
        held = Credentials(login=made.way, password=Secret(json.dumps(dict(made.secret))))
        row: dict[str, Any] = {
            "way": made.way,
            "shown": made.shown,
            "kinds": list(made.kinds),
            "imports": list(made.imports),
            "language": made.language,
            "zone": made.zone,
            "digest_minutes": made.digest_minutes,
            "logins": made.logins,
            "guarded": made.guarded,
            "made_at": made.made_at,
            "sealed": self._vault.seal(made.target_id, "target", held).decode(),
        }
        self._write(made.target_id, row)
        return made

    def all(self) -> list[Target]:
        """Returns the targets, oldest first. One whose row no key signed, or whose secret no key opens, is left out and logged."""
        found = [self._target(name, text) for name, text in self._texts().items()]
        return sorted((one for one in found if one), key=lambda one: (one.made_at, one.target_id))

    def _target(self, target_id: str, text: bytes) -> Target | None:
        row = self._row(target_id, text)
        if row is None:
            return None
        try:
            held = self._vault.open(target_id, "target", row.pop("sealed").encode())
        except CredentialsError as error:
            _log.warning("target_not_opened", target=target_id, error=str(error))
            return None
        row |= {"kinds": tuple(row["kinds"]), "imports": tuple(row["imports"])}
        return Target(target_id=target_id, secret=read_json(held.password.reveal()), **row)
