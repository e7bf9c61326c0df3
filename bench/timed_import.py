"""The whole command, run once and timed, for the measurements that bring servers of their own."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Timed:
    """The cost of one import."""

    #: Seconds from the prompt to the prompt.
    seconds: float
    #: CPU seconds of the command and its children.
    cpu: float
    #: The machine's load when the import ended: above 2, the seconds mean little.
    load: float


def timed_import(command: str, manifest: Path, source: str, destination: str, state: Path, **environment: str) -> Timed:
    """Imports by the whole command between two servers, given by their URLs. Raises CalledProcessError if it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    ends = ("--source", source, "--destination", destination)
    subprocess.run(
        [command, "import", str(manifest), *ends, "--state-dir", str(state)],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Timed(seconds, cpu, os.getloadavg()[0])
