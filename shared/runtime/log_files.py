"""Log files that somebody else writes to, kept below a size.

A child, or the embedded Redis, has its log open in append mode. So the file stays the same one: what it holds is copied to
`FILE.1`, and the file is emptied. What is written between the two is lost, which is a line at most.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import BinaryIO, Final

#: Bytes of one log; as much again may be in the one before.
MOST_BYTES: Final = 20 * 1024 * 1024


def bound(path: Path, most_bytes: int = MOST_BYTES) -> bool:
    """Puts aside what a log holds when it is too large; whether it was.

    Where the disk has no room for that, it is emptied. Never raises.
    """
    try:
        if path.stat().st_size <= most_bytes:
            return False
        before = path.with_name(f"{path.name}.1")
        try:
            with path.open("rb") as log, _private(before) as kept:
                log.seek(-most_bytes, os.SEEK_END)  # the newest part, should it have grown far beyond
                shutil.copyfileobj(log, kept)
        except OSError:
            with contextlib.suppress(OSError):
                before.unlink()
        os.truncate(path, 0)
    except OSError:
        return False
    return True


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
