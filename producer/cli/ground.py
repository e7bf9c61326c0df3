"""What a verb stands on: the settings, the store, the key, the doorbell, and with no Redis given the embedded one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from producer.intake.submit import Ring
from shared.config import Settings, load_settings, redis_urls
from shared.credentials import Vault
from shared.embedded import EmbeddedRedis
from shared.errors import MailhaulError, StoreError
from shared.model import Unit
from shared.redis_client import address_of, open_redis
from shared.store import SCOPES, Store
from shared.store.memory import MemoryStore
from shared.store.redis import RedisStore, connect


class Ground:
    """Open it with `with`. What it started ends with it; what others started goes on. Who only looks (`make` off) finds
    nothing where nothing is yet, and leaves no state folder behind."""

    def __init__(self, settings: Settings, *, make: bool = True) -> None:
        self.settings = settings
        self._make = make
        self.embedded = EmbeddedRedis(settings.state_dir) if settings.redis_url is None else None
        self._store: Store | None = None
        self._ring: Ring | None = None
        self._vault: Vault | None = None

    def __enter__(self) -> Self:
        if self.embedded is None:
            self._greet()
            return self
        if not (self._make or self.embedded.begun()):
            self.embedded, self._store = None, MemoryStore()
            return self
        try:
            self.embedded.start()
        except StoreError as error:
            raise MailhaulError(str(error)) from None  # it says itself what is wrong, and no other Redis is meant
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.embedded:
            self.embedded.stop()

    @property
    def bare(self) -> bool:
        """Whether there never was anything here: no Redis is meant, and none was made."""
        return self.embedded is None and self.settings.redis_url is None

    @property
    def owner(self) -> bool:
        """Whether the embedded Redis is ours, so that nobody else on this machine works on its imports."""
        return self.embedded is not None and self.embedded.owner

    def nobody_works(self) -> str:
        """What to do about it that no worker is running; "" when one is."""
        # A worker that left is heard of for a while, but none outlives the embedded Redis.
        if not self.owner and self.store.workers():
            return ""
        if self.embedded:
            return "nothing is running: `mailhaul up` starts workers; the import command does too"
        return "no worker is running: start `mailhaul worker` and `mailhaul coordinator`, or `mailhaul up`"

    @property
    def urls(self) -> tuple[str, str]:
        """(broker, state)."""
        return redis_urls(self.settings, self.embedded.socket_path if self.embedded else None)

    @property
    def store(self) -> Store:
        """The state store."""
        if self._store is None:
            limits = {scope: getattr(self.settings, f"{scope}_connections") for scope in SCOPES}
            client = connect(self.urls[1])
            self._store = RedisStore(client, lease_seconds=self.settings.lease_seconds, limits=limits)
        return self._store

    @property
    def own_limits(self) -> dict[str, int]:
        """Connections and rates that a person set in the settings, by scope; without those that are the default."""
        given = ((scope, f"{scope}_connections") for scope in SCOPES)
        found = {scope: getattr(self.settings, name) for scope, name in given if name in self.settings.model_fields_set}
        return found | {name: most for name, most in self.settings.rates.items() if most}

    @property
    def vault(self) -> Vault:
        """Seals and opens passwords."""
        if self._vault is None:
            self._vault = Vault.from_settings(self.settings)
        return self._vault

    @property
    def ring(self) -> Ring:
        """The doorbell. When it cannot be rung the coordinator does it later."""
        if self._ring is None:
            from shared.broker import make_broker, ring

            broker = make_broker(self.urls[0])

            def rings(unit: Unit, import_id: str) -> None:
                with contextlib.suppress(redis.RedisError):
                    ring(broker, unit.kind, import_id, unit.unit_id)

            self._ring = rings
        return self._ring

    def ensure(self) -> None:
        """The embedded Redis that we were attached to may have left with its owner: then it is started here."""
        if self.embedded and not self.embedded.owner and not self.embedded.alive():
            self.embedded.start()
            self._store = self._ring = None

    def child_settings(self) -> dict[str, str]:
        """Variables by which a child process finds the same ground."""
        found = {"MAILHAUL_STATE_DIR": str(self.settings.state_dir)}
        if self.embedded:
            found["MAILHAUL_REDIS_URL"] = f"unix://{quote(str(self.embedded.socket_path))}"
        return found

    def _greet(self) -> None:
        """One short try, since the store's own client sits out a restart of 20 s without a word."""
        for url in dict.fromkeys(self.urls):
            client = open_redis(url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0))
            try:
                client.ping()
            except redis.RedisError as error:
                raise StoreError(
                    f"Redis at {address_of(url)} does not answer ({type(error).__name__}: {error})"
                ) from None
            finally:
                client.close()


def open_ground(state_dir: Path | None, *, make: bool = True, **overrides: object) -> Ground:
    """From the settings, with what the options say instead."""
    return Ground(load_settings(state_dir=state_dir, **overrides), make=make)
