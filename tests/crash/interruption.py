"""Interrupts work before or after its nth effect, and lets another worker go on: the method of mbsync's run-tests.

Effects are the calls through the two ports. After the interruption the process is dead: every further call of it
raises, so that nothing it does while unwinding counts. The state of servers and store stays, as after a real crash.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from types import GeneratorType
from typing import Any

from shared.content.fingerprint import canonical_digest
from shared.model import Account, Endpoint, Import, Mailbox, Options, Tally, Tls, import_id, mailbox_id
from shared.model.lifecycle import Outcome, Wish
from shared.store.memory.memory_store import MemoryStore
from shared.testing.memory_mail import MemoryServer
from worker.copying.copy import CopyRules
from worker.lane import Lane
from worker.lease_keeper import LeaseKeeper
from worker.planning.batch_planner import PlanRules
from worker.workplace import Workplace

LOGIN = "ivan"
_SOURCE = Endpoint(host="old.example", port=993, tls=Tls.IMPLICIT)
_DESTINATION = Endpoint(host="new.example", port=993, tls=Tls.IMPLICIT)
#: Calls that only read: an interruption there is no case of its own.
_TELLING = {
    "sightings",
    "marks",
    "sizes",
    "flags",
    "fetch",
    "listing",
    "statuses",
    "survey",
    "ask_ahead",
    "noop",
    "close",
    "abort",
    "import_",
    "folders",
    "ledger",
    "writing",
    "limits_of",
    "mailbox",
    "attend",
    "import_tally",
}


#: Calls that only read too, but at which one of several workers lets another go on (`tests.crash.together`).
LOOKS = frozenset({"existing", "slowed"})


class Killed(BaseException):
    """Raised where the process dies. It is no Exception, so no code catches it, as with a SIGKILL."""


class Effects:
    """Counts effects, and kills at the nth step (even steps before an effect, odd ones after it)."""

    #: The calls that are no effects.
    telling = frozenset(_TELLING) | LOOKS

    def __init__(self, kill_at: int = -1) -> None:
        self.kill_at = kill_at
        self.steps = 0
        self.dead = False
        self.names: list[str] = []
        self._lock = threading.Lock()

    def step(self, name: str) -> None:
        """Marks a moment at which the process may die."""
        with self._lock:
            if self.dead or self.steps == self.kill_at:
                self.dead = True
                raise Killed(name)
            self.steps += 1
            self.names.append(name)

    def through(self, port: Any) -> Any:
        """Returns the port with each of its effects interruptible."""
        return _Interruptible(port, self)


class _Interruptible:
    def __init__(self, port: Any, effects: Effects) -> None:
        self._port, self._effects = port, effects

    def __getattr__(self, name: str) -> Any:
        if name == "follow":
            return self._follow
        value = getattr(self._port, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            if name in self._effects.telling:
                if self._effects.dead:
                    raise Killed(name)
                return value(*args, **kwargs)
            self._effects.step(f"before {name}")
            answer = value(*args, **kwargs)
            if isinstance(answer, GeneratorType):
                return self._each(name, answer)
            self._effects.step(f"after {name}")
            return answer

        return call

    def _follow(
        self,
        lease: Any,
        *,
        settled: Any = (),
        records: Any = (),
        prefer: str = "",
        claim: bool = True,
        found: bool | None = None,
    ) -> Any:
        """Runs the three scripts of one round trip as three effects."""
        if settled:
            self.progress(lease, settled=settled)
        if found is None:
            self.finish(lease, records)
        else:
            self.looked(lease, found=found)
        return self.claim(lease.holder, prefer=prefer, held=lease.mailbox.mailbox_id) if claim else None

    def _each(self, name: str, answers: Iterator[Any]) -> Iterator[Any]:
        for answer in answers:
            self._effects.step(f"within {name}")
            yield answer


class MemoryImport:
    """A pair of memory servers, a memory store, and workers that may be killed."""

    def __init__(self, *, options: Options | None = None, settle_seconds: float = 30.0, **destination: Any) -> None:
        self.time = 1_000_000.0
        self.old = MemoryServer()
        self.new = MemoryServer(**destination)
        self.store = MemoryStore(clock=lambda: self.time)
        self.settle_seconds = settle_seconds
        self.request = Import(
            import_id=import_id("crash", _SOURCE, _DESTINATION),
            name="crash",
            source=_SOURCE,
            destination=_DESTINATION,
            options=options or Options(),
        )
        self.mailbox_id = mailbox_id(self.request.import_id, LOGIN, LOGIN)
        self.batch_messages = 7
        self._workers = 0

    def ring(self, *job: object) -> None:
        """Hears the bell for another lane; here nobody comes."""

    def submit(self) -> None:
        """Opens the import, or another pass of it."""
        mailbox = Mailbox(
            mailbox_id=self.mailbox_id,
            import_id=self.request.import_id,
            row=1,
            source=Account(endpoint=_SOURCE, login=LOGIN),
            destination=Account(endpoint=_DESTINATION, login=LOGIN),
        )
        self.store.open_import(self.request, [mailbox], 14)
        self.store.submit(self.request.import_id)

    def submit_another(self, login: str) -> str:
        """Adds one more mailbox to the import; its sessions are those of the first. Returns its id."""
        found = mailbox_id(self.request.import_id, login, login)
        mailbox = Mailbox(
            mailbox_id=found,
            import_id=self.request.import_id,
            row=2,
            source=Account(endpoint=_SOURCE, login=login),
            destination=Account(endpoint=_DESTINATION, login=login),
        )
        self.store.open_import(self.request, [mailbox], 14)
        self.store.submit(self.request.import_id)
        return found

    def work(
        self,
        effects: Effects | None = None,
        *,
        rules: CopyRules | None = None,
        stopping: Callable[[], bool] = lambda: False,
        worker: str = "",
    ) -> bool:
        """Lets a new worker serve until nothing may run, or it is told to stop. Returns False if it was killed."""
        effects = effects or Effects()
        store = effects.through(self.store)
        in_process = self

        class Dialer:
            def source(self, mailbox: Mailbox) -> Any:
                return effects.through(in_process.old.source(LOGIN))

            def destination(self, mailbox: Mailbox) -> Any:
                return effects.through(in_process.new.destination(LOGIN))

        self._workers += 1
        worker = worker or f"worker{self._workers}"
        lease_keeper = LeaseKeeper(store, worker, clock=lambda: self.time)
        place = Workplace(
            store=store,
            dialer=Dialer(),
            lease_keeper=lease_keeper,
            tell=lambda event: None,
            ring=self.ring,
            stopping=stopping,
            copy_rules=rules or CopyRules(group_messages=3, outstanding=2, settle_seconds=self.settle_seconds),
            plan_rules=PlanRules(batch_messages=self.batch_messages),
            now=lambda: self.time,
        )
        lane = Lane(place, f"{worker}/1")
        # The lease's deadline uses the monotonic clock of the claim; here both clocks are one.
        lease_keeper.wish = lambda lease: Wish.RUN  # type: ignore[method-assign]
        try:
            lane.serve("")
        except Killed:
            return False
        return True

    def later(self, seconds: float = 100.0) -> None:
        """Lets time pass; leases of dead workers are taken back."""
        self.time += seconds
        self.store.reap(5)

    def to_the_end(self, limit: int = 60, **work: Any) -> None:
        """Works until the import is settled."""
        for _ in range(limit):
            self.work(**work)
            found = self.store.import_(self.request.import_id)
            assert found is not None
            if found.state == "finished":
                return
            self.later(40)
        raise AssertionError(
            f"not finished: {self.store.mailbox(self.mailbox_id)}, {self.store.failures(self.mailbox_id)}"
        )

    def tally(self) -> Tally:
        """Returns the import's counts."""
        return self.store.import_tally(self.request.import_id)[0]

    def content(self, server: MemoryServer) -> Counter[tuple[bytes, bytes, frozenset[str], int | None]]:
        """Returns everything that a server holds, as a multiset."""
        return Counter(
            (name, canonical_digest(m.body), frozenset(m.flags), m.internaldate)
            for name, folder in server.folders(LOGIN).items()
            for m in folder.messages.values()
        )

    def assert_exactly_once(self) -> None:
        """Asserts that every source message is there once, the sums agree, and the ledger is a bijection."""
        old, new = self.content(self.old), self.content(self.new)
        assert new == old, f"lost {old - new}, twice {new - old}"
        tally = self.tally()
        assert tally.messages == sum(old.values())
        assert tally.pending == 0
        assert tally[Outcome.COPIED] + tally[Outcome.ALREADY_PRESENT] == tally.messages
        for folder, _ in self.store.folders(self.mailbox_id):
            pairs = [p for entry in self.store.ledger(folder.folder_id) for r in entry.records for p in r.pairs()]
            assert len({s for s, _ in pairs}) == len({d for _, d in pairs}) == len(pairs)


