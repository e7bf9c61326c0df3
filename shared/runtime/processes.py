"""The names of mailhaul's processes, and the test whether a process of this machine still lives.

The name is host, process number and a random mark, with dots between: numbers are used again, names are not.
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from pathlib import Path

_PROC = Path("/proc")
#: The modules that workers and coordinators are started with: `python -m …`.
_MODULES = (b"worker", b"producer.coordinator")
#: The name of a worker that a command forked and that keeps the command's words (`early_child`): at most 15 letters.
FORKED_WORKER = "mailhaul-worker"

#: Module or name of a child → what people call it.
_CALLED = {
    "worker": "worker",
    FORKED_WORKER: "worker",
    "producer.coordinator": "coordinator",
    "producer.web": "page",
    "redis-server": "Redis",
    "valkey-server": "Valkey",
}


def process_name() -> str:
    """Returns a name for this process, new with every call."""
    return f"{socket.gethostname()}.{os.getpid()}.{uuid.uuid4().hex[:6]}"


def host_of(name: str) -> str:
    """Returns the machine on which the process of this name runs."""
    return name.rpartition(".")[0].rpartition(".")[0]


def children_of(process: int) -> list[str]:
    """Returns the children of a process as people call them: "2 workers", "coordinator"; none where only the system knows."""
    found: list[str] = []
    for stat in _PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text(errors="replace").partition("(")[2].rpartition(") ")
            if rest.split()[1] == str(process):
                words = (stat.parent / "cmdline").read_bytes().split(b"\0")
                module = words[words.index(b"-m") + 1].decode(errors="replace") if b"-m" in words[:-1] else name
                found.append(_CALLED.get(module, name))
    numbers = {one: found.count(one) for one in sorted(found)}
    return [one if number == 1 else f"{number} {one}s" for one, number in numbers.items()]


def is_dead(name: str) -> bool:
    """Tells whether the worker or coordinator of this name is dead for certain.

    It is dead when it ran on this machine, and no process has its number, or only one that is something else. Returns
    False when only another machine could know.
    """
    host, _, rest = name.rpartition(".")[0].rpartition(".")
    if host != socket.gethostname() or not rest.isdecimal():
        return False
    if rest == str(os.getpid()):
        return True  # the process that asks is neither of the two
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    try:
        # For a dead process that was not waited for yet, this is empty.
        words = (_PROC / rest / "cmdline").read_bytes().split(b"\0")
        forked = (_PROC / rest / "comm").read_text().strip() == FORKED_WORKER and words != [b""]
    except OSError:
        return False  # this system has no /proc
    return not (forked or any(module in words for module in _MODULES))
