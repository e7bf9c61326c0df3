"""A program of the administrator's, which gets JSON on its standard input and answers by its exit code."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from shared.accounts.api import shortened
from shared.accounts.program import json_object, odd_end, run
from shared.model.sides import Side
from shared.runtime.secret import Secret
from shared.switching import SwitchedMailbox, TurnLater, TurnOutcome, TurnRefused
from shared.switching.kinds import SwitchKind, SwitchPlace, SwitchUrl, register
from shared.switching.told import outcome_of, request_of
from shared.wording.often_said import (
    CANNOT_BE_STARTED,
    THE_HOOK,
    TOOK_TOO_LONG,
)
from shared.wording.phrases import Phrase

IT_MUST_END_WITH_0_TURNED: Final = Phrase(
    "it_must_end_with_0_turned", "it must end with 0 (turned), 10 (already), 20 (later) or 30 (refused)"
)
PUT_PROGRAM_ON_COORDINATOR_MACHINE: Final = Phrase(
    "put_program_on_coordinator_machine",
    "put it on the coordinator's machine, executable, or correct MAILHAUL_SWITCHES",
)

PER: Final = Phrase("switch_hook_per", "{switch}: per must be mailbox or domain")

#: Exit code → result.
CODES: Final[Mapping[int, str]] = {0: "turned", 10: "already", 20: "later", 30: "refused"}
_SECONDS: Final = 60


class HookSwitch:
    """The adapter for a program."""

    def __init__(
        self, path: str, arguments: Sequence[str], secret: Secret, *, timeout_seconds: float, per_domain: bool
    ) -> None:
        self._argv, self._secret, self._timeout = [path, *arguments], secret, timeout_seconds
        self.per_domain = per_domain
        self.shown: str = THE_HOOK.says(path=path)

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Asks the program to look, as `Switch.rehearse` says."""
        return self._ask("rehearse", mailbox, to)

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Asks the program to turn, as `Switch.turn` says."""
        return self._ask("turn", mailbox, to)

    def close(self) -> None:
        """Does nothing: no connection is kept."""

    def _ask(self, action: str, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        try:
            code, out, said = run(self._argv, request_of(action, mailbox, to), self._secret, self._timeout)
        except subprocess.TimeoutExpired:
            return TurnLater(after_seconds=60, words=TOOK_TOO_LONG.says(service=self.shown, num=f"{self._timeout:.0f}"))
        except OSError as error:
            return TurnRefused(
                words=CANNOT_BE_STARTED.says(service=self.shown, cause=str(error.strerror)),
                advice=PUT_PROGRAM_ON_COORDINATOR_MACHINE.says(),
            )
        if code not in CODES:
            return TurnRefused(
                words=odd_end(self.shown, code, shortened(said)), advice=IT_MUST_END_WITH_0_TURNED.says()
            )
        answer = json_object(out)
        if not answer.get("reason") and said:
            answer = {**answer, "reason": said}
        return outcome_of(CODES[code], answer, self.shown)


def per_domain(url: SwitchUrl) -> bool:
    """Reads the option `per`. Raises `UsageError`."""
    per = url.options.get("per", "mailbox")
    if per not in ("mailbox", "domain"):
        raise PER.error(switch=url.kind)
    return per == "domain"


def _opened(url: SwitchUrl, secret: Secret) -> HookSwitch:
    seconds = float(url.options.get("timeout", _SECONDS))
    return HookSwitch(url.place, url.arguments, secret, timeout_seconds=seconds, per_domain=per_domain(url))


register(
    SwitchKind(
        name="hook",
        place=SwitchPlace.PATH,
        example="hook:/path/to/program?arg=…",
        options=frozenset({"arg", "timeout", "per"}),
        secretive=False,
        open=_opened,
    )
)
