"""A proxy that breaks connections at a byte or behind a pattern, as a network may, where a test wants it.

    with FaultProxy(dovecot.host, dovecot.port) as proxy:
        proxy.plan(Rule("rst", "s2c", at=b"[APPENDUID"))    # for the next connection; later ones pass untouched

The fault `late` is the worst: the client is reset, and the data it had sent reaches the server when the test says so.
"""

from __future__ import annotations

import collections
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from tests.servers.connection import shut

Kind = Literal["none", "rst", "fin", "stall", "late", "garble", "trickle"]
Direction = Literal["c2s", "s2c"]
_PIECE = 65_536
#: Time in seconds after which a silent client has sent everything (rule `late` without an end).
_QUIET_SECONDS = 0.3


@dataclass
class Rule:
    """A fault of one connection. It strikes once, behind byte `at` of its direction, or behind the `nth` such pattern.

    - rst, fin: cut both sides.
    - stall: holds all data until `release`.
    - late: see the module's docstring (direction c2s).
    - garble: alters every 97th byte of what follows.
    - trickle: sends what follows byte by byte.
    """

    kind: Kind = "none"
    direction: Direction = "s2c"
    at: int | bytes = 0
    nth: int = 1
    #: For late: number of bytes that are held back, or the pattern up to which they are; None until the client is
    #: quiet.
    end: int | bytes | None = None
    #: For trickle: the pause between two bytes.
    pause_seconds: float = 0.05
    _reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)
    _delivered: threading.Event = field(default_factory=threading.Event)
    _behind: Callable[[], bytes] = lambda: b""

    def held(self) -> bytes:
        """Returns the data held back by a stall, as far as it has arrived; a sender's kernel may hold more."""
        return self._behind()

    def release(self) -> None:
        """Continues after a stall; delivers the data of late."""
        self._released.set()

    def await_reached(self, seconds: float = 180.0) -> None:
        """Returns when the rule has struck."""
        if not self._reached.wait(seconds):
            raise TimeoutError(f"{self.kind} was not reached")

    def await_delivered(self, seconds: float = 180.0) -> None:
        """Returns when the server has received the data that late held back."""
        if not self._delivered.wait(seconds):
            raise TimeoutError("nothing was delivered")


@dataclass(frozen=True)
class Event:
    """An entry of the proxy's log."""

    connection: int
    kind: str
    direction: Direction
    offset: int


