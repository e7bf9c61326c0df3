"""Forbids core dumps: the memory of mailhaul's processes holds passwords and the key that seals them."""

from __future__ import annotations

import ctypes
import resource
import sys
from contextlib import suppress
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def forbid_core_dumps() -> None:
    """Makes a crash of this process leave no image of its memory, for children too until they set their own.

    The limit keeps the kernel from writing a file. A kernel that hands images to a program (`core_pattern` with a pipe)
    ignores the limit, so on Linux the process is also marked as not dumpable; a debugger needs root then.
    """
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
