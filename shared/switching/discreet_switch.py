"""A switch whose words repeat no secret of its own."""

from __future__ import annotations

from dataclasses import replace

from shared.model.sides import Side
from shared.runtime.secret import Secret
from shared.switching import Switch, SwitchedMailbox, TurnOutcome, TurnRefused
from shared.wording.masking import masked


class DiscreetSwitch:
    """The `Switch` around another one, which takes the secret out of its outcomes.

    Programs and services repeat the request in their answer, and the answer goes into reports.
    """

    def __init__(self, switch: Switch, secret: Secret) -> None:
        self._switch, self._secret = switch, secret
        self.shown, self.per_domain = switch.shown, switch.per_domain

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Returns the switch's outcome without secrets."""
        return self._hidden(self._switch.rehearse(mailbox, to))

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Returns the switch's outcome without secrets."""
        return self._hidden(self._switch.turn(mailbox, to))

    def close(self) -> None:
        """Closes the switch's connections."""
        self._switch.close()

    def _hidden(self, outcome: TurnOutcome) -> TurnOutcome:
        secrets = self._secret.parts
        words = masked(outcome.words, secrets)
        if isinstance(outcome, TurnRefused):
            return replace(outcome, words=words, advice=masked(outcome.advice, secrets))
        return replace(outcome, words=words)
