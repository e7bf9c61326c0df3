"""An account service whose texts repeat no secret: neither its own nor the new account's password."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from shared.accounts import AccountService, Intend, NewAccount
from shared.model.accounts import Adopted, Created, Ensured, Looked, Missing, Rejected, Retry
from shared.runtime.secret import Secret
from shared.wording.masking import masked

_Outcome = TypeVar("_Outcome", Ensured, Looked)


class Discreet:
    """The `AccountService` around another one, which takes the secrets out of its outcomes.

    Services repeat the request in their answer, and the answer goes into reports.
    """

    def __init__(self, service: AccountService, secret: Secret) -> None:
        self._service, self._secret = service, secret
        self.settling_seconds = service.settling_seconds

    def ensure(self, account: NewAccount, intend: Intend) -> Ensured:
        """Returns the service's outcome without secrets."""
        return self._hidden(self._service.ensure(account, intend), account)

    def look(self, account: NewAccount) -> Looked:
        """Returns the service's outcome without secrets."""
        return self._hidden(self._service.look(account), account)

    def close(self) -> None:
        """Closes the service's connections."""
        self._service.close()

    def _hidden(self, outcome: _Outcome, account: NewAccount) -> _Outcome:
        secrets = (account.password.reveal(), *self._secret.parts)
        match outcome:
            case Retry():
                return replace(outcome, why=masked(outcome.why, secrets))
            case Rejected():
                return replace(outcome, reason=masked(outcome.reason, secrets), advice=masked(outcome.advice, secrets))
            case Created() | Adopted() | Missing():
                return outcome
