"""The kit of the tests that run lanes in this process, between two servers that are reached over the network.

    stage = InProcessImport(source, destination)
    stage.to_the_end()
    assert stage.outcomes() == {"copied": 12}

The store is the one in memory, and its clock stands still until `later`, so no test waits for a delay or a lease.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import structlog

from shared.mail.answers.extensions import Servers
from shared.mail.auth.sasl import Proof
from shared.mail.imap.imap_destination import ImapDestination
from shared.mail.imap.imap_source import ImapSource
from shared.mail.imap.session import Session, open_session
from shared.model import (
    Account,
    Endpoint,
    Failure,
    Folder,
    Import,
    Mailbox,
    Note,
    Options,
    Tally,
    Tls,
    import_id,
    mailbox_id,
)
from shared.model.lifecycle import ImportState
from shared.model.sides import Side
from shared.runtime.secret import Secret
from shared.store.memory.memory_store import MemoryStore
from tests import mail
from tests.mail import Snapshot
from tests.servers.faulty import Command, FaultyServer
from worker.copying.copy import CopyRules
from worker.lane import Lane
from worker.lease_keeper import LeaseKeeper
from worker.planning.batch_planner import PlanRules
from worker.sessions.mailbox_sessions import Dialer
from worker.workplace import Workplace

PASSWORD = "s3cret-canary"
LOGIN = "user@example.org"


class Server(Protocol):
    """The part of a server, or of a proxy before one, that the stage needs."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


class Recorded:
    """The data sent to one side, by connection."""

    def __init__(self) -> None:
        self.sessions: list[bytearray] = []

    def tap(self, session: Session) -> None:
        """Records what this session sends from now on."""
        told = bytearray()
        self.sessions.append(told)
        send = session.wire.send

        def recording(parts: Sequence[bytes]) -> None:
            told.extend(b"".join(parts))
            send(parts)

        session.wire.send = recording  # type: ignore[method-assign]

    def count(self, text: bytes) -> int:
        """Returns how often this text was sent."""
        return sum(bytes(told).count(text) for told in self.sessions)


