"""The faults of the scripted server: a table, each row for the commands it matches, and for a limited number of times.

Example:

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
    """An action of the server instead of carrying out a command, or around it."""

    #: Closes (FIN) or resets (RST) before the command is carried out.
    CLOSE = enum.auto()
    RESET = enum.auto()
    #: Carries the command out, sends no answer, closes or resets: the lost OK.
    LOSE_AND_CLOSE = enum.auto()
    LOSE_AND_RESET = enum.auto()
    #: Waits until released, then goes on as usual.
    STALL = enum.auto()
    #: Carries the command out, then holds the answer back until released.
    STALL_ANSWER = enum.auto()
    #: Resets the client now, and carries the command out when released.
    LATE = enum.auto()
    #: Answers with this text instead of carrying the command out.
    REPLY = enum.auto()
    #: Answers as soon as the first line is read: a literal that follows is read as commands.
    REPLY_TO_LINE = enum.auto()
    #: Carries the command out, but sends this as the tagged line.
    RETAG = enum.auto()
    #: Sends this, then goes on as usual.
    PREFACE = enum.auto()
    #: Sends some bytes of the answer, then closes.
    CUT = enum.auto()
    #: Carries the command out, and sends the answer as another server would spell it.
    REWRITE = enum.auto()
    #: Sends the answer one byte at a time, with pauses.
    DRIP = enum.auto()


@dataclass
class Fault:
    """A row of the table."""

    #: A regular expression over the command without its tag and literals, a command's number, or a function that
    #: decides.
    when: bytes | int | Callable[[Command], bool]
    action: Action
    text: bytes | Callable[[Command], bytes] = b""
    #: Number of commands that the fault strikes; None for all.
    times: int | None = 1
    #: Number of matching commands that pass first.
    skip: int = 0
    #: Number of the connection that the fault is limited to (the first is 1).
    connection: int | None = None
    cut_at: int = 0
    #: Turns the whole answer, with its tagged line, into the one that is sent.
    spell: Callable[[bytes], bytes] = bytes
    pause_seconds: float = 0.05
    #: Commands that the fault struck.
    struck: list[Command] = field(default_factory=list)
    _reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Ends the waiting of STALL, STALL_ANSWER and LATE."""
        self._released.set()

    def await_reached(self, seconds: float = 60.0) -> None:
        """Returns when the fault has struck for the first time."""
        if not self._reached.wait(seconds):
            raise TimeoutError(f"{self.action} was not reached")

    def await_done(self, seconds: float = 60.0) -> None:
        """Returns when a command whose answer LATE or a lost OK holds back has been carried out."""
        if not self._done.wait(seconds):
            raise TimeoutError(f"{self.action} was not carried out")

    def wait(self) -> None:
        """Waits for `release`, on the server's side."""
        self._released.wait()

    def done(self) -> None:
        """Ends `await_done`, on the server's side."""
        self._done.set()

    def words(self, command: Command) -> bytes:
        """Returns the text for this command."""
        return self.text(command) if callable(self.text) else self.text

    def matches(self, command: Command) -> bool:
        """Tells whether the fault applies to this command."""
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
        """Adds the fault and returns it."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Removes all faults; commands that wait go on."""
        with self._lock:
            for fault in self._faults:
                fault.release()
            self._faults.clear()

    def strike(self, command: Command, *, line_only: bool) -> Fault | None:
        """Returns the fault for this command, and counts it."""
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
    """Makes the server close instead of carrying out the command."""
    return Fault(when, Action.CLOSE, **more)


def reset(when: When, **more: Any) -> Fault:
    """Makes the server reset the connection instead of carrying out the command."""
    return Fault(when, Action.RESET, **more)


def lost_ok(when: When, *, rst: bool = True, **more: Any) -> Fault:
    """Carries the command out and loses the answer with the connection."""
    return Fault(when, Action.LOSE_AND_RESET if rst else Action.LOSE_AND_CLOSE, **more)


def stall(when: When, *, answer: bool = False, **more: Any) -> Fault:
    """Does nothing (with `answer`: sends no answer) until `release`."""
    return Fault(when, Action.STALL_ANSWER if answer else Action.STALL, **more)


def late(when: When, **more: Any) -> Fault:
    """Resets the client, and carries the command out at `release`."""
    return Fault(when, Action.LATE, **more)


def reply(when: When, text: Text, **more: Any) -> Fault:
    """Answers without carrying the command out: `b"NO [UNAVAILABLE] later"`. After `* BYE …` the server closes."""
    return Fault(when, Action.REPLY, text, **more)


def reply_to_line(when: When, text: Text, **more: Any) -> Fault:
    """Answers before a literal is read: instead of `+`, or with the literal of LITERAL+ then read as commands."""
    return Fault(when, Action.REPLY_TO_LINE, text, **more)


def retag(when: When, text: Text, **more: Any) -> Fault:
    """Carries the command out, with this as its tagged line: `b"OK [THROTTLED] Success"`."""
    return Fault(when, Action.RETAG, text, **more)


def preface(when: When, text: Text, **more: Any) -> Fault:
    """Sends whole lines (with CRLF) before the answer."""
    return Fault(when, Action.PREFACE, text, **more)


def cut(when: When, at: int, **more: Any) -> Fault:
    """Carries the command out, sends `at` bytes of the answer and closes."""
    return Fault(when, Action.CUT, cut_at=at, **more)


def rewrite(when: When, spell: Callable[[bytes], bytes], **more: Any) -> Fault:
    """Carries every such command out; `spell` turns the answer into one with another spelling, or with less in it."""
    return Fault(when, Action.REWRITE, spell=spell, **{"times": None, **more})


def drip(when: When, pause_seconds: float = 0.05, **more: Any) -> Fault:
    """Carries the command out and sends the answer byte by byte."""
    return Fault(when, Action.DRIP, pause_seconds=pause_seconds, **more)
