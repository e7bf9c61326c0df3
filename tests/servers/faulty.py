r"""A scripted IMAP server for both sides: it behaves well until a test tells it otherwise.

    with FaultyServer() as server:
        account = server.add_account("anna", "secret")
        account.folder("INBOX").add(b"Subject: x\r\n\r\n", [b"\\Seen"], quirks=frozenset({Quirk.BODY_NIL}))
        server.behaviour.capabilities.discard("MULTIAPPEND")
        server.faults.add(lost_ok(b"^APPEND"))

Messages (`Quirk`) and the `AppendPolicy` define faults of stored mail; `faults` defines faults of commands. All
commands are kept in `commands`.
"""

from __future__ import annotations

import itertools
import re
import socket
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.servers.connection import Connection, shut
from tests.servers.faults import Fault, FaultTable
from tests.servers.imap_append import AppendPolicy, Incoming
from tests.servers.imap_model import Account, Folder, Message, Quirk
from tests.servers.imap_session import Attempt, Behaviour
from tests.servers.imap_syntax import Command

__all__ = [
    "Account",
    "AppendPolicy",
    "Attempt",
    "Command",
    "Fault",
    "FaultyServer",
    "Folder",
    "Incoming",
    "Message",
    "Quirk",
]


class FaultyServer:
    """A server that listens on a free port of loopback; a context manager."""

    host = "127.0.0.1"

    def __init__(self, *, tls: ssl.SSLContext | None = None, greeting: bytes | None = None) -> None:
        self.behaviour = Behaviour()
        self.faults = FaultTable()
        #: Greeting of each connection; None for an OK with the capabilities. A greeting without CRLF is sent as it is.
        self.greeting = greeting
        #: Commands received, in order of arrival.
        self.commands: list[Command] = []
        self._connections: list[Connection] = []
        self._socks: list[socket.socket] = []
        self._tls = tls
        self._numbers = itertools.count(1)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._recorded = threading.Condition(self._lock)
        self._listener = socket.create_server((self.host, 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self.faults.clear()
        shut(self._listener, rst=False)
        self.disconnect_all()
        for thread in self._threads:
            thread.join(5)

    # -- content

    def add_account(
        self, login: str = "user", password: str = "secret", *, separator: bytes = b"/", prefix: bytes = b""
    ) -> Account:
        """Adds an account with an empty INBOX."""
        account = Account(login, password, separator, prefix)
        self.behaviour.accounts[login] = account
        return account

    def renumber(self, folder: Folder, *, bye: bool = True) -> None:
        """Changes UIDVALIDITY and all UIDs. With `bye` the server disconnects all clients, as Dovecot does."""
        folder.renumber()
        if bye:
            self.disconnect_all(b"* BYE Mailbox was deleted under us\r\n")

    def disconnect_all(self, last_words: bytes = b"", *, rst: bool = False) -> None:
        """Ends every connection."""
        with self._lock:
            socks, self._socks = self._socks, []
        for sock in socks:
            try:
                if last_words:
                    sock.sendall(last_words)
            except OSError:
                pass
            shut(sock, rst=rst)

    # -- counts of what clients did

    @property
    def lines(self) -> list[bytes]:
        """The lines of all commands without their tags, in order."""
        return [command.text for command in list(self.commands)]

    def matching(self, pattern: bytes) -> list[Command]:
        """Returns the commands whose line (without tag) matches the pattern."""
        return [command for command in list(self.commands) if re.search(pattern, command.text, re.IGNORECASE)]

    def logins(self, login: str | None = None, *, accepted: bool | None = None) -> int:
        """Returns how often clients tried to sign in (as `login`, with this result)."""
        return sum(
            1
            for attempt in list(self.behaviour.attempts)
            if login in (None, attempt.login) and accepted in (None, attempt.accepted)
        )

    def until(self, check: Callable[[], object], seconds: float = 180.0) -> bool:
        """Waits until `check` holds and tells whether it does.

        Commands of a client that has gone may still be unread.
        """
        with self._recorded:
            return bool(self._recorded.wait_for(check, seconds))

    @property
    def connections(self) -> int:
        """The number of connections so far."""
        return len(self._connections)

    @property
    def hasty(self) -> int:
        """The number of times that a client did not wait for the `+` that it had to wait for."""
        return sum(connection.hasty for connection in self._connections)

    @property
    def early(self) -> int:
        """The number of commands that came before the answer to the one ahead, while `one_at_a_time` forbade it."""
        return sum(connection.early for connection in self._connections)

    # -- serving

    def _start(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True, name="faulty")  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
        except OSError:
            return sock.close()
        with self._lock:
            number = len(self._connections) + 1
            connection = Connection(sock, number, self.behaviour, self.faults, self._record, self._stopping)
            self._connections.append(connection)
            self._socks.append(sock)
        greeting = self.greeting
        if greeting is None:
            greeting = b"* OK [CAPABILITY %b] scripted server ready\r\n" % self.behaviour.announced()
        connection.serve(greeting, lambda: next(self._numbers))

    def _record(self, command: Command) -> None:
        with self._recorded:
            self.commands.append(command)
            self._recorded.notify_all()
