"""Tells what a test process holds open beside its servers: descriptors and threads that tests left behind.

Near the end of a long run, leftovers stop tests that did nothing wrong: `select` takes no descriptor above 1,023.
"""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from pathlib import Path

from tests.servers.process import await_ready

#: Most that one process holds between two files of tests. The servers of a session take about thirty; `select` ends at 1,023.
MOST_FILES, MOST_THREADS = 400, 150
_FILES = Path("/proc/self/fd")


def nothing_is_left_open(deadline_seconds: float = 60.0) -> None:
    """Raises AssertionError, with what is open, when it stays more than `MOST_FILES` and `MOST_THREADS` allow."""
    if not _FILES.exists():
        return
    try:
        await_ready(_few, deadline_seconds)
    except TimeoutError:
        files = Counter(os.path.realpath(file).split(":")[0] for file in _FILES.iterdir())
        threads = Counter(thread.name.split(" ")[-1] for thread in threading.enumerate())
        raise AssertionError(f"tests left open: {files.most_common(9)}, {threads.most_common(9)}") from None


def _few() -> bool:
    if _counted():
        return True
    gc.collect()
    return _counted()


def _counted() -> bool:
    return len(os.listdir(_FILES)) <= MOST_FILES and threading.active_count() <= MOST_THREADS
