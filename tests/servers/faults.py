"""How the scripted server misbehaves: a table of faults, each for the commands it matches, each a limited number of times.

server.faults.add(lost_ok(b"^APPEND"))          # the second half of an APPEND never happens for the client
hang = server.faults.add(stall(b"^UID FETCH", skip=3))
...
hang.release()
"""

from __future__ import annotations

import enum
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.servers.imap_syntax import Command


class Action(enum.Enum):
    """What happens instead of the usual, or around it."""

    #: Close (FIN) or reset (RST) before the command is carried out.
    CLOSE = enum.auto()
    RESET = enum.auto()
    #: Carry it out, answer nothing, close or reset: the lost OK.
    LOSE_AND_CLOSE = enum.auto()
    LOSE_AND_RESET = enum.auto()
    #: Wait until released, then go on as usual.
    STALL = enum.auto()
    #: Carry it out, then hold the answer back until released.
    STALL_ANSWER = enum.auto()
    #: Reset the client now; carry the command out when released.
    LATE = enum.auto()
    #: Answer this instead of carrying it out.
    REPLY = enum.auto()
    #: The same as soon as the first line is read: a literal that follows is read as commands.
    REPLY_TO_LINE = enum.auto()
    #: Carry it out, but give this as the tagged line.
    RETAG = enum.auto()
    #: Send this, then go on as usual.
    PREFACE = enum.auto()
    #: Send so many bytes of the answer, then close.
    CUT = enum.auto()
    #: Carry it out, and send the answer as another server would spell it.
    REWRITE = enum.auto()
    #: Send the answer one byte at a time, with pauses.
    DRIP = enum.auto()


@dataclass
class Fault:
    """One line of the table."""

    #: A regular expression over the command without its tag and literals, a command's number, or a decision.
    when: bytes | int | Callable[[Command], bool]
    action: Action
    text: bytes | Callable[[Command], bytes] = b""
    #: How many commands it strikes; None: all.
    times: int | None = 1
    #: How many matching commands it lets pass first.
    skip: int = 0
    #: Only this connection (the first is 1).
    connection: int | None = None
    cut_at: int = 0
    #: The whole answer, tagged line included, to what is sent in its place.
    spell: Callable[[bytes], bytes] = bytes
    pause_seconds: float = 0.05
    #: The commands that it struck.
    struck: list[Command] = field(default_factory=list)
    _reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """End the waiting of STALL, STALL_ANSWER and LATE."""
        self._released.set()

    def await_reached(self, seconds: float = 60.0) -> None:
        """Return when it first struck."""
        if not self._reached.wait(seconds):
            raise TimeoutError(f"{self.action} was not reached")

    def await_done(self, seconds: float = 60.0) -> None:
        """Return when what LATE or a lost OK holds back has been carried out."""
        if not self._done.wait(seconds):
            raise TimeoutError(f"{self.action} was not carried out")

    def wait(self) -> None:
        """The server's side of `release`."""
        self._released.wait()

    def done(self) -> None:
        """The server's side of `await_done`."""
        self._done.set()

    def words(self, command: Command) -> bytes:
        """The text for this command."""
        return self.text(command) if callable(self.text) else self.text

    def matches(self, command: Command) -> bool:
        """Whether it is about this command at all."""
        if self.connection not in (None, command.connection):
            return False
        if callable(self.when):
            return self.when(command)
        if isinstance(self.when, int):
            return command.number == self.when
        return re.search(self.when, command.text, re.IGNORECASE) is not None


class FaultTable:
    """The faults of a server; the first that matches strikes."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        """Enter it, and give it back."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Behave from now on; what waits goes on."""
        with self._lock:
            for fault in self._faults:
                fault.release()
            self._faults.clear()

    def strike(self, command: Command, *, line_only: bool) -> Fault | None:
        """The fault for this command, counted."""
        with self._lock:
            for fault in self._faults:
                if (fault.action is Action.REPLY_TO_LINE) != line_only or not fault.matches(command):
                    continue
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                if fault.times is not None:
                    if fault.times == 0:
                        continue
                    fault.times -= 1
                fault.struck.append(command)
                fault._reached.set()
                return fault
        return None


When = bytes | int | Callable[[Command], bool]
Text = bytes | Callable[[Command], bytes]


def close(when: When, **more: Any) -> Fault:
    """The server closes instead of carrying out the command."""
    return Fault(when, Action.CLOSE, **more)


def reset(when: When, **more: Any) -> Fault:
    """The server resets the connection instead of carrying out the command."""
    return Fault(when, Action.RESET, **more)


def lost_ok(when: When, *, rst: bool = True, **more: Any) -> Fault:
    """The command is carried out, the answer lost with the connection."""
    return Fault(when, Action.LOSE_AND_RESET if rst else Action.LOSE_AND_CLOSE, **more)


def stall(when: When, *, answer: bool = False, **more: Any) -> Fault:
    """Nothing happens (`answer`: nothing is answered) until `release`."""
    return Fault(when, Action.STALL_ANSWER if answer else Action.STALL, **more)


def late(when: When, **more: Any) -> Fault:
    """The client is reset; the command is carried out at `release`."""
    return Fault(when, Action.LATE, **more)


def reply(when: When, text: Text, **more: Any) -> Fault:
    """Answered, not carried out: `b"NO [UNAVAILABLE] later"`. With `* BYE …` the server closes after it."""
    return Fault(when, Action.REPLY, text, **more)


def reply_to_line(when: When, text: Text, **more: Any) -> Fault:
    """Answered before a literal is read: instead of `+`, or with the literal of LITERAL+ then read as commands."""
    return Fault(when, Action.REPLY_TO_LINE, text, **more)


def retag(when: When, text: Text, **more: Any) -> Fault:
    """Carried out, with this as its tagged line: `b"OK [THROTTLED] Success"`."""
    return Fault(when, Action.RETAG, text, **more)


def preface(when: When, text: Text, **more: Any) -> Fault:
    """Whole lines (with CRLF) sent before the answer."""
    return Fault(when, Action.PREFACE, text, **more)


def cut(when: When, at: int, **more: Any) -> Fault:
    """Carried out; of the answer come so many bytes, then the end."""
    return Fault(when, Action.CUT, cut_at=at, **more)


def rewrite(when: When, spell: Callable[[bytes], bytes], **more: Any) -> Fault:
    """Carried out, every time; `spell` makes of the answer what is sent: the same in another spelling, or less."""
    return Fault(when, Action.REWRITE, spell=spell, **{"times": None, **more})


def drip(when: When, pause_seconds: float = 0.05, **more: Any) -> Fault:
    """Carried out; the answer comes byte by byte."""
    return Fault(when, Action.DRIP, pause_seconds=pause_seconds, **more)
