"""A connection of the scripted server: reads commands, sends answers, applies faults."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable

from tests.servers.faults import Action, Fault, FaultTable
from tests.servers.hollow import CLOSE, DROP, refusal
from tests.servers.imap_append import AppendPolicy
from tests.servers.imap_fetch import Hang
from tests.servers.imap_session import Behaviour, Session
from tests.servers.imap_syntax import ANNOUNCED, Command
from tests.servers.readable import readable

_LITERAL_MINUS_BYTES = 4096
_PIECE = 65_536


class Over(Exception):
    """Raised when this connection has ended."""


def shut(sock: socket.socket, *, rst: bool) -> None:
    """Closes with FIN, or resets: the other side then gets ECONNRESET and loses the data that it had not read."""
    try:
        if rst:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Another thread may be reading, and would keep the socket open without this.
        sock.shutdown(socket.SHUT_RD if rst else socket.SHUT_RDWR)
    except OSError:
        pass
    sock.close()


class Connection:
    """A connection that serves one client in a thread of its own."""

    def __init__(
        self,
        sock: socket.socket,
        number: int,
        behaviour: Behaviour,
        faults: FaultTable,
        record: Callable[[Command], None],
        stopping: threading.Event,
    ) -> None:
        self._sock = sock
        self.number = number
        self._behaviour = behaviour
        self._faults = faults
        self._record = record
        self._stopping = stopping
        self._buffer = bytearray()
        self._session = Session(behaviour, number, self._ask)
        #: Number of literals whose bytes came before the `+` that the client had to wait for.
        self.hasty = 0
        #: Number of commands that came before the answer to the one ahead; counted where the server refuses that.
        self.early = 0
        self._too_early = False

    def serve(self, greeting: bytes, numbers: Callable[[], int]) -> None:
        """Serves the client until the connection ends."""
        try:
            self._send(greeting)
            while not (self._session.over or self._stopping.is_set() or greeting.startswith(b"* BYE")):
                command = self._read(numbers)
                if command is not None:
                    self._record(command)
                    self._answer_in_turn(command)
        except (Over, OSError):
            pass
        finally:
            shut(self._sock, rst=False)

    def _answer_in_turn(self, command: Command) -> None:
        """Answers the command, or applies the rule for a command that came before the answer to the one ahead."""
        rule, too_early = self._behaviour.one_at_a_time, self._too_early
        self._too_early = bool(rule) and self._more_came()
        self.early += self._too_early
        if too_early and rule not in (CLOSE, DROP):
            return self._reply(command, rule)
        if self._too_early and rule == CLOSE:
            self._end(rst=False)
        if self._too_early and rule == DROP:
            self._buffer.clear()
            self._too_early = False
        self._answer(command)

    def _more_came(self) -> bool:
        if self._buffer:
            return True
        try:
            ready = readable([self._sock], 0)
        except ValueError as fault:  # the server was stopped and closed this socket: its descriptor is -1
            raise Over from fault
        if ready:
            self._more()
        return bool(self._buffer)

    # -- reading

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._more()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _more(self) -> None:
        data = self._sock.recv(_PIECE)
        if not data:
            raise Over
        self._buffer += data

    def _ask(self, question: bytes) -> bytes:
        self._send(question)
        return self._line()

    def _read(self, numbers: Callable[[], int]) -> Command | None:
        """Reads the next command; returns None when it was answered before all of it was read."""
        command = Command(self.number, 0)
        while True:
            line = self._line()
            command.number = command.number or numbers()
            command.parts.append(line)
            if len(command.parts) == 1:
                fault = self._faults.strike(command, line_only=True)
                if fault is not None:
                    self._record(command)
                    self._reply(command, fault.words(command))
                    return None
            announced = ANNOUNCED.search(line)
            if announced is None:
                return command
            if (
                command.name == b"APPEND"
                and len(command.parts) > 2
                and (no := self._behaviour.hollow.get("MULTIAPPEND"))
            ):
                self._record(command)
                self._refuse(command, no)
                return None
            if not self._welcome(command, int(announced[2]), hurried=announced[3] == b"+"):
                self._record(command)
                return None
            command.parts.append(self._exactly(int(announced[2])))

    def _welcome(self, command: Command, size: int, *, hurried: bool) -> bool:
        policy: AppendPolicy = self._behaviour.append
        if hurried:
            command.hurried.append(size)
            if (no := self._behaviour.hollow.get("LITERAL+") or self._behaviour.hollow.get("LITERAL-")) is not None:
                self._refuse(command, no)
                return False
            if self._session.has("LITERAL+") or (self._session.has("LITERAL-") and size <= _LITERAL_MINUS_BYTES):
                return True
            if self._session.has("LITERAL-"):
                self._send(b"* BYE literal too large to be sent without waiting\r\n")
                raise Over
            # The extension is not announced, so the server reads what follows as commands.
            self._reply(command, b"BAD invalid literal")
            return False
        command.waited.append(size)
        if policy.limit_bytes is not None and size > policy.limit_bytes and command.name == b"APPEND":
            self._reply(command, b"NO [TOOBIG] Message is too large")
            return False
        if self._buffer or readable([self._sock], 0):
            self.hasty += 1
        self._send(b"+ go\r\n")
        return True

    # -- sending

    def _send(self, data: bytes) -> None:
        if data:
            self._sock.sendall(data)

    def _reply(self, command: Command, text: bytes) -> None:
        if text.startswith(b"* BYE"):
            self._send(text.removesuffix(b"\r\n") + b"\r\n")
            raise Over
        self._send(b"%b %b\r\n" % (command.tag, text))

    def _refuse(self, command: Command, answer: bytes) -> None:
        if answer == CLOSE:
            self._end(rst=False)
        self._reply(command, answer)

    def _answer(self, command: Command) -> None:
        if (no := refusal(self._behaviour.hollow, command)) is not None:
            return self._refuse(command, no)
        fault = self._faults.strike(command, line_only=False)
        if fault is None:
            return self._send_all(self._session.execute(command))
        _FAULTS[fault.action](self, command, fault)
        fault.done()

    def _send_all(self, answers: Iterable[bytes]) -> None:
        pending = bytearray()
        try:
            for piece in answers:
                pending += piece
                if len(pending) >= _PIECE:
                    if self._stopping.is_set():
                        raise Over
                    self._send(bytes(pending))
                    pending.clear()
        except Hang as hang:
            self._send(bytes(pending))
            if not hang.close:
                self._stopping.wait()
            raise Over from None
        self._send(bytes(pending))

    def _carry_out(self, command: Command) -> bytes:
        return b"".join(self._session.execute(command))

    def _end(self, *, rst: bool) -> None:
        shut(self._sock, rst=rst)
        raise Over

    def _lose(self, command: Command, fault: Fault) -> None:
        self._carry_out(command)
        fault.done()
        self._end(rst=fault.action is Action.LOSE_AND_RESET)

    def _stall(self, command: Command, fault: Fault) -> None:
        fault.wait()
        self._send_all(self._session.execute(command))

    def _stall_answer(self, command: Command, fault: Fault) -> None:
        answer = self._carry_out(command)
        fault.done()
        fault.wait()
        self._send(answer)

    def _late(self, command: Command, fault: Fault) -> None:
        shut(self._sock, rst=True)
        fault.wait()
        if not self._stopping.is_set():
            self._carry_out(command)
        fault.done()
        raise Over

    def _retag(self, command: Command, fault: Fault) -> None:
        untagged = self._carry_out(command).rpartition(command.tag + b" ")[0]
        self._send(untagged + b"%b %b\r\n" % (command.tag, fault.words(command)))

    def _preface(self, command: Command, fault: Fault) -> None:
        self._send(fault.words(command))
        self._send_all(self._session.execute(command))

    def _cut(self, command: Command, fault: Fault) -> None:
        answer = self._carry_out(command)[: fault.cut_at]
        self._send(answer)
        fault.done()
        # A reset at once would destroy data under way, so it comes after the client has read or left.
        self._sock.shutdown(socket.SHUT_WR)
        self._end(rst=False)

    def _rewrite(self, command: Command, fault: Fault) -> None:
        self._send(fault.spell(self._carry_out(command)))

    def _drip(self, command: Command, fault: Fault) -> None:
        for byte in self._carry_out(command):
            self._send(bytes([byte]))
            if self._stopping.wait(fault.pause_seconds):
                raise Over


_FAULTS: dict[Action, Callable[[Connection, Command, Fault], None]] = {
    Action.CLOSE: lambda connection, command, fault: connection._end(rst=False),
    Action.RESET: lambda connection, command, fault: connection._end(rst=True),
    Action.LOSE_AND_CLOSE: Connection._lose,
    Action.LOSE_AND_RESET: Connection._lose,
    Action.STALL: Connection._stall,
    Action.STALL_ANSWER: Connection._stall_answer,
    Action.LATE: Connection._late,
    Action.REPLY: lambda connection, command, fault: connection._reply(command, fault.words(command)),
    Action.RETAG: Connection._retag,
    Action.PREFACE: Connection._preface,
    Action.CUT: Connection._cut,
    Action.REWRITE: Connection._rewrite,
    Action.DRIP: Connection._drip,
}
