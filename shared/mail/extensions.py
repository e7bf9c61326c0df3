"""What a server announces and does not do. It is left out for the rest of the run, by every session with that server.

A capability is a promise (RFC 9051 §6.1.1), and some servers break it: they answer NO or BAD to what they announce, or close
the connection. `Broken` remembers that for one server, `Servers` for all of them; `shared.mail.forms` asks again without.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

#: Several commands in one flight (RFC 9051 §5.5). Every server has to take them, so none announces it.
PIPELINING: Final = "PIPELINING"


@dataclass(frozen=True, slots=True)
class Extension:
    """One row of the table."""

    #: What of it stands in commands: a refusal that repeats one of these words is about it.
    asked: tuple[str, ...]
    #: How the same is done without it.
    without: str


#: Every extension that mailhaul asks for and can do without.
TABLE: Final[Mapping[str, Extension]] = {
    PIPELINING: Extension(("pipelin", "one command"), "one command is sent at a time"),
    "SASL-IR": Extension(("sasl-ir", "initial"), "credentials are sent when the server asks for them"),
    "ID": Extension(("id",), "the server is not told which program signs in"),
    "ENABLE": Extension(("enable",), "folder names stay in modified UTF-7"),
    "NAMESPACE": Extension(("namespace",), "every folder is taken for the account's own"),
    "SPECIAL-USE": Extension(("special-use", "special"), "special folders are told by their attributes or names"),
    "CHILDREN": Extension(("children",), "nothing is asked about children of folders"),
    "LIST-EXTENDED": Extension(("return", "subscribed"), "subscriptions are listed apart"),
    "CONDSTORE": Extension(("condstore", "modseq", "changedsince"), "a later pass compares all flags"),
    "STATUS=SIZE": Extension(("size",), "sizes are added up message by message"),
    "APPENDLIMIT": Extension(("appendlimit",), "a message that is too large is refused only once it is sent"),
    "ESEARCH": Extension(("return", "esearch"), "searches are answered in full"),
    "LITERAL+": Extension(("literal",), "the server is asked before each message is sent"),
    "LITERAL-": Extension(("literal",), "the server is asked before each message is sent"),
    "MULTIAPPEND": Extension(("multiappend",), "messages are appended one by one"),
    "X-GM-EXT-1": Extension(("x-gm", "labels"), "Gmail's labels are not looked at"),
    "QUOTA": Extension(("quota",), "nothing is known of the quota"),
}


def sentence(name: str) -> str:
    """What a person should know of an extension that is left out."""
    return f"announces {name} and refuses it: {TABLE[name].without}"


#: What a capability brings without naming it (RFC 9051 appendix E, RFC 7162 §3.2.3).
_IMPLIED: Final[Mapping[str, tuple[str, ...]]] = {
    "IMAP4REV2": (
        "CHILDREN", "ENABLE", "ESEARCH", "LIST-EXTENDED", "LIST-STATUS", "LITERAL-", "MOVE", "NAMESPACE", "SASL-IR",
        "SPECIAL-USE", "STATUS=SIZE", "UIDPLUS", "UNSELECT",
    ),
    "QRESYNC": ("CONDSTORE",),
    "LIST-EXTENDED": ("CHILDREN",),
}  # fmt: skip

#: Extension → connections that are lost at it before the next session does without. Of what makes copying fast more than
#: one: connections are lost for other reasons too.
_LOSSES: Final[Mapping[str, int]] = {PIPELINING: 2, "MULTIAPPEND": 2}

#: Told of an extension that is left out, and what the server said.
Told = Callable[[str, str], object]


def offered(announced: Iterable[str]) -> frozenset[str]:
    """The capabilities with what they imply."""
    names = set(announced)
    for name, implied in _IMPLIED.items():
        if name in names:
            names.update(implied)
    if any(name.startswith("QUOTA=") for name in names):
        names.add("QUOTA")
    return frozenset(names)


class Broken:
    """The promises that one server broke. Thread-safe: all sessions with the server share it."""

    def __init__(self, told: Told | None = None) -> None:
        self._told = told
        self._lock = threading.Lock()
        #: Extension → what the server said when it refused it.
        self._left_out: dict[str, str] = {}
        #: The same of what a connection was lost at: left out by the next session, which finds out whether that was it.
        self._suspected: dict[str, str] = {}
        self._kept: set[str] = set()
        self._losses: Counter[str] = Counter()

    @property
    def left_out(self) -> Mapping[str, str]:
        """Extension → what the server said when it refused it."""
        with self._lock:
            return dict(self._left_out)

    def lacks(self, name: str) -> bool:
        """Whether it is not to be asked for."""
        return name in self._left_out or name in self._suspected

    def kept(self, name: str) -> bool:
        """Whether the server was seen to do it."""
        return name in self._kept

    def keeps(self, name: str) -> None:
        """The server did it."""
        self._kept.add(name)

    def leave_out(self, name: str, words: str) -> None:
        """The server refused it with these words, and did without it what was asked."""
        with self._lock:
            self._suspected.pop(name, None)
            news = name not in self._left_out
            self._left_out.setdefault(name, words)
        if news and self._told:
            self._told(name, words)

    def done_without(self, names: Iterable[str]) -> None:
        """A session did without these what was asked: what a connection was lost at before is left out for good."""
        for name in names:
            if (words := self._suspected.get(name)) is not None:
                self.leave_out(name, words)

    def suspect(self, name: str, words: str) -> None:
        """The server refused with these words what uses it; it is done without until it is known whether that was the cause."""
        with self._lock:
            if name not in self._kept and name not in self._left_out:
                self._suspected[name] = words

    def clear(self, name: str) -> None:
        """Something else was the cause."""
        with self._lock:
            if self._suspected.pop(name, None) is not None:
                self._kept.add(name)

    def lost(self, names: Iterable[str], words: str, *, several: bool) -> None:
        """A connection was lost at a command that uses `names`; `several` commands were in flight.

        The next session does without. Where it is lost all the same, that was not the cause."""
        with self._lock:
            cleared = [name for name in (*names, PIPELINING) if name in self._suspected]
            for name in cleared:
                del self._suspected[name]
            self._kept.update(name for name in cleared if name != PIPELINING)
            pipelined = several and PIPELINING not in self._kept and PIPELINING not in self._left_out
            for name in (PIPELINING,) if pipelined else names:
                if name not in self._kept and name not in self._left_out:
                    self._losses[name] += 1
                    if self._losses[name] >= _LOSSES.get(name, 1):
                        self._suspected[name] = words


class Servers:
    """`Broken` by host and port: for one process. Thread-safe."""

    def __init__(self, told: Callable[[str, int, str, str], object] | None = None) -> None:
        """`told`: host, port, extension, what the server said."""
        self._told = told
        self._lock = threading.Lock()
        self._servers: dict[tuple[str, int], Broken] = {}

    def of(self, host: str, port: int) -> Broken:
        """What is known of this server."""
        with self._lock:
            if (host, port) not in self._servers:
                told = self._told
                self._servers[host, port] = Broken(
                    (lambda name, words: told(host, port, name, words)) if told else None
                )
            return self._servers[host, port]
