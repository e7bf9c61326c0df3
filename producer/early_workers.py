"""The workers of `mailhaul import`: forked before anything else is loaded, so that they are ready when the import is open.

A worker loads as much as the command does, and both wait for it. So they load side by side.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.runtime.early_child import EarlyChild

_waiting: list[EarlyChild] = []


def fork_workers(words: Sequence[str]) -> None:
    """Forks as many workers as the command of these words will probably run, at most one for each processor.

    Nothing is checked yet. A command that turns out to need fewer, or is wrong, dismisses them when it ends.
    """
    if not words or words[0] != "import" or {"--help", "-h", "--dry-run"} & {*words}:
        return
    from shared.runtime.early_child import EarlyChild, can_fork
    from shared.runtime.processes import FORKED_WORKER

    if not can_fork():
        return
    for _ in range(min(_asked(words[1:]), os.cpu_count() or 1)):
        _waiting.append(EarlyChild("worker.__main__", FORKED_WORKER))


def take_workers() -> Sequence[EarlyChild]:
    """Returns the workers that wait, once."""
    taken, _waiting[:] = tuple(_waiting), []
    return taken


def _asked(words: Sequence[str]) -> int:
    """Returns the number of workers that `--workers` or the variables name, else one, or none where Redis is elsewhere."""
    given = [word.partition("=")[2] for word in words if word.startswith("--workers=")]
    given += [after for word, after in pairwise(words) if word == "--workers"]
    elsewhere = os.environ.get("MAILHAUL_REDIS_URL") or os.environ.get("MAILHAUL_REDIS_URL_FILE")
    text = given[-1] if given else "0" if elsewhere else os.environ.get("MAILHAUL_WORKERS") or "1"
    return int(text) if text.isascii() and text.isdecimal() else 0
