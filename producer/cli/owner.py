"""The process that runs everything in a state folder: found by `mailhaul down` and by a second command.

The file is locked for as long as the owner lives, so that a process number left behind by a dead owner is never
signalled.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

_FILE = "running.pid"


@contextlib.contextmanager
def mark_owner(state_dir: Path, verb: str) -> Iterator[bool]:
    """Marks this process as the owner within the `with` block. Yields False if another process is the owner."""
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(state_dir / _FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {verb}\n".encode(), 0)
        yield True
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def owner_of(state_dir: Path) -> tuple[int, str] | None:
    """Returns (process, verb) of the owner; None if there is none."""
    try:
        descriptor = os.open(state_dir / _FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        number, _, verb = os.pread(descriptor, 100, 0).decode(errors="replace").partition(" ")
        return (int(number), verb.strip()) if number.isdigit() else None
    finally:
        os.close(descriptor)
    return None
