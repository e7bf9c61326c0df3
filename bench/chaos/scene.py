"""The scene of a trial: servers behind fault proxies, Redis, processes, accounts, and the users' own changes."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import redis

from bench.chaos import oracle
from bench.chaos.changes import Changes
from bench.chaos.disks import disk_of
from bench.chaos.oracle import Snapshot, Verdict, compare, read_maildir
from shared.model import Import
from shared.model.lifecycle import ImportState, MailboxState
from tests.integration.process_cluster import WORKER, Child, Person, ProcessCluster, folders_of
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.servers.proxy import FaultProxy

WORKERS = 3
#: One-way delay in milliseconds between the workers and each server, so that an import lasts long enough to be struck.
DELAY_MS = 15.0
#: Deadline in seconds of events that must come in the end.
DEADLINE_SECONDS = 300.0


@dataclass
class Scene:
    """Everything that a fault may strike."""

    source: Dovecot
    destination: Dovecot
    source_wire: FaultProxy
    destination_wire: FaultProxy
    office: ProcessCluster
    chance: random.Random
    import_: Import | None = None
    #: Imports of other names, with the same mailboxes.
    others: list[Import] = field(default_factory=list)
    #: Messages that users delivered to the destination themselves, by login.
    delivered: defaultdict[str, Snapshot] = field(default_factory=lambda: defaultdict(Counter))
    #: Maildirs of the source after the users' last change there, by login.
    at_source: dict[str, Snapshot] = field(default_factory=dict)
    #: People's changes that the judge has to know, by login.
    changes: defaultdict[str, Changes] = field(default_factory=lambda: defaultdict(Changes))
    #: Whether a fault of the trial makes Redis forget something, or brings one that was never told.
    forgets: bool = False
    #: The destination's own disk; None where it has none.
    disk: Path | None = None
    #: Offices with state folders of their own, which move the same mailboxes.
    offices: list[ProcessCluster] = field(default_factory=list)
    #: What is closed when the trial is over.
    stack: ExitStack = field(default_factory=ExitStack)
    #: Actions that are due while the trial goes on.
    timers: list[threading.Timer] = field(default_factory=list)
    #: What some report named as a message whose flags were not kept, by login: folder and UID at the source.
    _named: defaultdict[str, set[tuple[str, int]]] = field(default_factory=lambda: defaultdict(set))
    _pause: threading.Event = field(default_factory=threading.Event)

    # -- going on

    def pause(self, least: float, most: float) -> None:
        """Waits for a random number of seconds between the two."""
        self._pause.wait(self.chance.uniform(least, most))

    def later(self, least: float, most: float, act: Callable[[], object]) -> None:
        """Does something after a random number of seconds between the two, while the trial goes on."""
        timer = threading.Timer(self.chance.uniform(least, most), act)
        timer.daemon = True
        self.timers.append(timer)
        timer.start()

    def quiet(self) -> None:
        """Waits until all later actions have happened, and removes the delay of the wires."""
        for timer in self.timers:
            timer.join()
        self.timers.clear()
        self.source_wire.delay_seconds = self.destination_wire.delay_seconds = 0.0

    def submit(self) -> Import:
        """Opens the import, or opens it again, as when the operator gives the same command."""
        self.import_ = self.office.submit("chaos")
        return self.import_

    def done(self) -> int:
        """Returns the number of messages that have an outcome; 0 while Redis is away or knows nothing."""
        try:
            return self.office.done(self.import_) if self.import_ else 0
        except redis.RedisError:
            return 0

    def supervise(self) -> None:
        """Starts each process again that has ended by itself, as a supervisor does.

        A worker that begins while Redis takes no writes says so and exits.
        """
        for office in (self.office, *self.offices):
            for child in office.children:
                child.restart_if_dead()

    @property
    def finished(self) -> bool:
        """Tells whether every import has ended; False while Redis is away or knows nothing of the first."""
        try:
            if self.import_ is None or not self.office.finished(self.import_):
                return False
            return all(self.office.finished(one) for one in self.others if self.office.store.import_(one.import_id))
        except redis.RedisError:
            return False

    def another_office(self) -> ProcessCluster:
        """Returns an office with a Redis of its own, the same key and the same people."""
        key = {"MAILHAUL_SECRET_KEY": self.office.variables["MAILHAUL_SECRET_KEY"]}
        office = self.stack.enter_context(ProcessCluster(self.source, self.destination, **key))
        office.source_port, office.destination_port = self.office.source_port, self.office.destination_port
        office.people = self.office.people
        return office

    def one_office(self) -> None:
        """Waits until the imports of all other offices have ended, and stops these, as an operator does in the end."""

        def ended() -> bool:
            self.supervise()
            return all(
                whole.state is ImportState.FINISHED for office in self.offices for whole in office.store.imports()
            )

        await_ready(ended, DEADLINE_SECONDS, "the end of the other state folders' imports")
        while self.offices:
            office = self.offices.pop()
            for person in self.office.people:
                self._named[person.login] |= self._named_by(office, office.store.imports(), person.login)
            for child in office.children:
                child.end()

    def await_finished(self) -> None:
        """Waits for the end of the import without helping it."""

        def ended() -> bool:
            self.supervise()
            return self.finished

        await_ready(ended, DEADLINE_SECONDS, "the end of the import")

    def unended(self) -> list[str]:
        """Returns a line for each mailbox that is not complete, with its last failure: no fault here needs a person."""
        if self.import_ is None:
            return []
        return [
            f"{mailbox.source.login} is {mailbox.state}: {mailbox.failure.code if mailbox.failure else ''}"
            for mailbox, _ in self.office.store.mailboxes(self.import_.import_id)
            if mailbox.state is not MailboxState.COMPLETE
        ]

    # -- targets of faults

    @property
    def workers(self) -> list[Child]:
        """The worker processes."""
        return [child for child in self.office.children if child.name.startswith("worker")]

    @property
    def coordinators(self) -> list[Child]:
        """The coordinator processes."""
        return [child for child in self.office.children if child.name.startswith("coordinator")]

    def server(self) -> Dovecot:
        """Chooses one of the two mail servers."""
        return self.chance.choice([self.source, self.destination])

    def wire(self) -> FaultProxy:
        """Chooses the proxy before one of the two mail servers."""
        return self.chance.choice([self.source_wire, self.destination_wire])

    def person(self) -> Person:
        """Chooses one of the accounts."""
        return self.chance.choice(self.office.people)

    # -- judging

    def note_source(self) -> None:
        """Takes the source's content as what it must hold at the end, after users have changed it."""
        for person in self.office.people:
            self.at_source[person.login] = read_maildir(self.source.mail_folder(person.login))

    def judge(self) -> Verdict:
        """Compares all accounts on both sides.

        Raises AssertionError if the source holds anything but what users put there.
        """
        lost: Snapshot = Counter()
        surplus: Snapshot = Counter()
        named: Counter[str] = Counter()
        for person in self.office.people:
            there = read_maildir(self.source.mail_folder(person.login))
            if there != self.at_source[person.login]:
                raise AssertionError(f"the source was changed: {compare(self.at_source[person.login], there)}")
            here = read_maildir(self.destination.mail_folder(person.login))
            verdict = self.changes[person.login].verdict(
                there + self.delivered[person.login], here, forgot=self.forgets
            )
            lost.update(_of(person.login, verdict.lost))
            surplus.update(_of(person.login, verdict.surplus))
            imports = filter(None, (self.import_, *self.others))
            self._named[person.login] |= self._named_by(self.office, imports, person.login)
            digests = oracle.digests(self.source.mail_folder(person.login))
            named.update(digests[one] for one in self._named[person.login] if one in digests)
        return Verdict(lost, surplus, named)

    @staticmethod
    def _named_by(office: ProcessCluster, imports: Iterable[Import], login: str) -> set[tuple[str, int]]:
        """Returns folder and UID of each message of an account of which notes.csv says that its flags were not kept."""
        found: set[tuple[str, int]] = set()
        store = office.store
        for whole in imports:
            for mailbox, _ in store.mailboxes(whole.import_id):
                for folder, _ in store.folders(mailbox.mailbox_id) if mailbox.source.login == login else ():
                    notes = store.notes(folder.folder_id)
                    found |= {(folder.source_name.decode(), one.uid) for one in notes if one.what == "keywords_lost"}
        return found


