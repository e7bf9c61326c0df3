"""What every API adapter does: look, create what is missing, and look again when it was there after all."""

from __future__ import annotations

from typing import Any

from shared.accounts import Intend, NewAccount
from shared.accounts.api import Api, Halted
from shared.model.accounts import Adopted, Created, Ensured, Looked, Missing, Rejected, Retry


class LooksFirst:
    """An adapter needs `_find` and `_create`, and may need `_ready`. Any of them may raise `Halted`."""

    settling_seconds: float = 0.0

    def __init__(self, api: Api) -> None:
        self._api = api

    def ensure(self, account: NewAccount, intend: Intend) -> Ensured:
        """As the port says."""
        try:
            if self._find(account):
                return self._ready(account) or Adopted()
            intend()
            if self._create(account):
                return self._ready(account) or Created()
            # Somebody was faster; or the name belongs to something else, such as an alias.
            return self._ready(account) or Adopted() if self._find(account) else taken(account)
        except Halted as halted:
            return halted.outcome

    def look(self, account: NewAccount) -> Looked:
        """As the port says."""
        try:
            return Adopted() if self._find(account) else Missing()
        except Halted as halted:
            return halted.outcome

    def close(self) -> None:
        """As the port says."""
        self._api.close()

    def _find(self, account: NewAccount) -> bool:
        """Whether it is there."""
        raise NotImplementedError

    def _create(self, account: NewAccount) -> bool:
        """False when the name was taken already."""
        raise NotImplementedError

    def _ready(self, account: NewAccount) -> Retry | None:
        """Asked when it is there: a wait, when it has no mailbox yet."""
        return None


def taken(account: NewAccount) -> Rejected:
    """The service says that it is there, and does not show it."""
    return Rejected(
        reason=f"the name {account.login} is taken by something that is no account (an alias, a group)",
        advice="choose another new_login, or remove what has the name, and run the import command again",
    )


def needs_address(account: NewAccount) -> None:
    """Raises `Halted` when the login is no mail address."""
    if not account.domain or not account.user:
        raise Halted(
            Rejected(
                reason=f"{account.login} is no mail address",
                advice="write the whole address as new_login, and run the import command again",
            )
        )


def first(found: Any, *path: str | int) -> Any:
    """What stands at this path of a JSON value; None when there is nothing."""
    for step in path:
        if isinstance(found, dict) and isinstance(step, str):
            found = found.get(step)
        elif isinstance(found, list) and isinstance(step, int) and -len(found) <= step < len(found):
            found = found[step]
        else:
            return None
    return found
