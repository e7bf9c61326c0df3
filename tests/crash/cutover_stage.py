"""A cutover over the memory store, with servers that are plain tables, and a coordinator that may be killed at every effect."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from producer.cutover import acts
from producer.cutover.acts import CutoverView
from producer.cutover.driver import CutoverDriver
from producer.cutover.measured import DomainFacts
from shared.model import Import, Mailbox
from shared.model.cutover import Cutover, CutoverOptions
from shared.model.errors import MailhaulError
from shared.model.lifecycle import CutoverState
from shared.model.sides import Side
from shared.rules.standing import Standing
from shared.runtime.credentials import Vault
from shared.store.memory.memory_store import MemoryStore
from shared.store.records.cutovers import Cutovers
from shared.switching import SwitchedMailbox, Turned, TurnedBefore, TurnOutcome
from tests.contract.store_kit import person, run_out, start
from tests.crash.interruption import Effects

KEY = b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


class TableSwitch:
    """A switch that is a table: login → side. It tells each turn that changed something."""

    shown, per_domain = "table", False

    def __init__(self) -> None:
        self.sides: dict[str, Side] = {}
        self.turns: list[tuple[str, Side]] = []
        #: The logins that it was asked for in rehearsals.
        self.rehearsed: list[str] = []
        #: The keys of all turns.
        self.keys: list[str] = []
        #: Login → what it answers instead.
        self.instead: dict[str, TurnOutcome] = {}

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Says what it would do."""
        self.rehearsed.append(mailbox.old_login)
        return self.instead.get(mailbox.old_login, Turned(words="would turn"))

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Turns the mailbox in the table."""
        self.keys.append(mailbox.key)
        if mailbox.old_login in self.instead:
            return self.instead[mailbox.old_login]
        if self.sides.get(mailbox.old_login, Side.SOURCE) is to:
            return TurnedBefore(words="stood so")
        self.sides[mailbox.old_login] = to
        self.turns.append((mailbox.old_login, to))
        return Turned(words="turned")

    def close(self) -> None:
        """Does nothing."""


class CutoverStage:
    """An import of three mailboxes whose cutover is played, and the world that it changes."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.store = MemoryStore(clock=lambda: self.time)
        self.request: Import
        self.request, self.people = start(self.store, 3)
        self.store.seal(self.request.import_id, {(self.people[0].mailbox_id, "source"): b"sealed"})
        run_out(self.store)
        self.cutovers = Cutovers(self.store, Vault([KEY]))
        self.switch = TableSwitch()
        #: Logins, in the order of the effects.
        self.marked: list[str] = []
        self.brought_back: list[str] = []
        #: Why marks are refused.
        self.no_mark: str | MailhaulError = ""
        #: Why the ends of mailboxes are not those that were given.
        self.not_proved = ""
        self.ttl = 60
        #: Domains for which asking fails as nobody expects.
        self.fails_for: set[str] = set()
        #: How long an answer of the DNS takes, seconds.
        self.dns_seconds = 0.0
        self._clock = threading.Lock()

    # -- the effects

    def open_switch(self, name: str) -> TableSwitch:
        """Returns the switch."""
        return self.switch

    def ask(self, domain: str, at: float) -> DomainFacts:
        """Returns what the DNS says."""
        if domain in self.fails_for:
            raise RuntimeError(domain)
        with self._clock:
            self.time += self.dns_seconds
        return DomainFacts(domain=domain, at=at, servers=2, mx=("mx.old.example",), mx_ttl=self.ttl)

    def keep_in_sync(self, import_: Import, cutover: Cutover, standing: Standing | None, *, on: bool) -> None:
        """Sets what stands."""
        self.store.set_standing(import_.import_id, cutover.wave, standing)

    def prove(self, import_: Import, mailbox: Mailbox) -> None:
        """Finds the mailbox as it was given, unless a test says otherwise."""
        if self.not_proved:
            raise MailhaulError(self.not_proved)

    def mark(self, import_: Import, mailbox: Mailbox) -> None:
        """Marks the mailbox: it must be at the old server still."""
        if self.no_mark:
            raise MailhaulError(self.no_mark) if isinstance(self.no_mark, str) else self.no_mark
        assert self.switch.sides.get(mailbox.source.login) is not Side.DESTINATION, "marked too late"
        self.marked.append(mailbox.source.login)

    def bring_back(self, import_: Import, mailbox: Mailbox) -> None:
        """Begins to bring back: people must be at the old server, and nothing kept in sync."""
        assert self.switch.sides.get(mailbox.source.login, Side.SOURCE) is Side.SOURCE
        assert not self.store.standings(import_.import_id)
        self.brought_back.append(mailbox.source.login)

    # -- the coordinator

    def driver(self, effects: Effects | None = None) -> CutoverDriver:
        """Returns the driver of a new process, which `effects` may kill."""
        through: Callable[[Any], Any] = effects.through if effects else lambda port: port
        world = _Through(self, through)
        return CutoverDriver(
            self.store, Cutovers(through(self.store), Vault([KEY])), world, now=lambda: self.time
        )  # the store's readings are free

    def turn(self, effects: Effects | None = None, times: int = 3) -> None:
        """Lets a coordinator do some turns."""
        driver = self.driver(effects)
        for _ in range(times):
            driver.turn()
            self.time += 1

    # -- people and time

    def park(self, mailbox: Mailbox) -> None:
        """Lets the next look at the mailbox find a source that refuses it for good."""
        self.time += 3600
        self.store.reap(5)
        while (lease := self.store.claim("lane")) is not None:
            if lease.mailbox.mailbox_id == mailbox.mailbox_id:
                self.store.release(lease, how="park")
            else:
                self.store.looked(lease, found=False)
            self.store.leave("lane", lease.mailbox.mailbox_id)

    def join(self) -> Mailbox:
        """Adds a mailbox to the import, which is not copied yet. Returns it."""
        newcomer = person(self.request, len(self.people) + 1)
        self.people.append(newcomer)
        self.store.open_import(self.request, [newcomer], 14)
        self.store.submit(self.request.import_id)
        return newcomer

    def begin(self, **options: Any) -> None:
        """Begins the cutover."""
        wanted = CutoverOptions(**{"switch": "table", "domains": ("example.org",), **options})
        acts.start(self.cutovers, self.request, "", wanted, who="anna", at=self.time)

    def send(self, event: str, **more: Any) -> Cutover:
        """Sends an event of a person."""
        return acts.send(
            self.cutovers, self.request, "", event, who="anna", at=self.time, **more
        )  # as the command line does

    def told(self) -> list[str]:
        """Returns the states that people are told of."""
        return [str(notice.values["word"]) for notice in self.store.notices() if notice.kind == "cutover"]

    @property
    def view(self) -> CutoverView:
        """The cutover with its guards."""
        return acts.look(self.cutovers, self.request, "", self.time)

    @property
    def state(self) -> CutoverState:
        """The state of the cutover."""
        return self.view.cutover.state

    def looks(self, seconds: float = 700.0) -> None:
        """Lets so much time pass, with the looks that come due in it."""
        until = self.time + seconds
        while self.time < until:
            self.time = min(until, self.time + 60)
            self.store.reap(5)
            run_out(self.store)
            self.store.leave("lane", self.people[0].mailbox_id)

    def to(self, state: CutoverState) -> None:
        """Plays the cutover up to this state, without any trouble."""
        self.begin(quiet_seconds=3600)
        self.turn(times=6)
        if state in (CutoverState.DRAFTED, CutoverState.STAGING, CutoverState.SYNCED):
            assert self.state is CutoverState.SYNCED, self.view
            return
        self.send("announce")
        if state is CutoverState.ANNOUNCED:
            return
        self.turn()
        self.send("switch")


class _Through:
    """The effects on the world, each interruptible; what only tells is free."""

    def __init__(self, in_process: CutoverStage, through: Callable[[Any], Any]) -> None:
        port = through(in_process)
        self.ask = in_process.ask
        self.prove = in_process.prove
        self.keep_in_sync, self.mark, self.bring_back = port.keep_in_sync, port.mark, port.bring_back
        self.open_switch: Callable[[str], Any] = lambda name: through(in_process.switch)
