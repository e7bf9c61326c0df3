"""Fills mailboxes and looks at them with nothing but the standard library: an oracle that shares no code with mailhaul."""

from __future__ import annotations

import contextlib
import hashlib
import imaplib
import re
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

#: (folder, SHA-256 of the bytes, flags, internal date)
Seen = tuple[str, str, tuple[str, ...], str]
_FLAGS = ("", "\\Seen", "\\Answered \\Seen", "\\Flagged $Label1", "\\Draft")


@dataclass(frozen=True)
class Box:
    """One account of one server."""

    #: Port of the server.
    port: int
    #: Who.
    login: str
    #: Password.
    password: str

    @contextlib.contextmanager
    def _client(self) -> Iterator[imaplib.IMAP4]:
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=30)
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.login(self.login, self.password)
        try:
            yield client
        finally:
            client.logout()

    def fill(self, folders: dict[str, int], *, size: int = 500, first: int = 0) -> None:
        """Folder (as on the wire) → number of messages, with flags, keywords and dates of all kinds."""
        with self._client() as client:
            for folder, messages in folders.items():
                if folder != "INBOX":
                    client.create(f'"{folder}"')
                for number in range(first, first + messages):
                    body = f"From: a@b.example\r\nSubject: {folder} {number}\r\nMessage-ID: <{folder}.{number}@x>\r\n\r\n"
                    text = body.encode() + (b"%072d\r\n" % number) * (size // 74)
                    date = imaplib.Time2Internaldate(1_500_000_000 + 86_461 * number)
                    answer = client.append(f'"{folder}"', f"({_FLAGS[number % len(_FLAGS)]})", date, text)
                    assert answer[0] == "OK", answer

    def seen(self) -> Counter[Seen]:
        """Everything in it, as a multiset."""
        found: Counter[Seen] = Counter()
        with self._client() as client:
            for line in client.list()[1]:
                assert isinstance(line, bytes)
                name = re.sub(rb'^\([^)]*\) (?:"."|NIL) ', b"", line).strip(b'"').decode()
                _, [count] = client.select(f'"{name}"', readonly=True)
                if not int(count or b"0"):
                    continue
                for part in client.fetch("1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]:
                    if isinstance(part, tuple):
                        head, body = part
                        flags = re.search(rb"FLAGS \(([^)]*)\)", head)
                        date = re.search(rb'INTERNALDATE "([^"]*)"', head)
                        assert flags and date
                        words = tuple(sorted(word.decode() for word in flags[1].split() if word != b"\\Recent"))
                        found[name, hashlib.sha256(body).hexdigest(), words, date[1].decode()] += 1
        return found

    def folders(self) -> list[str]:
        """Names, as on the wire."""
        with self._client() as client:
            lines = [line for line in client.list()[1] if isinstance(line, bytes)]
            return sorted(re.sub(rb'^\([^)]*\) (?:"."|NIL) ', b"", line).strip(b'"').decode() for line in lines)