def _of(login: str, snapshot: Snapshot) -> Snapshot:
    return Counter({kept._replace(folder=f"{login}/{kept.folder}"): count for kept, count in snapshot.items()})


@contextmanager
def stage(
    seed: int, messages: int, *, program: str = WORKER, mailboxes: int = 3, folders: int = 4, disk: bool = False
) -> Iterator[Scene]:
    """Sets a scene up: mail at the source, workers that run `program`, a coordinator, and no import yet.

    With `disk`, the destination's mail has a file system of its own, where the machine allows it.
    """
    chance = random.Random(seed)
    with (
        Dovecot() as source,
        Dovecot() as destination,
        disk_of(destination, "1g") if disk else nullcontext() as place,
        FaultProxy(source.host, source.port, delay_ms=DELAY_MS) as source_wire,
        FaultProxy(destination.host, destination.port, delay_ms=DELAY_MS) as destination_wire,
        ProcessCluster(source, destination) as office,
    ):
        office.source_port, office.destination_port = source_wire.port, destination_wire.port
        names = ["INBOX", *(f"Folder {n}" for n in range(1, folders))]
        share = messages // (mailboxes * folders)
        for person in range(mailboxes):
            office.person(folders_of(seed * 1000 + person, dict.fromkeys(names, share), twins=share // 10))
        scene = Scene(source, destination, source_wire, destination_wire, office, chance, disk=place)
        scene.note_source()
        for _ in range(WORKERS):
            office.start_worker(program)
        office.start_coordinator()
        try:
            with scene.stack:
                yield scene
        finally:
            scene.quiet()
