"""Tests that a message too large for the worker's disk, or without end, fails alone; the small ones arrive."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import AdminEnvironment, Box
from tests.contract.test_mail_pop3_reading import endless
from tests.servers.hostile_server import Hostile
from tests.servers.pop3_server import Pop3Server

#: Bytes of the worker's temporary folder, and of a message that does not fit in.
ROOM = 4 * 1024 * 1024
LARGE = b"Subject: large\r\n\r\n" + b"x" * 70 * 100_000 + b"\r\n"
SMALL = [b"Subject: small %d\r\n\r\nbody\r\n" % n for n in range(6)]


@pytest.fixture
def little_room(tmp_path: Path) -> Iterator[Path]:
    """Mounts a small file system of its own; skips the test without root."""
    where = tmp_path / "little"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(where)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root and a file system of its own")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=False)


def imported(admin_env: AdminEnvironment, server: Pop3Server, code: int) -> tuple[dict[str, Any], Box]:
    # The destination is that of other tests, too: an account of their own is empty.
    login = f"room-{uuid.uuid4().hex[:8]}"
    admin_env.destination.add_user(login, "pw")
    box = Box(admin_env.destination, login, "pw")
    manifest = admin_env.manifest({login: "pw"})
    ends = [
        "--source",
        f"pop3://127.0.0.1:{server.port}",
        "--destination",
        f"imap://127.0.0.1:{admin_env.destination.port}",
    ]
    ended = admin_env.run("import", manifest, *ends, "--json", code=code)
    found: dict[str, Any] = json.loads(ended.out)
    return found, box


def arrived(box: Box) -> list[str]:
    """Returns the SHA-256 of each message at the destination."""
    return sorted(digest for _, digest, *_ in box.seen().elements())


def sums(*bodies: bytes) -> list[str]:
    return sorted(hashlib.sha256(body).hexdigest() for body in bodies)


def test_a_message_that_does_not_fit_into_tmpdir_is_told_and_the_others_arrive(
    admin_env: AdminEnvironment, little_room: Path
) -> None:
    admin_env.variables |= {"TMPDIR": str(little_room)}
    with Pop3Server([*SMALL[:3], LARGE, *SMALL[3:]]) as server:
        whole, box = imported(admin_env, server, 3)
        assert (whole["import"]["copied"], whole["import"]["failed"]) == (6, 1)
        assert arrived(box) == sums(*SMALL)
        told = admin_env.run("errors").out
        assert f"no room in TMPDIR ({little_room}) of the worker for a message of 7,0" in told
        assert "a fault of mailhaul" not in told
        # With more room the same message comes.
        subprocess.run(["mount", "-o", f"remount,size={20 * ROOM}", str(little_room)], check=True)
        admin_env.run("retry", "people")
        assert arrived(box) == sums(*SMALL, LARGE)


def test_a_message_without_end_is_told_and_the_others_arrive(admin_env: AdminEnvironment, tmp_path: Path) -> None:
    """Sends a message that never ends: it is read up to the size in LIST. The worker's folder is empty afterwards."""
    room = tmp_path / "room"
    room.mkdir()
    admin_env.variables |= {"TMPDIR": str(room)}
    with Pop3Server([*SMALL[:3], LARGE[:100] + b"\r\n", *SMALL[3:]]) as server:
        endless(server, 4)
        whole, box = imported(admin_env, server, 3)
        assert (whole["import"]["copied"], whole["import"]["failed"]) == (6, 1)
        assert arrived(box) == sums(*SMALL)
        assert "of a message that LIST gives" in admin_env.run("errors").out
    assert not list(room.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_lane_stops_while_a_source_talks_without_end(admin_env: AdminEnvironment, number: int) -> None:
    login = f"chatty-{int(number)}"
    admin_env.destination.add_user(login, "pw")
    manifest = admin_env.manifest({login: "pw"})
    with Hostile("endless", pause_seconds=0.01) as server:
        source = f"imap://127.0.0.1:{server.port}"
        destination = f"imap://127.0.0.1:{admin_env.destination.port}"
        running = admin_env.start("import", manifest, "--source", source, "--destination", destination)
        assert server.busy.wait(180)
        running.send_signal(number)
        ended = admin_env.ended(running, code=4)
        assert not server.over.is_set(), "it still talked"
    assert "is killed" not in ended.said + admin_env.logs()
