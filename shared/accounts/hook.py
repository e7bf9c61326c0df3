"""A program of the administrator's, which gets JSON on its standard input.

It returns an exit code, and JSON if it has more to say.

It is started without a shell, in an environment of its own. When it takes too long it is killed with everything that it
started. Its standard error is used only, shortened, in the reason of a rejection or a wait.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.accounts import Intend, NewAccount
from shared.accounts.api import shortened
from shared.accounts.said import outcome_of, request_of
from shared.credentials import Secret
from shared.model.accounts import Created, Ensured, Looked, Missing, Rejected, Retry

#: Exit code → result; for "look" the code of "created" means that the account would be created.
CODES: Final[Mapping[int, str]] = {0: "created", 10: "adopted", 20: "retry", 30: "rejected"}
_MOST_BYTES: Final = 64 * 1024
_KEPT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")


class Hook:
    """The adapter for a program of the administrator's."""

    def __init__(
        self, path: str, arguments: Sequence[str], secret: Secret, *, timeout_seconds: float, settling_seconds: float
    ) -> None:
        self._argv, self._secret, self._timeout = [path, *arguments], secret, timeout_seconds
        self.settling_seconds = settling_seconds
        self._shown = f"the hook {path}"

    def ensure(self, account: NewAccount, intend: Intend) -> Ensured:
        """Makes the account as `AccountService.ensure` says."""
        intend()
        outcome = self._ask("ensure", account)
        return Created() if isinstance(outcome, Missing) else outcome

    def look(self, account: NewAccount) -> Looked:
        """Looks for the account as `AccountService.look` says."""
        outcome = self._ask("look", account)
        return Missing() if isinstance(outcome, Created) else outcome

    def close(self) -> None:
        """Does nothing: no connection is kept."""

    def _ask(self, action: str, account: NewAccount) -> Any:
        try:
            code, out, said = self._run(request_of(action, account))
        except subprocess.TimeoutExpired:
            return Retry(after_seconds=60, why=f"{self._shown} took more than {self._timeout:.0f} s", reached=False)
        except OSError as error:
            return Rejected(
                reason=f"{self._shown} cannot be started ({error.strerror})",
                advice="put it on every worker's machine, executable, or correct --accounts",
            )
        password = account.password.reveal()
        answer = _object(out)
        if code not in CODES:
            ended = f"ended with {code}, which means nothing" if code >= 0 else f"was killed by signal {-code}"
            words = shortened(said).replace(password, "***") if password else ""
            return Rejected(
                reason=f"{self._shown} {ended}{': ' + words if words else ''}",
                advice="it must end with 0 (created), 10 (exists), 20 (retry later) or 30 (rejected)",
            )
        if not answer.get("reason") and said:
            answer = {**answer, "reason": said}
        return outcome_of(CODES[code], answer, self._shown, password)

    def _run(self, told: bytes) -> tuple[int, bytes, str]:
        env = {name: os.environ[name] for name in _KEPT if name in os.environ}
        if self._secret:
            env["MAILHAUL_HOOK_SECRET"] = self._secret.reveal()
        # Files, not pipes: a child of the program that keeps a pipe open would keep the worker waiting.
        with tempfile.TemporaryFile() as taken, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
            taken.write(told)
            taken.seek(0)
            process = subprocess.Popen(
                self._argv, stdin=taken, stdout=out, stderr=errors, env=env, cwd="/", start_new_session=True
            )
            try:
                code = process.wait(self._timeout)
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            out.seek(0)
            errors.seek(0)
            return code, out.read(_MOST_BYTES), errors.read(4096).decode("utf-8", "replace")


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
