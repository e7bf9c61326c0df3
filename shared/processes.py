"""How a process of ours is called, and whether one of this machine still lives.

The name is host, process number and a mark of chance, with dots between: numbers are used again, names are not.
"""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

_PROC = Path("/proc")
#: What a worker or coordinator was started as: `python -m …`.
_MODULES = (b"worker", b"producer.coordinator")


def process_name() -> str:
    """A name for this process, new with every call."""
    return f"{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:6]}"


def is_dead(name: str) -> bool:
    """Whether the worker or coordinator of this name is dead for certain: it ran on this machine, and no process has its
    number, or only one that is something else. False for what only another machine could know."""
    host, _, rest = name.rpartition(".")[0].rpartition(".")
    if host != socket.gethostname() or not rest.isdecimal():
        return False
    if rest == str(os.getpid()):
        return True  # whoever asks is neither
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    try:
        # Of one that is dead and that nobody has waited for yet, this is empty.
        words = (_PROC / rest / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False  # no such folder on this system
    return not any(module in words for module in _MODULES)
