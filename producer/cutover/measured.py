"""The facts that the guards of a cutover are measured by, and a guard that was measured."""

from __future__ import annotations

from collections.abc import Sequence

from shared.model.cutover import FORCIBLE, MailboxCutover
from shared.model.lifecycle import MailboxState
from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class MailboxFacts:
    """The facts of one mailbox of the wave."""

    #: The login at the source.
    login: str
    #: Its state.
    state: MailboxState
    #: The moment, seconds since the epoch, up to which the source's mail is at the destination; 0 before the first pass ended.
    synced_at: float
    #: When a pass last brought new mail, seconds since the epoch; 0 before the first.
    mail_at: float
    #: The cutover's notes on it.
    known: MailboxCutover


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainFacts:
    """The facts of a domain: where all of its authoritative servers say that its mail goes."""

    #: The domain.
    domain: str
    #: When they were asked, seconds since the epoch.
    at: float
    #: The number of servers that answered.
    servers: int = 0
    #: Why there is no answer, for each server that gave none, or for the domain.
    faults: tuple[str, ...] = ()
    #: The hosts of its MX records, the most preferred first; empty when there is none.
    mx: tuple[str, ...] = ()
    #: The same when the cutover began.
    mx_before: tuple[str, ...] = ()
    #: Whether the servers name different hosts.
    differ: bool = False
    #: The longest time that a resolver may keep the MX records, or that there is none, seconds.
    mx_ttl: int = 0
    #: The same of the SPF record; -1 when there is none.
    spf_ttl: int = -1
    #: Until when resolvers may hold an answer that was given before the time was made short, seconds since the epoch.
    cached_until: float = 0.0

    @property
    def ttl(self) -> int:
        """The longer of the two times, seconds."""
        return max(self.mx_ttl, self.spf_ttl)


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoverFacts:
    """The facts that the guards are measured by."""

    #: Now, seconds since the epoch.
    at: float
    #: The mailboxes of the wave.
    mailboxes: Sequence[MailboxFacts]
    #: The mail domains.
    domains: Sequence[DomainFacts] = ()
    #: Why the switch cannot be asked for anybody; "" when it can.
    no_switch: str = ""
    #: A sentence on what a person paused and how it is resumed; "" where nothing is paused.
    paused: str = ""
    #: Whether the switch was begun. From then on, cancelled mailboxes count no more: a person gave each of them up.
    switched: bool = False
    #: Their number.
    given_up: int = 0

    @property
    def somebody(self) -> bool:
        """Tells whether the wave has a mailbox."""
        return bool(self.mailboxes) or self.given_up > 0

    @property
    def total(self) -> int:
        """The number of mailboxes."""
        return len(self.mailboxes)


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredGuard:
    """A guard with its value."""

    #: The guard.
    name: str
    #: Whether it is met.
    met: bool
    #: The value, in a sentence.
    value: str
    #: The same as a number: mailboxes that are not so, seconds.
    number: float = 0.0
    #: The reason why it is not met, "" when it is met.
    waits_for: str = ""
    #: Those whom it waits for: (login or domain, its own value).
    who: tuple[tuple[str, str], ...] = ()

    @property
    def forcible(self) -> bool:
        """Tells whether a person may overrule it."""
        return self.name in FORCIBLE
