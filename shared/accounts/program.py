"""Runs a program of the administrator's: JSON on its standard input, an exit code and perhaps JSON from it.

It is started without a shell, in an environment of its own. When it takes too long it is killed with everything that it
started.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Any, Final

from shared.runtime.credentials import Secret

_MOST_BYTES: Final = 64 * 1024
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


def run(argv: Sequence[str], told: bytes, secret: Secret, timeout_seconds: float) -> tuple[int, bytes, str]:
    """Returns (exit code, standard output, beginning of standard error).

    Raises `subprocess.TimeoutExpired` and OSError.
    """
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if secret:
        env["MAILHAUL_HOOK_SECRET"] = secret.reveal()
    # Files, not pipes: a child of the program that keeps a pipe open would keep the caller waiting.
    with tempfile.TemporaryFile() as taken, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        taken.write(told)
        taken.seek(0)
        process = subprocess.Popen(
            list(argv), stdin=taken, stdout=out, stderr=errors, env=env, cwd="/", start_new_session=True
        )
        try:
            code = process.wait(timeout_seconds)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        errors.seek(0)
        return code, out.read(_MOST_BYTES), errors.read(4096).decode("utf-8", "replace")


def json_object(text: bytes) -> dict[str, Any]:
    """Returns the JSON object that a program printed; an empty one where it printed none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
