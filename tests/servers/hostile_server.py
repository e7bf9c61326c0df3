"""A mail server that wears its client out: it signs anybody in and then does one hostile thing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Final

from tests.servers.listener import Listener

Say = Callable[[bytes], None]
_SELECTED: Final = b"* 9 EXISTS\r\n* OK [UIDVALIDITY 1] x\r\n* OK [UIDNEXT 10] x\r\n"


class Hostile:
    """A mail server that signs anybody in and then does one hostile thing; a context manager."""

    def __init__(self, how: str, *, pause_seconds: float = 0.0) -> None:
        """Takes `how`, the name of a method below, and the seconds between two parts of an answer without end.

        `busy` is set as soon as a client reads what it does.
        """
        self.how, self.busy, self.over = how, threading.Event(), threading.Event()
        self._pause = pause_seconds
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def __enter__(self) -> Hostile:
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._listener.close()

    def _serve(self, sock: socket.socket) -> None:
        with sock.makefile("rb") as lines:
            sock.sendall(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
            for line in lines:
                tag, *words = line.split()
                command = b" ".join(words[:2] if words[0].upper() == b"UID" else words[:1]).upper()
                self._answer(sock.sendall, command, b" ".join(words))
                sock.sendall(tag + b" OK done\r\n")

    def _answer(self, say: Say, command: bytes, line: bytes) -> None:
        if command == b"LIST":
            getattr(self, f"_list_{self.how}", self._list)(say)
        elif command in (b"EXAMINE", b"SELECT"):
            say(_SELECTED)
        elif command == b"STATUS":
            say(b"* STATUS INBOX (MESSAGES 9 UIDNEXT 10 UIDVALIDITY 1)\r\n")
        elif command == b"UID FETCH" and b"BODY.PEEK[]" in line:
            getattr(self, f"_body_{self.how}", self._drip)(say)
        elif command == b"UID FETCH":
            size = 10**9 if self.how == "giant" else 40_000
            say(b"".join(b"* %d FETCH (UID %d FLAGS () RFC822.SIZE %d)\r\n" % (n, n, size) for n in range(1, 10)))

    def _list(self, say: Say) -> None:
        say(b'* LIST () "/" INBOX\r\n')

    def _drip(self, say: Say) -> None:
        """Sends a body of the size that was announced, some bytes a second."""
        self.busy.set()
        say(b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "01-Jan-2024 00:00:00 +0000" BODY[] {40000}\r\n')
        while not self.over.wait(0.2):
            say(b"x" * 300)

    def _body_giant(self, say: Say) -> None:
        """Sends bodies of a gigabyte as fast as they are read."""
        self.busy.set()
        say(b'* 1 FETCH (UID 1 FLAGS () INTERNALDATE "01-Jan-2024 00:00:00 +0000" BODY[] {1000000000}\r\n')
        while not self.over.is_set():
            say(b"x" * 65_536)

    def _body_quotes(self, say: Say) -> None:
        """Sends answers that are slow to read, as fast as they are."""
        while not self.over.is_set():
            self.busy.set()
            say((b'* 1 FETCH (UID 1 FLAGS ("' + b'\\"' * 30_000 + b"\r\n") * 4)

    def _list_endless(self, say: Say) -> None:
        while not self.over.wait(self._pause):
            say(b"* OK one moment\r\n" * 100)
            self.busy.set()

    def _list_folders(self, say: Say) -> None:
        self.busy.set()
        say(b"".join(b'* LIST () "/" "folder %d"\r\n' % n for n in range(20_000)))
