"""The steps of every API adapter: look, create the account if it is missing, and look again if its name was taken."""

from __future__ import annotations

from typing import Any, Final

from shared.accounts import Intend, NewAccount
from shared.accounts.api import Api, Halted
from shared.model.accounts import Adopted, Created, Ensured, Looked, Missing, Rejected, Retry
from shared.wording.phrases import Phrase

NAME_IS_TAKEN_BY_NO_ACCOUNT: Final = Phrase(
    "name_is_taken_by_no_account", "the name {name} is taken by something that is no account (an alias, a group)"
)
CHOOSE_ANOTHER_NEW_LOGIN: Final = Phrase(
    "choose_another_new_login",
    "choose another new_login, or remove what has the name, and run the import command again",
)
IS_NO_MAIL_ADDRESS: Final = Phrase("is_no_mail_address", "{name} is no mail address")
WRITE_WHOLE_ADDRESS_AS_NEW_LOGIN: Final = Phrase(
    "write_whole_address_as_new_login", "write the whole address as new_login, and run the import command again"
)


class LooksFirst:
    """The base of the API adapters.

    An adapter needs `_find` and `_create`, and may need `_ready`. Any of them may raise `Halted`.
    """

    settling_seconds: float = 0.0

    def __init__(self, api: Api) -> None:
        self._api = api

    def ensure(self, account: NewAccount, intend: Intend) -> Ensured:
        """Makes the account as `AccountService.ensure` says."""
        try:
            if self._find(account):
                return self._ready(account) or Adopted()
            intend()
            if self._create(account):
                return self._ready(account) or Created()
            # Another request was faster; or the name belongs to something else, such as an alias.
            return self._ready(account) or Adopted() if self._find(account) else taken(account)
        except Halted as halted:
            return halted.outcome

    def look(self, account: NewAccount) -> Looked:
        """Looks for the account as `AccountService.look` says."""
        try:
            return Adopted() if self._find(account) else Missing()
        except Halted as halted:
            return halted.outcome

    def close(self) -> None:
        """Closes the connections."""
        self._api.close()

    def _find(self, account: NewAccount) -> bool:
        """Tells whether the account exists."""
        raise NotImplementedError

    def _create(self, account: NewAccount) -> bool:
        """Creates the account; returns False when the name is taken."""
        raise NotImplementedError

    def _ready(self, account: NewAccount) -> Retry | None:
        """Returns a wait when the account, which exists, has no mailbox yet."""
        return None


def taken(account: NewAccount) -> Rejected:
    """Returns the outcome for an account that the service says exists, but does not show."""
    return Rejected(
        reason=NAME_IS_TAKEN_BY_NO_ACCOUNT.says(name=account.login),
        advice=CHOOSE_ANOTHER_NEW_LOGIN.says(),
    )


def needs_address(account: NewAccount) -> None:
    """Raises `Halted` when the login is no mail address."""
    if not account.domain or not account.user:
        raise Halted(
            Rejected(
                reason=IS_NO_MAIL_ADDRESS.says(name=account.login),
                advice=WRITE_WHOLE_ADDRESS_AS_NEW_LOGIN.says(),
            )
        )


def first(found: Any, *path: str | int) -> Any:
    """Returns the value at this path of a JSON value; None when there is none."""
    for step in path:
        if isinstance(found, dict) and isinstance(step, str):
            found = found.get(step)
        elif isinstance(found, list) and isinstance(step, int) and -len(found) <= step < len(found):
            found = found[step]
        else:
            return None
    return found
