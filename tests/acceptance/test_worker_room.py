"""A large message, honest or endless, costs the worker's disk no more than there is, and the small ones nothing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Box, Office
from tests.contract.test_mail_pop3_reading import endless
from tests.servers.pop3_server import Pop3Server

#: Bytes of the worker's temporary folder, and of a message that does not fit in.
ROOM = 4 * 1024 * 1024
LARGE = b"Subject: large\r\n\r\n" + b"x" * 70 * 100_000 + b"\r\n"
SMALL = [b"Subject: small %d\r\n\r\nbody\r\n" % n for n in range(6)]


@pytest.fixture
def little_room(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    where = tmp_path / "little"
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(where)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs root and a file system of its own")
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=False)


def imported(office: Office, server: Pop3Server, code: int) -> tuple[dict[str, Any], Box]:
    office.destination.add_user("anna", "pw")
    box = Box(office.destination, "anna", "pw")
    manifest = office.manifest({"anna": "pw"})
    ends = [
        "--source",
        f"pop3://127.0.0.1:{server.port}",
        "--destination",
        f"imap://127.0.0.1:{office.destination.port}",
    ]
    ended = office.run("import", manifest, *ends, "--json", code=code)
    found: dict[str, Any] = json.loads(ended.out)
    return found, box


def arrived(box: Box) -> list[str]:
    """SHA-256 of what is there."""
    return sorted(digest for _, digest, *_ in box.seen().elements())


def sums(*bodies: bytes) -> list[str]:
    return sorted(hashlib.sha256(body).hexdigest() for body in bodies)


def test_a_message_that_does_not_fit_into_tmpdir_is_told_and_the_others_arrive(
    office: Office, little_room: Path
) -> None:
    office.variables |= {"TMPDIR": str(little_room)}
    with Pop3Server([*SMALL[:3], LARGE, *SMALL[3:]]) as server:
        whole, box = imported(office, server, 3)
        assert (whole["import"]["copied"], whole["import"]["failed"]) == (6, 1)
        assert arrived(box) == sums(*SMALL)
        told = office.run("errors").out
        assert f"no room in TMPDIR ({little_room}) of the worker for a message of 7,0" in told
        assert "a fault of mailhaul" not in told
        # With more room the same message comes.
        subprocess.run(["mount", "-o", f"remount,size={20 * ROOM}", str(little_room)], check=True)
        office.run("retry", "people")
        assert arrived(box) == sums(*SMALL, LARGE)


def test_a_message_without_end_is_told_and_the_others_arrive(office: Office, tmp_path: Path) -> None:
    """As long as LIST allows it is taken, and no longer; the worker's folder is empty again."""
    room = tmp_path / "room"
    room.mkdir()
    office.variables |= {"TMPDIR": str(room)}
    with Pop3Server([*SMALL[:3], LARGE[:100] + b"\r\n", *SMALL[3:]]) as server:
        endless(server, 4)
        whole, box = imported(office, server, 3)
        assert (whole["import"]["copied"], whole["import"]["failed"]) == (6, 1)
        assert arrived(box) == sums(*SMALL)
        assert "of a message that LIST gives" in office.run("errors").out
    assert not list(room.iterdir())
