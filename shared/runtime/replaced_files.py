"""Changes a file that others read and write too: whole, by one writer at a time, and with its owner and mode as they were.

The new content is written to a file beside it, synced, and renamed over it, so that nobody ever reads half a line. The lock
is on a third file, since the rename would remove a lock on the file itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shared.wording.phrases import Phrase

NOT_WRITABLE: Final = Phrase("replaced_not_writable", "{path} cannot be written")
OF_OTHER_USER: Final = Phrase("replaced_of_other_user", "it belongs to the user {user}, and only root could keep that")
OF_OTHER_GROUP: Final = Phrase(
    "replaced_of_other_group", "it belongs to the group {group}, which is none of this user's"
)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keeps every other writer of this file waiting. Raises OSError."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def why_not_replaced(path: Path) -> str:
    """Returns why `replace_file` would fail for the file that is there, or "" where it would not. Changes nothing.

    Raises OSError where the file cannot be looked at.
    """
    folder, was, lock = path.parent, path.stat(), path.with_name(path.name + ".lock")
    if not os.access(folder, os.W_OK | os.X_OK):
        return NOT_WRITABLE.says(path=str(folder))
    if lock.exists() and not os.access(lock, os.R_OK | os.W_OK):
        return NOT_WRITABLE.says(path=str(lock))
    if os.geteuid() == 0:
        return ""
    if was.st_uid != os.geteuid():
        return OF_OTHER_USER.says(user=str(was.st_uid))
    # A folder with the set-group-ID bit gives what is made in it its own group.
    groups = {os.getegid(), *os.getgroups()} | (
        {folder.stat().st_gid} if folder.stat().st_mode & stat.S_ISGID else set()
    )
    return "" if was.st_gid in groups else OF_OTHER_GROUP.says(group=str(was.st_gid))


def replace_file(path: Path, content: bytes) -> None:
    """Replaces the content of the file, or makes it with mode 0600. Raises OSError."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            with contextlib.suppress(FileNotFoundError):
                was, made = path.stat(), os.fstat(file.fileno())
                if (was.st_uid, was.st_gid) != (made.st_uid, made.st_gid):
                    os.fchown(file.fileno(), was.st_uid, was.st_gid)
                os.fchmod(file.fileno(), was.st_mode & 0o7777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
