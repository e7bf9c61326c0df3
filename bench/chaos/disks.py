"""Disks of a size of their own for a mail server, so that they can be full."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.dovecot import Dovecot


@contextmanager
def disk_of(server: Dovecot, size: str) -> Iterator[Path | None]:
    """Gives the server's mail a file system of its own. Yields None where that may not be done: it needs root."""
    where = server.home / "mail"
    owner = where.stat()
    options = f"size={size},mode=755,uid={owner.st_uid},gid={owner.st_gid}"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield where
    finally:
        subprocess.run(["umount", "-l", str(where)], check=False)


def resize(disk: Path, size: int) -> bool:
    """Changes the size of such a disk, in bytes. Returns False where what is on it does not fit."""
    command = ["mount", "-o", f"remount,size={size}", str(disk)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