class FaultProxy:
    """A proxy on a free port of loopback; a context manager."""

    host = "127.0.0.1"

    def __init__(self, target_host: str, target_port: int, *, delay_ms: float = 0.0) -> None:
        self.target = (target_host, target_port)
        #: One-way delay; a round trip takes twice that. May be changed; a connection made without a delay stays
        #: without.
        self.delay_seconds = delay_ms / 1000
        self.log: list[Event] = []
        #: Bytes passed on so far, by direction, over all connections.
        self.carried: collections.Counter[Direction] = collections.Counter()
        self.stopping = threading.Event()
        self._rules: collections.deque[Rule] = collections.deque()
        self._choose: Callable[[int], Rule | None] | None = None
        self._socks: list[socket.socket] = []
        self._lock = threading.Lock()
        self._count = 0
        self._refusing = False
        self._given: list[Rule] = []
        self._listener = socket.create_server((self.host, 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True, name="proxy").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        for rule in self._given:
            rule.release()
        shut(self._listener, rst=False)
        self.cut_all()

    def plan(self, *rules: Rule) -> None:
        """Sets rules for the next connections, one each, in this order."""
        self._rules.extend(rules)

    def choose(self, rule_for: Callable[[int], Rule | None] | None) -> None:
        """Sets a function that gives the rule of a connection without a planned one; connections count from 1."""
        self._choose = rule_for

    def refuse(self, refusing: bool = True) -> None:
        """Resets every new connection until told otherwise, like a server that is away."""
        self._refusing = refusing

    def cut_all(self, *, rst: bool = True) -> None:
        """Ends every connection now."""
        with self._lock:
            socks, self._socks = self._socks, []
        for sock in socks:
            shut(sock, rst=rst)

    @property
    def connections(self) -> int:
        """The number of connections so far."""
        return self._count

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True, name="proxy").start()

    def _connect(self, client: socket.socket) -> None:
        if self._refusing:
            return shut(client, rst=True)
        try:
            server = socket.create_connection(self.target, timeout=60)
        except OSError:
            return shut(client, rst=True)
        server.settimeout(None)
        with self._lock:
            self._count += 1
            number = self._count
            rule = self._rules.popleft() if self._rules else self._choose(number) if self._choose else None
            self._socks += [client, server]
            if rule is not None:
                self._given.append(rule)
        for sock in (client, server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways: list[tuple[Direction, socket.socket, socket.socket]] = [("c2s", client, server), ("s2c", server, client)]
        link = _Link(number, rule)
        for direction, origin, goal in ways:
            pump = _Pump(self, link, direction, origin, goal)
            threading.Thread(target=pump.run, daemon=True, name=f"proxy-{direction}").start()


@dataclass
class _Link:
    """The state that both directions of one connection share."""

    number: int
    rule: Rule | None
    #: Whether the connection was cut, so that neither side is closed in order any more.
    dead: bool = False
    #: Whether the client is gone and the server does not know: the server's data is read and dropped.
    deaf: bool = False


class _Pump:
    """A direction of a connection, which passes its bytes on."""

    def __init__(
        self,
        proxy: FaultProxy,
        link: _Link,
        direction: Direction,
        origin: socket.socket,
        goal: socket.socket,
    ) -> None:
        rule = link.rule
        if rule is not None and (rule.direction != direction or rule.kind == "none"):
            rule = None
        self._proxy = proxy
        self._link = link
        self._direction: Direction = direction
        self._origin = origin
        self._goal = goal
        self._rule = rule
        self._garbling = False
        self._trickling = 0.0
        self._offset = 0
        self._tail = b""
        self._left = rule.nth if rule else 0
        #: Queue of delayed data; None where the connection was cut. A connection uses it to the end, so that no byte
        #: overtakes another when the delay ends.
        self._delayed: queue.SimpleQueue[tuple[float, bytes | None]] | None = (
            queue.SimpleQueue() if proxy.delay_seconds else None
        )

    def run(self) -> None:
        """Passes bytes on until one side ends."""
        if self._delayed is not None:
            threading.Thread(
                target=self._deliver_delayed, args=(self._delayed,), daemon=True, name="proxy-delay"
            ).start()
        try:
            while data := self._origin.recv(_PIECE):
                if self._link.deaf:
                    continue
                hit = self._hit(data) if self._rule is not None else None
                if hit is None:
                    self._forward(data)
                    self._offset += len(data)
                elif not self._strike(data[:hit], data[hit:]):
                    return
        except OSError:
            pass
        finally:
            if not self._link.dead:
                self._pass_on(b"")
            elif self._delayed is not None:
                self._delayed.put((0.0, None))

    def _hit(self, data: bytes) -> int | None:
        """Returns the position in the data behind which the rule strikes, None if it does not.

        A pattern that ended in earlier data gives 0: the rule strikes at once.
        """
        at = self._rule.at if self._rule else 0
        if isinstance(at, int):
            return at - self._offset if self._offset <= at < self._offset + len(data) else None
        text, before = self._tail + data, len(self._tail)
        start = 0
        while (found := text.find(at, start)) >= 0:
            start = found + len(at)
            self._left -= 1
            if self._left == 0:
                return max(0, start - before)
        self._tail = text[max(start, len(text) - len(at) + 1) :]
        return None

    def _strike(self, before: bytes, after: bytes) -> bool:
        """Applies the rule. Returns whether the connection goes on."""
        rule = self._rule
        if rule is None:
            return True
        self._forward(before)
        self._offset += len(before)
        self._proxy.log.append(Event(self._link.number, rule.kind, self._direction, self._offset))
        self._rule = None
        rule._reached.set()
        if rule.kind in ("rst", "fin"):
            self._link.dead = True
            for sock in (self._goal, self._origin):
                shut(sock, rst=rule.kind == "rst")
            return False
        if rule.kind == "late":
            self._late(rule, after)
            return False
        if rule.kind == "stall":
            rule._behind = lambda: after + self._waits()
            rule._released.wait()
            rule._behind = lambda: b""
        self._garbling = rule.kind == "garble"
        self._trickling = rule.pause_seconds if rule.kind == "trickle" else 0.0
        self._offset += len(after)
        self._forward(after)
        return True

    def _waits(self) -> bytes:
        """Returns data that has arrived and is not yet read."""
        try:
            return self._origin.recv(1 << 22, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return b""

    def _late(self, rule: Rule, held: bytes) -> None:
        self._origin.settimeout(_QUIET_SECONDS if rule.end is None else 30)
        try:
            while not _complete(held, rule.end) and (data := self._origin.recv(_PIECE)):
                held += data
        except TimeoutError:
            pass
        if isinstance(rule.end, int):
            held = held[: rule.end]
        self._link.deaf = self._link.dead = True
        shut(self._origin, rst=True)
        rule._released.wait()
        if not self._proxy.stopping.is_set():
            self._goal.sendall(held)
            self._proxy.log.append(Event(self._link.number, "delivered", self._direction, self._offset + len(held)))
        rule._delivered.set()
        self._goal.shutdown(socket.SHUT_WR)

    def _forward(self, data: bytes) -> None:
        """Sends data on, altered or byte by byte if the rule says so."""
        if self._garbling:
            data = bytes(byte ^ 0x20 if place % 97 == 0 else byte for place, byte in enumerate(data))
        pieces = [bytes([byte]) for byte in data] if self._trickling else [data]
        for piece in filter(None, pieces):
            if self._trickling:
                self._proxy.stopping.wait(self._trickling)
            self._pass_on(piece)

    def _pass_on(self, data: bytes) -> None:
        """Sends data now or after the delay; no data means that this direction has ended."""
        if self._delayed is None:
            self._send(data)
        else:
            self._delayed.put((time.monotonic() + self._proxy.delay_seconds, data))

    def _send(self, data: bytes) -> None:
        try:
            if data:
                self._goal.sendall(data)
                self._proxy.carried[self._direction] += len(data)
            else:
                self._goal.shutdown(socket.SHUT_WR)
        except OSError:
            shut(self._origin, rst=True)

    def _deliver_delayed(self, delayed: queue.SimpleQueue[tuple[float, bytes | None]]) -> None:
        while True:
            due, data = delayed.get()
            if data is None:
                return
            self._proxy.stopping.wait(max(0.0, due - time.monotonic()))
            self._send(data)
            if not data:
                return


def _complete(held: bytes, end: int | bytes | None) -> bool:
    if isinstance(end, int):
        return len(held) >= end
    return end is not None and end in held
