"""The port to the services that make accounts at the destination.

An adapter only ever creates: an existing account is not changed at all, least of all its password. Asking twice is
harmless: the second call adopts what the first created. An adapter keeps no state between calls but its connection, and
may be used by several threads. It raises nothing that an outcome can say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from shared.model.accounts import Ensured, Looked
from shared.nouns import dataclass
from shared.runtime.secret import Secret

#: The function that `AccountService.ensure` calls just before it asks for the account to be made.
Intend = Callable[[], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewAccount:
    """The account that a mailbox needs."""

    #: The login; a mail address nearly everywhere.
    login: str
    #: The password of a new account; an existing account keeps its own.
    password: Secret
    #: "" when not given.
    first_name: str = ""
    #: "" when not given.
    last_name: str = ""
    #: Room for mail, in bytes; None for the service's default.
    quota_bytes: int | None = None
    #: The idempotency key: the same whenever the same account is asked for.
    key: str = ""
    #: Whether an earlier call may have made the account: then the adapter may complete what that call left undone.
    ours: bool = False

    @property
    def user(self) -> str:
        """The part of the login before the last "@"."""
        return self.login.rpartition("@")[0] or self.login

    @property
    def domain(self) -> str:
        """The part of the login behind the last "@"; empty when there is none."""
        return self.login.rpartition("@")[2] if "@" in self.login else ""

    @property
    def display_name(self) -> str:
        """The name for people; the user part of the login when no name was given."""
        return " ".join(filter(None, (self.first_name, self.last_name))) or self.user


class AccountService(Protocol):
    """A service that makes accounts."""

    #: The time for which a new account may refuse its password before that counts, seconds; 0 where it works at once.
    settling_seconds: float

    def ensure(self, account: NewAccount, intend: Intend) -> Ensured:
        """Makes the account unless it exists.

        Calls `intend` before it asks for the account; what `intend` raises goes through.
        """

    def look(self, account: NewAccount) -> Looked:
        """Tells whether the account exists. Writes nothing anywhere."""

    def close(self) -> None:
        """Closes the adapter's connections."""
