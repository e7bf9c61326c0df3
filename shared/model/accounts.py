"""Accounts at the destination: who they are for, and what became of asking for one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What a manifest says of the person whom an account is made for."""

    #: "" when not given.
    first_name: str = ""
    #: "" when not given.
    last_name: str = ""
    #: Room for mail, in bytes; None for what is usual there.
    quota_bytes: int | None = None


class AccountState(StrEnum):
    """What is known of a mailbox's account at the destination."""

    #: Nobody asked: it is expected to be there.
    UNKNOWN = ""
    #: Written down before it is asked for: after a crash, one that is there is ours.
    CREATING = "creating"
    #: Made by us.
    CREATED = "created"
    #: There before us; nothing of it was changed.
    ADOPTED = "adopted"


@dataclass(frozen=True, kw_only=True, slots=True)
class Created:
    """The account was not there and is now."""

    #: How long to leave it alone before the first sign-in, seconds.
    ready_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Adopted:
    """The account was there already; nothing of it was changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """The account is not there: it would be created."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """To be asked again later. This is waiting, not failing."""

    #: From now, seconds.
    after_seconds: float
    #: Why, in words for a person.
    why: str
    #: Whether the service asks everybody to wait, not just for this account.
    everyone: bool = False
    #: Whether the service answered at all.
    reached: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """It will not be made until a person changes something."""

    #: Why, in the service's own words where it has some.
    reason: str
    #: What to do; "" when the reason says it.
    advice: str = ""


#: What asking for an account may end with.
Ensured = Created | Adopted | Retry | Rejected
#: What looking for an account may find.
Looked = Missing | Adopted | Retry | Rejected
