"""Runs a program of the administrator's: JSON on its standard input, an exit code and perhaps JSON from it.

It is started without a shell, in an environment of its own. When it takes too long it is killed with everything that it
started. So it is when this process dies, even by SIGKILL: whoever asks the program the next time never asks beside the first one.
What moved itself into a session of its own escapes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from shared.content.json_text import read_json
from shared.runtime.secret import Secret
from shared.wording.often_said import ENDED_WITH_NOTHING, KILLED_BY_SIGNAL, TOLD_MORE
from shared.wording.phrases import Sentence

_MOST_BYTES: Final = 64 * 1024
# Runs as the program's process before that becomes the program: a function between fork and exec could deadlock under threads.
# It leaves a watcher in the program's group that kills the group when the other end of a pipe is gone, and with it this process.
_BECOME: Final = """
import os, signal, sys
watched, failed, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
between = os.fork()
if not between:
    if os.fork():
        os._exit(0)
    for number in (0, 1, 2, failed):
        os.close(number)
    os.read(watched, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)
os.waitpid(between, 0)
os.set_inheritable(watched, False)
os.set_inheritable(failed, False)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
os.environ.pop("LC_CTYPE", None)  # which Python sets where there is no locale
try:
    os.execvp(argv[0], argv)
except OSError as error:
    os.write(failed, str(error.errno).encode())
    os._exit(127)
"""
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
        with _watched(argv, taken.fileno(), out.fileno(), errors.fileno(), env) as process:
            try:
                code = process.wait(timeout_seconds)
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0)
        errors.seek(0)
        return code, out.read(_MOST_BYTES), errors.read(4096).decode("utf-8", "replace")


@contextlib.contextmanager
def _watched(
    argv: Sequence[str], stdin: int, stdout: int, stderr: int, env: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a program in a session of its own; its whole group dies when this process does. Raises OSError."""
    watched, held = os.pipe()
    said, failed = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BECOME, str(watched), str(failed), *argv],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd="/",
            start_new_session=True,
            pass_fds=(watched, failed),
        )
        os.close(failed)
        failed = -1
        if number := os.read(said, 16):  # at its end the process has become the program
            process.wait()
            raise OSError(int(number), os.strerror(int(number)), argv[0])
        yield process
    finally:
        for one in (watched, held, said, failed):
            if one >= 0:
                os.close(one)


def odd_end(shown: str, code: int, words: str) -> Sentence:
    """Words the end of a program by an exit code that means nothing, or by a signal (negative); `words` are the program's."""
    ended = ENDED_WITH_NOTHING.says(service=shown, code=str(code))
    if code < 0:
        ended = KILLED_BY_SIGNAL.says(service=shown, signal=str(-code))
    return TOLD_MORE.says(what=ended, said=words) if words else ended


def json_object(text: bytes) -> dict[str, Any]:
    """Returns the JSON object that a program printed; an empty one where it printed none."""
    try:
        found = read_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
