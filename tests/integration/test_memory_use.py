"""Tests the memory use of a worker while much mail passes through it; measured from outside, in a separate process."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest

from tests.conftest import DovecotPair
from tests.integration.in_process_import import LOGIN, PASSWORD, Wires, plain
from tests.mail import Mail, populate, snapshot
from tests.servers.dovecot import Dovecot
from tests.servers.faulty import FaultyServer, Quirk
from tests.servers.listener import Listener

ROOT = Path(__file__).parents[2]
MOST_KIB = 120 * 1024
WHEN = datetime(2022, 3, 4, 5, 6, 7, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures by /proc")


def worker(source: int, destination: int, mode: str = "copy", timeout_seconds: float = 30) -> dict[str, Any]:
    """Runs a worker process on these servers. Returns what it reported."""
    arguments = [str(source), str(destination), mode, str(timeout_seconds)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.integration.in_process_import", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_message_of_60_mb_passes_through(dovecot_pair: DovecotPair, dovecot: Callable[..., Dovecot]) -> None:
    source, destination = dovecot_pair.source, dovecot_pair.destination
    for server in (source, destination):
        server.add_user(LOGIN, PASSWORD)
    line = b"0123456789abcdef" * 4 + b"\r\n"
    large = Mail(plain(1) + line * (60 * 2**20 // len(line)), ("\\Seen",), WHEN)
    small = [Mail(plain(n), (), WHEN) for n in range(2, 40)]
    populate(source.host, source.port, LOGIN, PASSWORD, {"INBOX": [*small[:20], large, *small[20:]]})
    told = worker(source.port, destination.port)
    assert told["outcomes"] == {"copied": 39}
    assert snapshot(destination.host, destination.port, LOGIN, PASSWORD) == snapshot(
        source.host, source.port, LOGIN, PASSWORD
    )
    assert told["peak_kib"] < MOST_KIB


@pytest.mark.parametrize("kind", ["scripted", "dovecot"])
def test_a_literal_of_4_gib_is_announced(kind: str, dovecot: Callable[..., Dovecot]) -> None:
    with FaultyServer() as source, FaultyServer() as scripted:
        wires = Wires(source, scripted)
        wires.fill(20)
        wires.old.folder(b"INBOX").add(plain(99), quirks=frozenset({Quirk.HUGE_LITERAL}))
        wires.fill(20, first=100)
        port = scripted.port
        if kind == "dovecot":
            real = dovecot()
            real.add_user(LOGIN, PASSWORD)
            port = real.port
        told = worker(source.port, port, timeout_seconds=5)
    assert told["outcomes"] == {"copied": 40, "failed": 1}
    assert [uid for uid, what, _ in told["notes"] if what == "failed"] == [21]
    assert told["peak_kib"] < MOST_KIB


class Million:
    """A source with one folder of `count` small messages.

    It answers only what planning asks. Every `gap`th UID is unused.
    """

    def __init__(self, count: int, gap: int) -> None:
        self.count, self.gap = count, gap
        self.last = count + count // (gap - 1) if gap else count
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self, sock: socket.socket) -> None:
        sock.sendall(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ ESEARCH CONDSTORE] ready\r\n")
        with sock.makefile("rb") as lines:
            for line in lines:
                tag, _, command = line.rstrip().partition(b" ")
                for piece in self._answer(command):
                    sock.sendall(piece)
                sock.sendall(tag + b" OK done\r\n")

    def _answer(self, command: bytes) -> Iterator[bytes]:
        if command.startswith(b'LIST "" "*"'):
            yield b'* LIST () "/" INBOX\r\n'
        elif command.startswith(b"EXAMINE"):
            yield b"* %d EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT %d] x\r\n" % (self.count, self.last + 1)
            yield b"* OK [HIGHESTMODSEQ 9] x\r\n"
        elif asked := re.match(rb"UID FETCH (\d+):(\d+) \(UID FLAGS RFC822\.SIZE\)", command):
            uids = range(int(asked[1]), int(asked[2]) + 1)
            yield b"".join(
                b"* %d FETCH (UID %d FLAGS (%b) RFC822.SIZE 4000)\r\n"
                % (uid, uid, b"\\Seen" if uid % 20 else b"\\Flagged")
                for uid in uids
                if not self.gap or uid % self.gap
            )


@pytest.mark.slow
@pytest.mark.parametrize("gap", [0, 8])
def test_planning_a_million_messages(gap: int) -> None:
    with Million(1_000_000, gap) as source, FaultyServer() as destination:
        destination.add_account(LOGIN, PASSWORD)
        told = worker(source.port, destination.port, "plan")
    assert told["messages"] == told["outcomes"]["pending"] >= 999_999
    assert told["peak_kib"] < MOST_KIB
