"""The port to what sends a mailbox's owner, and its new mail, to one server or the other.

An adapter turns one mailbox at a time, or with `per_domain` the whole domain of the mailbox. Asking twice is harmless: a
turn that stands already is told as such. A turn that dies in the middle is completed by the same call again. An adapter
changes nothing that is not this mailbox's (or domain's), keeps no state between calls but its connection, and may be used by
several threads. It raises nothing that an outcome can say. docs/switching.md is for people.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from shared.model.sides import Side
from shared.nouns import dataclass

#: A mail domain: labels with dots between them, so neither "*" nor ".example", which mean more than one domain to a table.
DOMAIN: Final = re.compile(r"(?!-)[\w-]+(?:\.(?!-)[\w-]+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class SwitchedMailbox:
    """The mailbox to be switched."""

    #: The address to which its mail is sent.
    address: str
    #: The login at the old server.
    old_login: str
    #: The login at the new server.
    new_login: str
    #: The host of the old server, as the import names it.
    old_host: str
    #: The host of the new server, as the import names it.
    new_host: str
    #: The idempotency key: the same whenever the same turn is asked for again, another one for the next turn.
    key: str = ""

    @property
    def domain(self) -> str:
        """The part of the address behind the last "@", in lower case; empty when it is no address of one domain."""
        return domain_of(self.address)

    def host(self, side: Side) -> str:
        """Returns the host of this side's server."""
        return self.new_host if side is Side.DESTINATION else self.old_host

    def login(self, side: Side) -> str:
        """Returns the login at this side's server."""
        return self.new_login if side is Side.DESTINATION else self.old_login


def domain_of(address: str) -> str:
    """Returns the part behind the last "@", in lower case; empty when it is no address of one domain."""
    person, _, domain = address.rpartition("@")
    return domain.lower() if person and DOMAIN.fullmatch(domain) else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turned:
    """The mailbox is turned now; of a rehearsal: it would be."""

    #: The words for a person: what was (or would be) changed, and from what to what.
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnedBefore:
    """The mailbox stood so already; nothing was changed."""

    #: The words for a person.
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnLater:
    """The switch is to be asked again later. This counts as waiting, not as a failure."""

    #: When to ask again, seconds from now.
    after_seconds: float
    #: The reason, in words for a person.
    words: str
    #: Whether the wait holds for every mailbox, not just for this one.
    everyone: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnRefused:
    """The mailbox will not be turned until a person changes something."""

    #: The reason, in the words of what refused where it has some.
    words: str
    #: The remedy; "" when the reason says so.
    advice: str = ""


#: The outcomes of a turn, and of its rehearsal.
TurnOutcome = Turned | TurnedBefore | TurnLater | TurnRefused


class Switch(Protocol):
    """A switch: what decides at which server a mailbox is."""

    #: Its name for people and logs; it holds no secret.
    shown: str
    #: Whether it turns whole domains: then a turn takes everybody of the mailbox's domain along.
    per_domain: bool

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Tells what `turn` would answer now. Changes nothing anywhere."""

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Turns the mailbox to this side's server, unless it stands so already."""

    def close(self) -> None:
        """Closes the switch's connections."""
