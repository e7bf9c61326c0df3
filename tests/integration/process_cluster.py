"""The kit of the kill tests: two Dovecots, a Redis, workers and coordinators as real processes, and final checks.

    with ProcessCluster(source, destination) as office:
        mailbox = office.mailbox({"INBOX": 100, "Work": 50})
        office.start_worker(), office.start_coordinator()
        whole = office.submit()
        office.await_finished(whole)
        office.assert_exactly_once(whole)

No function here sleeps: each waits for a process to end, or checks a condition until a deadline.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.fernet import Fernet

from producer.intake.manifest_row import Row
from producer.intake.preparing import prepare_import
from producer.operations.operations import Operations
from shared.model import Endpoint, Import, Options, Tally, Tls, Unit, UnitKind
from shared.model.lifecycle import ImportState
from shared.runtime.broker import make_broker, ring
from shared.runtime.config import SETTINGS, load_settings
from shared.runtime.credentials import Vault
from shared.runtime.secret import Secret
from shared.store import SCOPES
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore, connect
from tests import mail
from tests.mail import Mail, Snapshot
from tests.resources import GivenResources
from tests.servers import preloaded
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready, end, kill, spawn
from tests.servers.proxy import Direction, FaultProxy, Rule
from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
#: Deadline of any event that will come: the machine may be slow, and nothing here measures time.
DEADLINE_SECONDS = 240.0
#: Settings with short times, so that another worker soon gets a dead worker's batch.
QUICK: Mapping[str, str] = {
    "MAILHAUL_LEASE_SECONDS": "3",
    "MAILHAUL_RENEW_SECONDS": "1",
    "MAILHAUL_SETTLE_SECONDS": "1",
    "MAILHAUL_WORKER_THREADS": "4",
    "MAILHAUL_GROUP_MESSAGES": "20",
    "MAILHAUL_BATCH_MESSAGES": "100",
    "MAILHAUL_CONNECT_TIMEOUT_SECONDS": "10",
}
WORKER = "import sys; from worker.__main__ import main; sys.exit(main())"
#: Makes a worker that does not look for mail that others add: it would notice the faults of these tests.
BLIND = """
from worker.copying import arrivals
arrivals.Arrivals.before = lambda self, *_: ((), arrivals.NO_UIDS, 0)
arrivals.Arrivals.unlike = lambda self, *_: False
"""
COORDINATOR = "import sys; from producer.coordinator.__main__ import main; sys.exit(main())"
#: The programs that are a module as it is: no other may have loaded its modules before its faults are there.
_MODULES: Mapping[str, str] = {WORKER: "worker", COORDINATOR: "producer.coordinator"}

_numbers = itertools.count(1)

#: State of the source: see `tests.mail.uids_and_flags`.
Untouched = dict[bytes, tuple[int, dict[int, tuple[frozenset[str], int]]]]


class Child:
    """A process that tests kill and start again; all its runs log to one file."""

    def __init__(self, name: str, program: str, variables: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self._program, self._variables = program, variables
        self._process = self._spawn()

    def _spawn(self) -> subprocess.Popen[bytes]:
        if module := _MODULES.get(self._program):
            return preloaded.spawn(module, log=self.log, env=self._variables)
        return spawn([sys.executable, "-c", self._program], log=self.log, env=self._variables)

    @property
    def pid(self) -> int:
        """The process id of the current run."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Tells whether the process runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Sends SIGKILL and waits."""
        kill(self._process)

    def start(self, program: str = "", **variables: str) -> None:
        """Starts the process again; with another `program` and more variables, also the next times."""
        self._program, self._variables = program or self._program, {**self._variables, **variables}
        self._process = self._spawn()

    def restart_if_dead(self) -> bool:
        """Restarts a dead process, as a supervisor does. Returns whether it was dead."""
        if self.running:
            return False
        self.start()
        return True

    def freeze(self) -> None:
        """Sends SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Sends SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def terminate(self) -> None:
        """Sends SIGTERM, without waiting."""
        self._process.send_signal(signal.SIGTERM)

    def exit_code(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Waits for the end of the process. Returns its exit code."""
        return self._process.wait(seconds)

    def end(self) -> None:
        """Kills the process and its group."""
        end(self._process, sig=signal.SIGKILL)

    def said(self, **fields: object) -> list[dict[str, Any]]:
        """Returns the entries of its log that have these fields."""
        found = []
        for line in self.log.read_text("utf-8", "replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and all(entry.get(name) == value for name, value in fields.items()):
                found.append(entry)
        return found


@dataclass
class Person:
    """An account, the same on both sides, and its original mail."""

    login: str
    password: str = field(repr=False)
    folders: Mapping[str, Sequence[Mail]] = field(default_factory=dict, repr=False)
    before: Untouched = field(default_factory=dict, repr=False)

    @property
    def messages(self) -> int:
        """The number of messages at the source."""
        return sum(map(len, self.folders.values()))


@dataclass(frozen=True)
class Difference:
    """The errors of an import; false when there are none."""

    lost: Snapshot
    surplus: Snapshot

    def __bool__(self) -> bool:
        return bool(self.lost or self.surplus)

    def __str__(self) -> str:
        return f"lost {self.lost.total()}: {list(self.lost)[:5]}; twice or strange {self.surplus.total()}: {list(self.surplus)[:5]}"


class ProcessCluster:
    """A context manager. The caller owns `source` and `destination`; the office owns Redis and the processes."""

    def __init__(self, source: Dovecot, destination: Dovecot, **variables: str) -> None:
        self.source, self.destination = source, destination
        self.people: list[Person] = []
        self.children: list[Child] = []
        #: Addresses at which the processes reach the servers; a test may put a proxy in between.
        self.host, self.source_port, self.destination_port = "127.0.0.1", source.port, destination.port
        self._home = Path(tempfile.mkdtemp(prefix="office-"))
        self._stack = ExitStack()
        self.redis = RedisServer()
        self.variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")},
            **QUICK,
            "MAILHAUL_SECRET_KEY": Fernet.generate_key().decode(),
            "MAILHAUL_STATE_DIR": str(self._home / "state"),
            "MAILHAUL_REDIS_URL": f"unix://{self.redis.socket}",
            "MAILHAUL_COORDINATOR_PORT": "0",
            "MAILHAUL_LOG_FORMAT": "json",
            "PYTHONPATH": str(ROOT),
            **variables,
        }

    def __enter__(self) -> Self:
        self._stack.enter_context(self.redis)
        self.store = RedisStore(
            connect(self.redis.url(1)),
            lease_seconds=float(self.variables["MAILHAUL_LEASE_SECONDS"]),
            limits=self._limits,
        )
        self._settings = load_settings(state_dir=self._home / "state", secret_key=self.variables["MAILHAUL_SECRET_KEY"])
        self._broker = make_broker(self.redis.url(0))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self.children:
            child.end()
        if error is not None:
            error.add_note(self.logs())
        self._stack.close()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def _limits(self) -> dict[str, int]:
        defaults = SETTINGS
        return {scope: int(defaults[f"{scope}_connections"].default) for scope in SCOPES}

    def logs(self) -> str:
        """Returns the last part of each process's log."""
        return "\n".join(
            f"--- {child.name}\n{child.log.read_text('utf-8', 'replace')[-3000:]}" for child in self.children
        )

    # -- accounts and processes

    def person(self, folders: Mapping[str, Sequence[Mail]]) -> Person:
        """Adds an account with this mail at the source and none at the destination."""
        person = Person(f"person{os.getpid()}.{next(_numbers)}@example.org", "pw-canary", folders)
        for server in (self.source, self.destination):
            server.add_user(person.login, person.password)
        mail.populate(self.source.host, self.source.port, person.login, person.password, folders)
        person.before = mail.uids_and_flags(self.source.host, self.source.port, person.login, person.password)
        self.people.append(person)
        return person

    def start_worker(self, program: str = WORKER, **variables: str) -> Child:
        """Starts a worker process; `program` is Python code, which may be faulty on purpose."""
        return self._start("worker", program, variables)

    def start_coordinator(self, program: str = COORDINATOR, **variables: str) -> Child:
        """Starts a coordinator process."""
        return self._start("coordinator", program, variables)

    def _start(self, kind: str, program: str, variables: Mapping[str, str]) -> Child:
        name = f"{kind}{len(self.children)}"
        child = Child(name, program, {**self.variables, **variables}, self._home / f"{name}.log")
        self.children.append(child)
        return child

    # -- the import

    def submit(self, name: str = "people", options: Options = Options()) -> Import:  # noqa: B008 - frozen
        """Opens the import of all accounts, or opens it again, as the command line does."""
        rows = [
            Row(
                line=line,
                login=person.login,
                password=Secret(person.password),
                new_login=person.login,
                new_password=Secret(person.password),
            )
            for line, person in enumerate(self.people, start=1)
        ]
        source = Endpoint(host=self.host, port=self.source_port, tls=Tls.NONE)
        destination = Endpoint(host=self.host, port=self.destination_port, tls=Tls.NONE)
        import_, mailboxes = prepare_import(rows, source, destination, options, name)
        self.operations.submit(import_, mailboxes, rows)
        return import_

    @property
    def operations(self) -> Operations:
        """The operations on the cluster's store, with its job queue."""
        settings = replace(self._settings, retention_days=1)
        vault = Vault.from_settings(settings)
        return GivenResources(store=self.store, vault=vault, ring=self.ring, settings=settings).operations

    def ring(self, unit: Unit, import_id: str) -> None:
        """Sends a job for this unit."""
        ring(self._broker, unit.kind, import_id, unit.unit_id)

    def repeat_job(self, kind: UnitKind, unit_id: str, import_id: str) -> None:
        """Sends a job once more, as a broker that delivers at least once may do."""
        ring(self._broker, kind, import_id, unit_id)

    def tally(self, whole: Import) -> Tally:
        """Returns the counts of the import, which add up at any time."""
        tally = self.store.import_tally(whole.import_id)[0]
        assert tally.pending >= 0
        return tally

    def done(self, whole: Import) -> int:
        """Returns the number of messages that have an outcome."""
        return sum(self.tally(whole).outcomes.values())

    def finished(self, whole: Import) -> bool:
        """Tells whether the import is finished."""
        found = self.store.import_(whole.import_id)
        return found is not None and found.state is ImportState.FINISHED

    def until(self, check: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
        """Waits until the condition holds."""
        await_ready(check, seconds, what)

    def until_done(self, whole: Import, messages: int) -> None:
        """Waits until this many messages have an outcome."""
        self.until(lambda: self.done(whole) >= messages, f"{messages} messages")

    def await_finished(self, whole: Import, seconds: float = DEADLINE_SECONDS) -> None:
        """Waits until the import is finished, without helping it."""
        self.until(lambda: self.finished(whole), "the end of the import", seconds)

    def leased(self) -> set[str]:
        """Returns the ids of the leased units."""
        with self.redis.client(1) as client:
            return {unit.decode() for unit in client.zrange(keys.LEASES, 0, -1)}

    def sending(self) -> set[int]:
        """Returns the process ids of the workers of which a lane has sent something that is not recorded yet."""
        found = set()
        with self.redis.client(1) as client:
            for unit in self.leased():
                holder, term = (one or b"" for one in client.hmget(keys.unit(unit), "holder", "term"))
                if any(name.startswith(term + b".") for name in client.hkeys(keys.unit(unit, "intents"))):
                    found.add(int(holder.partition(b"/")[0].split(b".")[-2]))
        return found

    def intents(self) -> int:
        """Returns the number of groups in doubt."""
        with self.redis.client(1) as client:
            return sum(client.hlen(key) for key in client.scan_iter(keys.unit("*", "intents"), 1000))

    def held_at(self, person: Person, folder: str = "INBOX") -> int:
        """Returns the number of messages that the destination shows in a folder."""
        place = (self.destination.host, self.destination.port, person.login, person.password)
        found = mail.uids_and_flags(*place).get(folder.encode())
        return len(found[1]) if found else 0

    # -- assertions

    def difference(self, person: Person) -> Difference:
        """Compares multisets of (folder, SHA-256 of canonical bytes, flags, date): expected and found."""
        wanted = mail.expected(person.folders)
        found = mail.snapshot(self.destination.host, self.destination.port, person.login, person.password)
        return Difference(wanted - found, found - wanted)

    def assert_exactly_once(self, whole: Import, *, present_before: bool = False) -> None:
        """Asserts that no message is lost, twice or changed.

        The source must be untouched, the totals right and the ledger a bijection.
        """
        for person in self.people:
            wrong = self.difference(person)
            assert not wrong, str(wrong)
            after = mail.uids_and_flags(self.source.host, self.source.port, person.login, person.password)
            assert after == person.before, "the source was changed"
        tally = self.tally(whole)
        messages = sum(person.messages for person in self.people)
        assert tally.messages == messages
        assert tally.pending == 0
        outcomes = {outcome.value: n for outcome, n in tally.outcomes.items() if n}
        assert set(outcomes) <= {"copied", "already_present"}, outcomes
        assert present_before or outcomes == {"copied": messages}
        assert not tally.missing
        assert not tally.altered
        self.assert_books(whole)

    def assert_books(self, whole: Import, *, changed: bool = False) -> None:
        """Asserts that folders add up to mailboxes, mailboxes to the import, and that the ledger is a bijection.

        Where people `changed` what was copied, copies of the ledger may be elsewhere, or folders have another name.
        """
        sums: Counter[str] = Counter()
        for mailbox, counts in self.store.mailboxes(whole.import_id):
            own: Counter[str] = Counter()
            place = (self.destination.host, self.destination.port, mailbox.destination.login, "pw-canary")
            there = mail.uids_and_flags(*place)
            for folder, part in self.store.folders(mailbox.mailbox_id):
                own.update(_flat(part))
                pairs = [
                    pair
                    for entry in self.store.ledger(folder.folder_id)
                    for record in entry.records
                    for pair in record.pairs()
                ]
                sources, copies = {int(a) for a, _ in pairs}, {int(b) for _, b in pairs}
                assert len(sources) == len(copies) == len(pairs), f"{folder.display}: the ledger is no bijection"
                here = there.get(folder.destination_name, (0, {}))[1]
                assert changed or copies <= set(here), f"{folder.display}: the ledger has ghosts"
                assert len(pairs) == _flat(part)["copied"] + _flat(part)["already_present"]
            assert own == _flat(counts), "folders do not add up to their mailbox"
            sums.update(own)
        assert sums == _flat(self.tally(whole)), "mailboxes do not add up to the import"


def _flat(tally: Tally) -> Counter[str]:
    flat = Counter({outcome.value: n for outcome, n in tally.outcomes.items() if n})
    flat.update({"messages": tally.messages, "size_bytes": tally.size_bytes, "done_bytes": tally.done_bytes})
    return +flat


def folders_of(seed: int, counts: Mapping[str, int], *, size: int = 1_500, twins: int = 0) -> dict[str, list[Mail]]:
    """Returns these numbers of messages for each folder.

    `twins` messages of each folder are identical to the one before: bytes, flags and date.
    """
    made = mail.make_mailbox(seed, counts, size)
    for messages in made.values():
        for n in range(min(twins, len(messages) // 3)):
            messages[3 * n + 1] = messages[3 * n]
    return made


def large(seed: int, size: int) -> Mail:
    """Returns a message of this size, with the line `MIDDLE` once, in its middle."""
    one = mail.make_mailbox(seed, {"x": 1}, size)["x"][0]
    half = one.body.index(b"\r\n", len(one.body) // 2) + 2
    return one._replace(body=one.body[:half] + MIDDLE + b"\r\n" + one.body[half:])


#: Line in the middle of a large message: see `large`.
MIDDLE = b"-- the middle of the message --"


class Gate:
    """A proxy before a server that stalls each connection behind `pattern` until it is opened; a context manager.

    A changed `pattern` applies to connections made from then on; with an empty one they pass.
    """

    def __init__(self, server: Dovecot, direction: Direction, pattern: bytes, *, delay_ms: float = 0.0) -> None:
        self.pattern = pattern
        self._direction: Direction = direction
        self._rules: list[Rule] = []
        self._proxy = FaultProxy(server.host, server.port, delay_ms=delay_ms)
        self._proxy.choose(self._rule)
        self.port = self._proxy.port

    def __enter__(self) -> Self:
        self._proxy.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open()
        self._proxy.__exit__(kind, error, trace)

    def _rule(self, number: int) -> Rule | None:
        if not self.pattern:
            return None
        self._rules.append(Rule("stall", self._direction, at=self.pattern))
        return self._rules[-1]

    @property
    def waiting(self) -> int:
        """The number of connections that have stalled so far."""
        return len(self._proxy.log)

    def await_waiting(self, connections: int = 1) -> None:
        """Returns when this many connections have stalled."""
        await_ready(lambda: self.waiting >= connections, DEADLINE_SECONDS, "a connection at the gate")

    def await_held(self, text: bytes) -> None:
        """Returns when a stalled connection was sent this text too."""
        await_ready(
            lambda: any(text in rule.held() for rule in self._rules), DEADLINE_SECONDS, "what is behind the gate"
        )

    def cut(self) -> None:
        """Ends every connection, with the data on its way."""
        self._proxy.cut_all()

    def hurry(self) -> None:
        """Removes the delay of the line from now on."""
        self._proxy.delay_seconds = 0.0

    def release_first(self) -> None:
        """Releases the connections that stalled behind an earlier pattern."""
        for rule in self._rules:
            if rule.at != self.pattern:
                rule.release()

    def open(self) -> None:
        """Releases all connections, now and from now on."""
        self.pattern = b""
        for rule in self._rules:
            rule.release()


def marked(one: Mail, text: bytes) -> Mail:
    """Returns the same message with one more line."""
    return one._replace(body=one.body + text + b"\r\n")
