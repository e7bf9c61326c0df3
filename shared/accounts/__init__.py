"""The port to what makes accounts at the destination, and the way to its adapters.

An adapter only ever creates: of an account that is there, nothing is changed, least of all its password. Asking twice
is harmless: what the first call created, the second adopts. An adapter keeps no state between calls but its connection
and may be used by several threads; it raises nothing that an outcome can say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.credentials import Secret
from shared.model.accounts import Ensured, Looked

#: What `AccountService.ensure` calls just before it asks for the account to be made.
Intend = Callable[[], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewAccount:
    """The account that a mailbox needs."""

    #: How it signs in; a mail address nearly everywhere.
    login: str
    #: For a new account; an existing one keeps its own.
    password: Secret
    #: "" when not given.
    first_name: str = ""
    #: "" when not given.
    last_name: str = ""
    #: Room for mail, in bytes; None for what is usual there.
    quota_bytes: int | None = None
    #: The same whenever the same account is asked for: an idempotency key.
    key: str = ""
    #: Whether an earlier call may have made it: then what that one left undone may be done.
    ours: bool = False

    @property
    def user(self) -> str:
        """What stands before the last "@"."""
        return self.login.rpartition("@")[0] or self.login

    @property
    def domain(self) -> str:
        """What stands behind the last "@"; "" when there is none."""
        return self.login.rpartition("@")[2] if "@" in self.login else ""

    @property
    def display_name(self) -> str:
        """For people; the login when no name was given."""
        return " ".join(filter(None, (self.first_name, self.last_name))) or self.user


class AccountService(Protocol):
    """What makes accounts."""

    #: How long a new account may refuse its password before that counts, seconds; 0 where it works at once.
    settling_seconds: float

    def ensure(self, account: NewAccount, intend: Intend) -> Ensured:
        """Makes the account unless it is there. `intend` is called before it is asked for; what it raises goes through."""

    def look(self, account: NewAccount) -> Looked:
        """Whether it is there. Writes nothing anywhere."""

    def close(self) -> None:
        """Lets connections go."""