Fill = Callable[[MemoryImport], None]


def numbered(number: int, text: str = "") -> bytes:
    """Returns a message with a Message-ID of its own."""
    head = f"Message-ID: <{number}@example>\r\nDate: Mon, 1 Jan 2024 00:00:{number % 60:02d} +0000\r\nSubject: {number}\r\n"
    return f"{head}\r\n{text or 'hello'}\r\n".encode()


def two_folders(in_process: MemoryImport) -> None:
    """Fills INBOX with twins, and another folder with a message that no header field tells apart."""
    inbox = in_process.old.folder(LOGIN, b"INBOX")
    for n in range(8):
        inbox.add(numbered(n), flags=("\\Seen",) if n % 2 else (), internaldate=1_700_000_000 + n)
    twin = b"Subject: twin\r\n\r\nsame\r\n"
    for _ in range(3):
        inbox.add(twin, internaldate=1_700_000_100)
    # The same header, size and date with another body: only the bytes tell them apart.
    inbox.add(b"Subject: twin\r\n\r\nSAME\r\n", internaldate=1_700_000_100)
    other = in_process.old.folder(LOGIN, b"Sent")
    for n in range(5):
        other.add(numbered(100 + n), flags=("\\Answered", "work"), internaldate=1_600_000_000 + n)
