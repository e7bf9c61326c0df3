"""A program of the administrator's, which gets JSON on its standard input.

It returns an exit code, and JSON if it has more to say.

Its standard error is used only, shortened, in the reason of a rejection or a wait.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import Any, Final

from shared.accounts import Intend, NewAccount
from shared.accounts.api import shortened
from shared.accounts.kinds import AccountKind, ServicePlace, ServiceUrl, register
from shared.accounts.program import json_object, odd_end, run
from shared.accounts.said import outcome_of, request_of
from shared.model.accounts import Created, Ensured, Looked, Missing, Rejected, Retry
from shared.runtime.secret import Secret
from shared.wording.often_said import (
    CANNOT_BE_STARTED,
    THE_HOOK,
    TOOK_TOO_LONG,
)
from shared.wording.phrases import Phrase

IT_MUST_END_WITH_0_CREATED: Final = Phrase(
    "it_must_end_with_0_created", "it must end with 0 (created), 10 (exists), 20 (retry later) or 30 (rejected)"
)
PUT_PROGRAM_ON_EVERY_WORKER_MACHINE: Final = Phrase(
    "put_program_on_every_worker_machine", "put it on every worker's machine, executable, or correct --accounts"
)

#: Exit code → result; for "look" the code of "created" means that the account would be created.
CODES: Final[Mapping[int, str]] = {0: "created", 10: "adopted", 20: "retry", 30: "rejected"}


class Hook:
    """The adapter for a program of the administrator's."""

    def __init__(
        self, path: str, arguments: Sequence[str], secret: Secret, *, timeout_seconds: float, settling_seconds: float
    ) -> None:
        self._argv, self._secret, self._timeout = [path, *arguments], secret, timeout_seconds
        self.settling_seconds = settling_seconds
        self._shown: str = THE_HOOK.says(path=path)

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
            code, out, said = run(self._argv, request_of(action, account), self._secret, self._timeout)
        except subprocess.TimeoutExpired:
            return Retry(
                after_seconds=60, why=TOOK_TOO_LONG.says(service=self._shown, num=f"{self._timeout:.0f}"), reached=False
            )
        except OSError as error:
            return Rejected(
                reason=CANNOT_BE_STARTED.says(service=self._shown, cause=str(error.strerror)),
                advice=PUT_PROGRAM_ON_EVERY_WORKER_MACHINE.says(),
            )
        answer = json_object(out)
        if code not in CODES:
            return Rejected(
                reason=odd_end(self._shown, code, shortened(said)), advice=IT_MUST_END_WITH_0_CREATED.says()
            )
        if not answer.get("reason") and said:
            answer = {**answer, "reason": said}
        return outcome_of(CODES[code], answer, self._shown)


#: Seconds that the program may take, unless its URL says otherwise.
_SECONDS: Final = 60.0


def _opened(url: ServiceUrl, secret: Secret, settling: float) -> Hook:
    timeout = url.number("timeout", _SECONDS)
    return Hook(url.place, url.arguments, secret, timeout_seconds=timeout, settling_seconds=settling)


register(
    AccountKind(
        name="hook",
        place=ServicePlace.PATH,
        example="hook:/path",
        title="Program",
        open=_opened,
        options=frozenset({"arg", "timeout"}),
        secretive=False,
        settling_seconds=120,
    )
)