class InProcessImport:
    """An import between two servers, and the lanes that work on it."""

    def __init__(
        self,
        source: Server,
        destination: Server,
        *,
        logins: Sequence[str] = (LOGIN,),
        password: str = PASSWORD,
        options: Options | None = None,
        copy_rules: CopyRules | None = None,
        batch_messages: int = 50,
        timeout_seconds: float = 20.0,
    ) -> None:
        self.time = 1_700_000_000.0
        self.store = MemoryStore(clock=lambda: self.time, monotonic=lambda: self.time)
        self.source, self.destination = source, destination
        # Two test servers on loopback whose folders were made in the same second may look like one.
        self.logins, self.options = tuple(logins), replace(options or Options(), same_mailbox=True)
        #: Password of each side; a test changes one to have it refused.
        self.passwords = {"source": password, "destination": password}
        self.timeout_seconds = timeout_seconds
        self.copy_rules = copy_rules or CopyRules(group_messages=10, outstanding=3)
        self.plan_rules = PlanRules(batch_messages=batch_messages)
        #: Waits for a rate.
        self.sleep: Callable[[float], object] = self._pass
        #: Calls one lane more.
        self.ring: Callable[[], None] = lambda: None
        #: Tells the lanes between two units whether to stop.
        self.stopping: Callable[[], bool] = lambda: False
        #: Tells whether the import may remove copies (`shared.sign_in.removals`).
        self.may_remove: Callable[[str, Options], bool] = lambda import_id, options: True
        #: Commands sent to the source.
        self.told = Recorded()
        #: Called with each destination session before it is used.
        self.spoil: Callable[[ImapDestination], Any] = lambda session: session
        ends = [Endpoint(host=server.host, port=server.port, tls=Tls.NONE) for server in (source, destination)]
        self._ends = ends
        self.import_id = import_id("stage", *ends)
        #: Extensions that the servers refused: (host, port, extension, words).
        self.left_out: list[tuple[str, int, str, str]] = []
        self._servers = Servers(lambda *told: self.left_out.append(told))
        self._lanes = 0

    @property
    def mailbox_id(self) -> str:
        """The id of the first mailbox."""
        return self._mailbox_id(self.logins[0])

    def _mailbox_id(self, login: str) -> str:
        return mailbox_id(self.import_id, login, login)

    # -- working

    def submit(self) -> None:
        """Opens the import, or its next pass."""
        theirs, ours = self._ends
        import_ = Import(import_id=self.import_id, name="stage", source=theirs, destination=ours, options=self.options)
        mailboxes = [
            Mailbox(
                mailbox_id=self._mailbox_id(login),
                import_id=self.import_id,
                row=row,
                source=Account(endpoint=theirs, login=login),
                destination=Account(endpoint=ours, login=login),
            )
            for row, login in enumerate(self.logins, start=1)
        ]
        self.store.open_import(import_, mailboxes, 14)
        self.store.submit(self.import_id)

    def open(self, side: str, login: str) -> Session:
        """Signs in and returns the session."""
        server = self.source if side == "source" else self.destination
        return open_session(
            Side(side),
            host=server.host,
            port=server.port,
            tls="none",
            proof=Proof(login=login, secret=Secret(self.passwords[side])),
            connect_timeout_seconds=self.timeout_seconds,
            command_timeout_seconds=self.timeout_seconds,
            broken=self._servers.of(server.host, server.port),
        )

    def dialer(self) -> Dialer:
        """Returns what opens the lanes' sessions."""
        return _Dialer(self)

    def work(self, lanes: int = 1) -> None:
        """Runs `lanes` lanes until nothing may run."""
        place = Workplace(
            store=self.store,
            dialer=self.dialer(),
            lease_keeper=LeaseKeeper(self.store, "worker", clock=lambda: self.time),
            tell=lambda event: None,
            ring=lambda *job: self.ring(),
            stopping=lambda: self.stopping(),
            may_remove=lambda import_id, options: self.may_remove(import_id, options),
            copy_rules=self.copy_rules,
            plan_rules=self.plan_rules,
            now=lambda: self.time,
            sleep=self.sleep,
        )
        if lanes == 1:
            self._lanes += 1
            Lane(place, f"worker/{self._lanes}").serve("")
            return
        rounds, threads = _Rounds(lanes), []
        for _ in range(lanes):
            self._lanes += 1
            lane = Lane(place, f"worker/{self._lanes}")
            threads.append(threading.Thread(target=rounds.go, args=(lane,), daemon=True))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
            assert not thread.is_alive(), "a lane hangs"

    def _pass(self, seconds: float) -> None:
        self.time += seconds

    def later(self, seconds: float = 40.0) -> None:
        """Lets time pass: delayed units become ready, and leases that no worker renews expire."""
        self.time += seconds
        self.store.reap(5)

    def to_the_end(self, *, lanes: int = 1, limit: int = 30, submit: bool = True) -> None:
        """Works until the import is settled."""
        if submit:
            self.submit()
        for _ in range(limit):
            self.work(lanes)
            if self.finished:
                return
            self.later()
        raise AssertionError(f"not finished: {self.mailbox()}, {self.failures()}, {self.outcomes()}")

    @property
    def finished(self) -> bool:
        """Tells whether the import is settled."""
        found = self.store.import_(self.import_id)
        return found is not None and found.state is ImportState.FINISHED

    # -- state of the store

    def mailbox(self, login: str = "") -> Mailbox:
        """Returns the first mailbox, or the one of this login."""
        found = self.store.mailbox(self._mailbox_id(login or self.logins[0]))
        assert found is not None
        return found

    def tally(self) -> Tally:
        """Returns the import's counts, which add up."""
        tally = self.store.import_tally(self.import_id)[0]
        assert tally.pending >= 0
        return tally

    def outcomes(self) -> dict[str, int]:
        """Returns messages by outcome, and the pending ones."""
        tally = self.tally()
        counts = {outcome.value: n for outcome, n in tally.outcomes.items()} | {"pending": tally.pending}
        assert sum(counts.values()) == tally.messages
        return {name: n for name, n in counts.items() if n}

    def every_folder(self, login: str = "") -> list[Folder]:
        """Returns all planned folders."""
        return [folder for folder, _ in self.store.folders(self._mailbox_id(login or self.logins[0]))]

    def folders(self, login: str = "") -> dict[str, Folder]:
        """Returns the folders by display name, where no two are displayed alike."""
        return {folder.display: folder for folder in self.every_folder(login)}

    def notes(self, login: str = "") -> list[Note]:
        """Returns all notes of the mailbox."""
        return [note for folder in self.every_folder(login) for note in self.store.notes(folder.folder_id)]

    def noted(self, what: str) -> dict[int, str]:
        """Returns the reasons of the notes of this kind, by UID."""
        return {note.uid: note.reason for note in self.notes() if note.what == what}

    def failures(self, login: str = "") -> list[Failure]:
        """Returns the last failures, newest first."""
        return self.store.failures(self._mailbox_id(login or self.logins[0]))

    def pairs(self, folder: str = "INBOX") -> dict[int, int]:
        """Returns the destination UID of each source UID; asserts that they are a bijection."""
        found = self.folders()[folder].folder_id
        pairs = [p for entry in self.store.ledger(found) for record in entry.records for p in record.pairs()]
        assert len({s for s, _ in pairs}) == len({d for _, d in pairs}) == len(pairs)
        return {int(s): int(d) for s, d in pairs}

    # -- content of the servers

    def held(self, side: str, login: str = "", **options: Any) -> Snapshot:
        """Returns everything that one side holds, as the tests' own client reads it."""
        server = self.source if side == "source" else self.destination
        return mail.snapshot(server.host, server.port, login or self.logins[0], PASSWORD, **options)

    def marks(self, side: str = "source") -> dict[bytes, tuple[int, dict[int, tuple[frozenset[str], int]]]]:
        """Returns UIDVALIDITY, UIDs, flags and dates of one side."""
        server = self.source if side == "source" else self.destination
        return mail.uids_and_flags(server.host, server.port, self.logins[0], PASSWORD)


