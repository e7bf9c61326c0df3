"""A pair of real Dovecots with the same accounts for every run.

The source is filled once, the destination is new each time.
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.scale.rig import ROOT, cpu_seconds
from shared.model import Import
from tests.integration.process_cluster import Person, ProcessCluster, folders_of
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready, end, spawn
from tests.servers.redis_server import RedisServer

FOLDERS = ("INBOX", "Sent", "Archive", "Work")
#: Number of lanes of a worker. It is small, so that a worker mostly waits for servers.
LANES = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """The figures of one import."""

    #: Seconds from the first claim of a batch to the last record.
    seconds: float
    #: Messages copied.
    messages: int
    #: Messages that are missing at the destination.
    lost: int
    #: Messages that the destination holds too often, or altered.
    twice: int
    #: CPU seconds of all workers.
    workers: float

    @property
    def rate(self) -> float:
        """The messages copied in a second."""
        return self.messages / self.seconds


class SampleServers:
    """A context manager for the servers; `office` opens one run."""

    def __init__(self, mailboxes: int, messages: int) -> None:
        self._counts = {name: messages // len(FOLDERS) for name in FOLDERS}
        self._mailboxes = mailboxes
        self._stack = ExitStack()
        self.people: list[Person] = []

    def __enter__(self) -> Self:
        self.source = self._stack.enter_context(Dovecot())
        with Dovecot() as nowhere, ProcessCluster(self.source, nowhere) as office:
            for n in range(self._mailboxes):
                office.person(folders_of(n, self._counts))
            self.people = office.people
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def messages(self) -> int:
        """The number of messages of all accounts."""
        return sum(person.messages for person in self.people)

    @contextmanager
    def office(
        self, *, one_way_ms: float = 0.0, host: str = "127.0.0.1", redis: RedisServer | None = None
    ) -> Iterator[ProcessCluster]:
        """Opens a run with a new destination and a new Redis.

        Both servers are behind a delay line if there is a delay or another address.
        """
        usual = ("MAILHAUL_GROUP_MESSAGES", "MAILHAUL_BATCH_MESSAGES", "MAILHAUL_CONNECT_TIMEOUT_SECONDS")
        with Dovecot() as destination, ExitStack() as stack:
            office = ProcessCluster(self.source, destination, MAILHAUL_WORKER_THREADS=str(LANES))
            for name in usual:
                del office.variables[name]
            if redis:
                office.redis, office.variables["MAILHAUL_REDIS_URL"] = redis, redis.url(0).removesuffix("/0")
            if one_way_ms or host != "127.0.0.1":
                office.host = host
                office.source_port = stack.enter_context(line(host, self.source.port, one_way_ms))
                office.destination_port = stack.enter_context(line(host, destination.port, one_way_ms))
            stack.enter_context(office)
            for person in self.people:
                destination.add_user(person.login, person.password)
            office.people = list(self.people)
            yield office


@contextmanager
def line(host: str, port: int, one_way_ms: float) -> Iterator[int]:
    """Starts a delay line to a server on the loopback interface. Yields its port on `host`."""
    home = Path(tempfile.mkdtemp(prefix="line-"))
    log = home / "log"
    command = [sys.executable, "-m", "bench.scale.line", host, "127.0.0.1", str(port), str(one_way_ms)]
    process = spawn(command, log=log, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"})
    try:
        await_ready(lambda: log.read_text().strip().isdigit(), 180, "the line")
        yield int(log.read_text())
    finally:
        end(process, sig=signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)


def started(office: ProcessCluster) -> None:
    """Waits until every worker has started."""
    workers = [child for child in office.children if child.name.startswith("worker")]
    office.until(lambda: all(child.said(event="worker_started") for child in workers), "the workers")


def measure(office: ProcessCluster) -> tuple[Run, Import]:
    """Runs one import of all accounts with the running processes."""
    whole = office.submit("scale")
    office.await_finished(whole, 600)
    found = office.store.import_(whole.import_id)
    assert found is not None
    assert found.first_claim_at is not None
    assert found.last_record_at is not None
    workers = sum(cpu_seconds(child.pid) for child in office.children if child.name.startswith("worker"))
    lost, twice = compared(office)
    run = Run(
        seconds=found.last_record_at - found.first_claim_at,
        messages=office.done(whole),
        lost=lost,
        twice=twice,
        workers=workers,
    )
    return run, whole


def compared(office: ProcessCluster) -> tuple[int, int]:
    """Returns (messages lost, messages twice or altered)."""
    differences = [office.difference(person) for person in office.people]
    return sum(d.lost.total() for d in differences), sum(d.surplus.total() for d in differences)
