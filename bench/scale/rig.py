"""A Redis of its own, real lanes over synthetic servers, a real coordinator process, and the cost of each."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import dramatiq
from cryptography.fernet import Fernet

from bench.scale.synthetic import SyntheticDialer
from producer.intake.manifest_row import Row
from producer.intake.preparing import prepare_import
from shared.model import Endpoint, Import, Options, Tls, UnitKind
from shared.model.events import Event, UnitEnded
from shared.runtime.broker import make_broker, ring
from shared.runtime.config import load_settings
from shared.runtime.credentials import Vault
from shared.runtime.secret import Secret
from shared.store import SCOPES
from shared.store.redis.redis_store import RedisStore, connect
from tests.resources import GivenResources
from tests.servers.process import await_ready, end, spawn
from tests.servers.redis_server import RedisServer
from worker.actors import LanesAtWork, register
from worker.lane import Lane
from worker.lease_keeper import LeaseKeeper
from worker.workplace import Workplace

ROOT = Path(__file__).resolve().parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
_COORDINATOR = "import sys; from producer.coordinator.__main__ import main; sys.exit(main())"


def cpu_seconds(pid: int) -> float:
    """Returns the user and system time of a process, its threads and the children that it waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def memory_bytes(pid: int) -> int:
    """Returns the peak resident memory of a process, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


class Rig:
    """A context manager: `submit` imports, `coordinate`, then `work` until a condition holds."""

    def __init__(self, folders: dict[bytes, int], threads: int = 16) -> None:
        self.dialer, self.threads = SyntheticDialer(folders), threads
        self.redis = RedisServer()
        self._home = Path(tempfile.mkdtemp(prefix="scale-"))
        self._key = Fernet.generate_key().decode()
        self._stack = ExitStack()
        self._settings = load_settings(state_dir=self._home / "state", secret_key=self._key)
        #: Number of units that ended, by (kind, result).
        self.ended: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> Self:
        self._stack.enter_context(self.redis)
        limits = {str(scope): getattr(self._settings, f"{scope}_connections") for scope in SCOPES}
        self.store = RedisStore(connect(self.redis.url(1)), limits=limits)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def redis_pid(self) -> int:
        """The process id of the Redis server."""
        with self.redis.client() as client:
            return int(client.info("server")["process_id"])

    def redis_bytes(self) -> int:
        """Returns the memory that Redis uses (`used_memory`), in bytes."""
        with self.redis.client() as client:
            return int(client.info("memory")["used_memory"])

    def submit(self, name: str, mailboxes: int) -> Import:
        """Submits an import of `mailboxes` mailboxes, as the command line does."""
        rows = [
            Row(
                line=n,
                login=f"{name}{n}@simulated.example",
                password=Secret("p"),
                new_login=f"{name}{n}@simulated.example",
                new_password=Secret("p"),
            )
            for n in range(1, mailboxes + 1)
        ]
        ends = [Endpoint(host=f"{side}.simulated.example", port=993, tls=Tls.IMPLICIT) for side in ("old", "new")]
        import_, boxes = prepare_import(rows, ends[0], ends[1], Options(), name)
        broker = make_broker(self.redis.url(0))
        resources = GivenResources(
            store=self.store,
            vault=Vault.from_settings(self._settings),
            ring=lambda unit, import_id: ring(broker, unit.kind, import_id, unit.unit_id),
        )
        resources.operations.submit(import_, boxes, rows)
        return import_

    def coordinate(self) -> int:
        """Starts a coordinator process. Returns its process id."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")} | {
            "MAILHAUL_REDIS_URL": self.redis.url().partition("?")[0],
            "MAILHAUL_STATE_DIR": str(self._home / "coordinator"),
            "MAILHAUL_COORDINATOR_PORT": "0",
            "MAILHAUL_WORKER_THREADS": str(self.threads),
            "PYTHONPATH": str(ROOT),
        }
        log = self._home / "coordinator.log"
        process = spawn([sys.executable, "-c", _COORDINATOR], log=log, env=env)
        self._stack.callback(lambda: end(process, sig=signal.SIGKILL))
        await_ready(lambda: "leads" in log.read_text(), 180, "the coordinator")
        return process.pid

    def work(self, until: Callable[[], bool], *, seconds: float, slice_seconds: float = 60.0) -> float:
        """Runs real lanes in this process until the condition holds or the time is over.

        Returns the seconds that it took.
        """
        stop = threading.Event()
        name = f"simulated.{os.getpid()}.{time.monotonic_ns():x}"
        lease_keeper = LeaseKeeper(self.store, name)
        broker = make_broker(self.redis.url(0))
        lock = threading.Lock()

        def tell(event: Event) -> None:
            if isinstance(event, UnitEnded):
                with lock:
                    self.ended[str(event.kind), event.result] += 1

        place = Workplace(
            store=self.store,
            dialer=self.dialer,
            lease_keeper=lease_keeper,
            tell=tell,
            ring=lambda kind, import_id, unit_id: ring(broker, kind, import_id, unit_id),
            stopping=stop.is_set,
            slice_seconds=slice_seconds,
        )
        register(broker, lambda: Lane(place, f"{name}/{threading.get_ident()}"), LanesAtWork())
        lease_keeper.start()
        worker = dramatiq.Worker(broker, worker_threads=self.threads, worker_timeout=200)
        worker.queue_prefetch = self.threads
        began = time.monotonic()
        worker.start()
        try:
            # A waiting worker would find the first jobs in the queue; the coordinator sends the rest.
            for unit in self.store.ready_units(self.threads):
                ring(broker, unit.kind, "", unit.unit_id)
            while not until() and time.monotonic() - began < seconds:
                stop.wait(0.1)
            return time.monotonic() - began
        finally:
            stop.set()
            worker.stop(timeout=60_000)
            lease_keeper.stop()

    def planned(self) -> int:
        """Returns the number of mailboxes that were planned here."""
        return self.ended[UnitKind.PLAN, "finished"]

    def copied(self, import_: Import) -> int:
        """Returns the number of messages of this import that have an outcome."""
        return sum(self.store.import_tally(import_.import_id)[0].outcomes.values())
