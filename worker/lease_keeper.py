"""Keeps the leases of a process alive and hears what operators want.

Once a second the lease keeper asks the store for the operator's wish for each lease; every `renew_seconds` the same call
renews the leases. When a lease is lost, or expires by the local clock because the store cannot be reached, the sessions
that work under it are shut at once: the server drops an incomplete literal, and nothing new is begun. A lease is
trusted from when the request was sent, so a slow answer never lengthens it. A separate thread watches the local clock,
since the one that asks may wait for the store for minutes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.mail import MailSession
from shared.model import Lease
from shared.model.errors import StoreError
from shared.model.lanes import Measured
from shared.model.lifecycle import Wish
from shared.runtime.logs import get_logger
from shared.store import WorkStore

_log = get_logger("mailhaul.worker")

#: Seconds for which a lane may go on with the message or the folders that it is at when it is to give way, the first time that this
#: happens to its unit; twice as many each time that it happens again, so that a large message, or a list of very many folders, of
#: an honest source gets through in the end.
GIVES_WAY_SECONDS = 4.0
#: Units of which it is remembered how often their sessions were shut for that.
_REMEMBERED = 10_000

#: Seconds that an ending process waits for a thread that is waiting for the store.
JOIN_SECONDS = 2.0


@dataclass(slots=True)
class RenewedLease:
    """A lease that the lease keeper renews."""

    #: The lease.
    lease: Lease
    #: Sessions to shut when the lease is lost.
    sessions: list[MailSession]
    #: The store's last word.
    word: Wish = Wish.RUN
    #: The moment, by the monotonic clock, after which nothing may be begun.
    deadline: float = 0.0
    #: Whether the store called the lease lost once: perhaps only because its lane finished it a moment ago.
    suspected: bool = False
    #: Whether the lane was told to pause or cancel one round ago; usually it stops at its next group by itself.
    told: bool = False
    #: The moment, by the monotonic clock, when the lane was told to give way; infinity before.
    gives_way: float = math.inf


@dataclass
class LeaseKeeper:
    """The keeper of a process's leases, started once per process. Lanes `watch` and `forget` their leases."""

    #: The store.
    store: WorkStore
    #: The name of this process, for the list of workers.
    worker: str
    #: The seconds that a lease lasts after a renewal.
    lease_seconds: float = 60.0
    #: The seconds between two renewals of the leases.
    renew_seconds: float = 15.0
    #: The seconds between two questions for the operator's wish.
    ask_seconds: float = 1.0
    #: The monotonic clock.
    clock: Callable[[], float] = time.monotonic
    #: Returns what the lanes did for each mailbox since it was called last.
    measured: Callable[[], Mapping[str, Measured]] = dict

    #: The moments when the last round began and when the store last answered one, by the monotonic clock.
    turned: float = field(init=False, default=float("-inf"))
    answered: float = field(init=False, default=float("-inf"))

    _attended: dict[str, RenewedLease] = field(init=False, default_factory=dict)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _stop: threading.Event = field(init=False, default_factory=threading.Event)
    _renewed: float = field(init=False, default=0.0)
    _beats: int = field(init=False, default=0)
    #: Unit → how often its sessions were shut so that another import got the lane.
    _cut_off: dict[str, int] = field(init=False, default_factory=dict)
    _threads: list[threading.Thread] = field(init=False, default_factory=list)

    def start(self) -> None:
        """Starts the lease keeper's own threads."""
        self.turned = self.answered = self.clock()
        for name, task in (("attendant", self.turn), ("deadlines", self.expire)):
            self._threads.append(threading.Thread(target=self._loop, args=(task,), name=name, daemon=True))
            self._threads[-1].start()

    def stop(self) -> None:
        """Ends the threads; leases that are still held expire by themselves."""
        self._stop.set()
        for thread in self._threads:
            # Joined with a limit: the thread may be waiting for a store that is away.
            thread.join(JOIN_SECONDS)

    def watch(self, lease: Lease, sessions: list[MailSession]) -> None:
        """Renews the lease from now on, and shuts `sessions` (a live list) when the lease is lost."""
        with self._lock:
            self._attended[lease.unit.unit_id] = RenewedLease(lease, sessions, deadline=lease.deadline)

    def forget(self, lease: Lease) -> None:
        """Stops renewing the lease: the lane is done with it."""
        with self._lock:
            self._attended.pop(lease.unit.unit_id, None)

    def busy(self) -> int:
        """Returns the number of leases that are renewed now."""
        return len(self._attended)

    def wish(self, lease: Lease) -> Wish:
        """Returns what is wanted of the lease, without a round trip."""
        with self._lock:
            attended = self._attended.get(lease.unit.unit_id)
        if attended is None or attended.lease.term != lease.term or self.clock() >= attended.deadline:
            return Wish.LOST
        return attended.word

    def hurry(self) -> None:
        """Shuts every session because the process is about to end: a lane may be waiting for a slow server."""
        with self._lock:
            attended = list(self._attended.values())
        for one in attended:
            self._shut(one, Wish.PAUSE)

    def expire(self) -> None:
        """Shuts the sessions of leases that expired by the local clock."""
        with self._lock:
            attended = list(self._attended.values())
        for one in attended:
            if self.clock() >= one.deadline:
                self._shut(one, Wish.LOST)

    def _loop(self, task: Callable[[], None]) -> None:
        task()  # at once: until the first round nobody hears of this worker, and "no worker is running" would be said
        while not self._stop.wait(self.ask_seconds):
            task()

    def turn(self) -> None:
        """Runs one round: asks the store, notes the answers, and shuts the sessions of lost leases."""
        asked = self.turned = self.clock()
        # An expired lease stays expired: renewed once more it would begin anew, and by a store's mistake against
        # another holder.
        self.expire()
        with self._lock:
            attended = [one for one in self._attended.values() if asked < one.deadline]
        extend = asked - self._renewed >= self.renew_seconds
        leases, measured = [a.lease for a in attended], self.measured()
        self._beats += 1
        try:
            words = self.store.attend(self.worker, leases, extend=extend, beat=self._beats, measured=measured)
            self.answered = self.clock()
        except StoreError as error:
            _log.warning("store_unreachable", error=str(error))
            words = [a.word for a in attended]
            extend = False
        if extend:
            self._renewed = asked
        for one, word in zip(attended, words, strict=True):
            if word is not Wish.LOST:
                one.word, one.suspected = word, False
                if extend:
                    one.deadline = asked + self.lease_seconds
            if self.clock() >= one.deadline or (word is Wish.LOST and one.suspected):
                self._shut(one, Wish.LOST)
            elif word in (Wish.PAUSE, Wish.CANCEL) and one.told:
                # The lane is in the middle of a slow message; what becomes in doubt by this is looked for later.
                self._shut(one, word)
            elif word is Wish.YIELD and self._gives_no_way(one):
                self._shut(one, word)
            if word is not Wish.YIELD:  # what was asked of it a while ago is no reason to cut off its next message
                one.gives_way = math.inf
            one.suspected = word is Wish.LOST
            one.told = word in (Wish.PAUSE, Wish.CANCEL)

    def _gives_no_way(self, one: RenewedLease) -> bool:
        """Tells whether a lane that is to give way has gone on for too long, and notes that its sessions are shut."""
        unit, now = one.lease.unit.unit_id, self.clock()
        one.gives_way = min(one.gives_way, now)
        times = self._cut_off.get(unit, 0)
        if now - one.gives_way < GIVES_WAY_SECONDS * 2**times:
            return False
        self._cut_off.pop(unit, None)  # the ones that were cut off last are remembered
        self._cut_off[unit] = times + 1
        if len(self._cut_off) > _REMEMBERED:
            del self._cut_off[next(iter(self._cut_off))]
        one.gives_way = math.inf
        return True

    def _shut(self, one: RenewedLease, word: Wish) -> None:
        with self._lock:
            # A lane that is done with the lease may already use the same sessions for its next unit.
            if self._attended.get(one.lease.unit.unit_id) is not one:
                return
            before, one.word = one.word, word
            for session in list(one.sessions):
                session.abort()
        if before is Wish.LOST:
            return
        event = "lease_lost" if word is Wish.LOST else "shut_on_request"
        _log.warning(event, unit=one.lease.unit.unit_id, term=one.lease.term, word=word)
