"""Who runs the machinery of a state folder, for `mailhaul down` and for whoever comes second.

The file is locked as long as the owner lives, so that a number left behind by a dead one is never signalled.
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
    """Inside, `owner_of` finds us. False when somebody else is there already."""
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
    """(process, verb) of who runs it now; None when nobody does."""
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
