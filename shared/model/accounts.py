"""Accounts at the destination: the people they are for, and the outcomes of asking a service for one."""

from __future__ import annotations

from enum import StrEnum

from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """The person whom an account is made for, as the manifest describes them."""

    #: "" when not given.
    first_name: str = ""
    #: "" when not given.
    last_name: str = ""
    #: Room for mail, in bytes; None for the service's default.
    quota_bytes: int | None = None


class AccountState(StrEnum):
    """The known state of a mailbox's account at the destination."""

    #: No service was asked: the account is expected to exist.
    UNKNOWN = ""
    #: About to be asked for: after a crash, an account that exists is ours.
    CREATING = "creating"
    #: Made by a worker.
    CREATED = "created"
    #: The account existed before; it was not changed.
    ADOPTED = "adopted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Created:
    """The account did not exist, and was made."""

    #: The wait before the first sign-in, seconds.
    ready_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Adopted:
    """The account existed already; it was not changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """The account does not exist: it would be created."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """The service is to be asked again later. This counts as waiting, not as a failure."""

    #: When to ask again, seconds from now.
    after_seconds: float
    #: The reason, in words for a person.
    why: str
    #: Whether the service asks to wait for all accounts, not just for this one.
    everyone: bool = False
    #: Whether the service answered at all.
    reached: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """The account will not be made until a person changes something."""

    #: The reason, in the service's own words where it has some.
    reason: str
    #: The remedy; "" when the reason says so.
    advice: str = ""


#: The outcomes of asking for an account.
Ensured = Created | Adopted | Retry | Rejected
#: The outcomes of looking for an account.
Looked = Missing | Adopted | Retry | Rejected