def child() -> None:
    """Runs a process whose memory is measured, and prints the result as JSON.

    Its arguments are `stage.py SOURCE_PORT DESTINATION_PORT "copy"|"plan" TIMEOUT_SECONDS`.
    """
    ports, mode = sys.argv[1:3], sys.argv[3]
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    in_process = InProcessImport(
        *(_Port(int(port)) for port in ports), timeout_seconds=float(sys.argv[4]), batch_messages=2000
    )
    in_process.copy_rules = CopyRules()
    if mode == "plan":
        in_process.stopping = lambda: bool(in_process.tally().messages)
        in_process.submit()
        in_process.work()
    else:
        in_process.to_the_end(limit=100)
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    notes = [[note.uid, note.what, note.reason] for note in in_process.notes()]
    print(
        json.dumps(
            {
                "messages": in_process.tally().messages,
                "outcomes": in_process.outcomes(),
                "notes": notes,
                "peak_kib": peak,
            }
        )
    )


@dataclass(frozen=True)
class _Port:
    port: int
    host: str = "127.0.0.1"


class _Dialer:
    def __init__(self, in_process: InProcessImport) -> None:
        self._stage = in_process

    def source(self, mailbox: Mailbox) -> ImapSource:
        session = self._stage.open("source", mailbox.source.login)
        self._stage.told.tap(session)
        source = ImapSource(session)
        if self._stage.options.gmail_labels == "keywords":
            source.labels_as_keywords()
        return source

    def destination(self, mailbox: Mailbox) -> Any:
        return self._stage.spoil(ImapDestination(self._stage.open("destination", mailbox.destination.login)))


class _Rounds:
    """Runs lanes as long as any of them finds work."""

    def __init__(self, lanes: int) -> None:
        self._lanes, self._idle, self._changes = lanes, 0, 0
        self._condition = threading.Condition()

    def go(self, lane: Lane) -> None:
        """Runs one lane in its thread."""
        while True:
            with self._condition:
                seen = self._changes
            served = lane.serve("")
            with self._condition:
                if served:
                    self._changes += 1
                    self._condition.notify_all()
                    continue
                self._idle += 1
                if self._idle == self._lanes:
                    self._changes += 1
                    self._condition.notify_all()
                self._condition.wait_for(lambda seen=seen: self._changes != seen)  # type: ignore[misc]
                if self._idle == self._lanes:
                    return
                self._idle -= 1


def plain(number: int, *, text: str = "", head: str = "") -> bytes:
    """Returns a message with a Message-ID of its own."""
    head = f"Message-ID: <{number}@example.org>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\nSubject: {number}\r\n{head}"
    return f"{head}\r\n{text or f'this is message {number}'}\r\n".encode()


class Wires:
    """A pair of scripted servers with one account on each."""

    def __init__(self, source: FaultyServer, destination: FaultyServer) -> None:
        self.source, self.destination = source, destination
        self.old = source.add_account(LOGIN, PASSWORD)
        self.new = destination.add_account(LOGIN, PASSWORD)

    def fill(self, count: int, folder: bytes = b"INBOX", *, first: int = 1) -> None:
        """Adds `count` messages to a folder of the source."""
        for number in range(first, first + count):
            flags = [b"\\Seen"] if number % 2 else []
            self.old.folder(folder).add(plain(number), flags, b"%2d-Feb-2021 10:20:30 +0100" % (number % 28 + 1))

    def opened(self, command: Command, server: FaultyServer | None = None) -> bytes:
        """Returns the folder that was open when this command came."""
        commands = (server or self.source).commands
        for earlier in reversed(commands[: commands.index(command) + 1]):
            if earlier.connection == command.connection and earlier.name in (b"SELECT", b"EXAMINE"):
                return earlier.text.split()[1].strip(b'"')
        return b""

    def bodies(self, folder: bytes = b"INBOX") -> Counter[bytes]:
        """Returns the messages that the destination holds."""
        return Counter(message.body for message in self.new.folder(folder).messages)

    def sent(self, folder: bytes = b"INBOX") -> Counter[bytes]:
        """Returns the messages that the source holds."""
        return Counter(message.body for message in self.old.folder(folder).messages)


if __name__ == "__main__":
    child()
