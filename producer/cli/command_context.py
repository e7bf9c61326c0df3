"""The objects that a verb needs: settings, store, key, job queue, and the embedded Redis if none is configured."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

from shared.model.errors import MailhaulError, StoreError
from shared.runtime.config import Settings, load_settings, redis_urls
from shared.runtime.embedded import EmbeddedRedis
from shared.wording.phrases import Phrase, text_of

if TYPE_CHECKING:
    from producer.operations.operations import Operations
    from producer.operations.resources import Ring
    from shared.model import Unit
    from shared.runtime.credentials import Vault
    from shared.store import Store

NO_ANSWER: Final = Phrase("redis_no_answer", "Redis at {address} does not answer ({cause})")


class CommandContext:
    """The opened store and what belongs to it; a context manager.

    Redis starts in the background, and ends with this object. If another process started it, it goes on. A verb that
    only reads (`make` off) finds an empty store where none exists yet, and leaves no state folder behind.
    """

    def __init__(self, settings: Settings, *, make: bool = True) -> None:
        self.settings = settings
        self._make = make
        self.embedded = EmbeddedRedis(settings.state_dir) if settings.redis_url is None else None
        #: Held while the embedded Redis is taken over; and whether it may be, which is over when the command ends.
        self._taking_over, self._open = threading.Lock(), True
        self._store: Store | None = None
        self._ring: Ring | None = None
        self._vault: Vault | None = None

    def __enter__(self) -> Self:
        if self.embedded is None:
            self._greet()
            return self
        if not (self._make or self.embedded.begun()):
            from shared.store.memory.memory_store import MemoryStore

            self.embedded, self._store = None, MemoryStore()
            return self
        with _without_advice():
            self.embedded.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._taking_over:
            self._open = False
        if self.embedded:
            self.embedded.stop()

    @property
    def bare(self) -> bool:
        """Tells whether no Redis is configured and no embedded one was ever made."""
        return self.embedded is None and self.settings.redis_url is None

    @property
    def owner(self) -> bool:
        """Tells whether this process runs the embedded Redis. Then nobody else on this machine works on its imports."""
        return self.embedded is not None and self.embedded.owner

    def nobody_works(self) -> str:
        """Returns advice if no worker is running; "" if one is."""
        # A worker that has ended stays listed for a while, but none outlives the embedded Redis.
        if not self.owner and self.store.workers():
            return ""
        if self.embedded:
            return "nothing is running: `mailhaul up` starts workers; the import command does too"
        return "no worker is running: start `mailhaul worker` and `mailhaul coordinator`, or `mailhaul up`"

    @property
    def urls(self) -> tuple[str, str]:
        """The URLs of the two Redis databases: (broker, state)."""
        with _without_advice():
            return redis_urls(self.settings, self.embedded.socket_path if self.embedded else None)

    @property
    def store(self) -> Store:
        """The state store."""
        if self._store is None:
            from shared.store.redis.redis_store import RedisStore, connect

            known, options = self.settings, dict[str, Any]()
            if self.embedded:
                from producer.cli.taking_over import taking_over

                options["connection_class"] = taking_over(self._revived)
            self._store = RedisStore(
                connect(self.urls[1], **options),
                lease_seconds=known.lease_seconds,
                limits=known.limits,
                most_lanes=known.most_lanes,
            )
        return self._store

    @property
    def own_limits(self) -> dict[str, int]:
        """The connection limits and rates that the operator set, by scope, without those that have their default."""
        from shared.store import SCOPES

        given = ((scope, f"{scope}_connections") for scope in SCOPES)
        found = {scope: getattr(self.settings, name) for scope, name in given if name in self.settings.given}
        return found | {name: most for name, most in self.settings.rates.items() if most}

    @property
    def vault(self) -> Vault:
        """The vault, which seals and opens passwords."""
        if self._vault is None:
            from shared.runtime.credentials import Vault

            self._vault = Vault.from_settings(self.settings)
        return self._vault

    @property
    def ring(self) -> Ring:
        """The function that enqueues a job. If the queue does not answer, the coordinator enqueues it later."""
        if self._ring is None:
            import redis

            from shared.runtime.broker import make_broker, ring

            broker = make_broker(self.urls[0])

            def rings(unit: Unit, import_id: str) -> None:
                with contextlib.suppress(redis.RedisError):
                    ring(broker, unit.kind, import_id, unit.unit_id)

            self._ring = rings
        return self._ring

    @property
    def operations(self) -> Operations:
        """The operations on this store."""
        from producer.operations.operations import Operations

        return Operations(self)

    def ensure(self) -> None:
        """Starts the embedded Redis here if the process that ran it has ended."""
        with self._taking_over:
            if self.embedded and not self.embedded.owner and not self.embedded.alive():
                self.embedded.start()
                self._store = self._ring = None

    def _revived(self) -> str:
        """Takes over the embedded Redis of a process that has ended. Returns its socket; "" where it is not this command's to do.

        A server of its own that died is started again by its supervisor.
        """
        with self._taking_over:
            if not self._open or self.embedded is None or self.embedded.owner:
                return ""
            self.embedded.ensure()
            return str(self.embedded.socket_path)

    def child_settings(self) -> dict[str, str]:
        """Returns the variables by which a child process finds the same state folder and Redis."""
        found = {"MAILHAUL_STATE_DIR": str(self.settings.state_dir)}
        if self.embedded:
            found["MAILHAUL_REDIS_URL"] = f"unix://{quote(str(self.embedded.socket_path))}"
        return found

    def _greet(self) -> None:
        """Checks once that Redis answers, with a short timeout.

        The store's own client retries silently for 20 s, to survive a restart of Redis. Raises `StoreError`.
        """
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        from shared.runtime.redis_client import address_of, open_redis

        for url in dict.fromkeys(self.urls):
            client = open_redis(url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0))
            try:
                client.ping()
            except redis.RedisError as error:
                cause = f"{type(error).__name__}: {error}"
                raise StoreError(NO_ANSWER.says(address=address_of(url), cause=cause)) from None
            finally:
                client.close()


@contextlib.contextmanager
def _without_advice() -> Iterator[None]:
    """Takes from a `StoreError` of the embedded Redis the advice that is for other servers."""
    try:
        yield
    except StoreError as error:
        raise MailhaulError(text_of(error)) from None


def open_context(state_dir: Path | None, *, make: bool = True, **overrides: object) -> CommandContext:
    """Loads the settings, changed by the options of the command line. Returns a `CommandContext` to be entered by `with`."""
    return CommandContext(load_settings(state_dir=state_dir, **overrides), make=make)
