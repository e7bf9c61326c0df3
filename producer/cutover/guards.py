"""The guards of a cutover: each is measured, and says its value and what it waits for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.model.cutover import BEFORE_SWITCH, FORCIBLE, GUARDS, RULES, Cutover, CutoverOptions, MailboxCutover
from shared.model.lifecycle import MailboxState

#: A rehearsal or an answer of the DNS counts for so long, seconds.
FRESH_SECONDS: Final = {"switch": 7200.0, "ttl": 300.0}
#: How many looks in a row must find nothing new.
EMPTY_LOOKS: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class MailboxFacts:
    """The facts of one mailbox of the wave."""

    #: The login at the source.
    login: str
    #: Its state.
    state: MailboxState
    #: What the source held then is at the destination, seconds since the epoch; 0 before the first pass ended.
    synced_at: float
    #: When a pass last brought new mail, seconds since the epoch; 0 before the first.
    mail_at: float
    #: What the cutover knows of it.
    known: MailboxCutover


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainFacts:
    """The facts of a domain: where all of its authoritative servers say that its mail goes."""

    #: The domain.
    domain: str
    #: When they were asked, seconds since the epoch.
    at: float
    #: How many answered.
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
    #: Whether the switch was begun. From then on, cancelled mailboxes count no more: a person gave each of them up.
    switched: bool = False
    #: How many those are.
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
    #: What it waits for; "" when it is met.
    waits_for: str = ""
    #: Those whom it waits for: (login or domain, its own value).
    who: tuple[tuple[str, str], ...] = ()

    @property
    def forcible(self) -> bool:
        """Tells whether a person may overrule it."""
        return self.name in FORCIBLE


def measure(options: CutoverOptions, facts: CutoverFacts) -> dict[str, MeasuredGuard]:
    """Returns every guard by its name, measured."""
    if facts.switched:
        some = [one for one in facts.mailboxes if one.state is not MailboxState.CANCELLED]
        facts = replace(facts, mailboxes=some, given_up=facts.total - len(some))
    return {name: _MEASURES[name](options, facts) for name in GUARDS}


def needed(cutover: Cutover, event: str) -> tuple[str, ...]:
    """Returns the guards that must be met for this event. To ask the switch again for what it refused, none has to be."""
    if event == "switch" and cutover.state not in BEFORE_SWITCH:
        return () if cutover.state == "switched" else ("copied", "synced")
    return RULES[event].guards


def unmet(guards: Mapping[str, MeasuredGuard], names: Sequence[str]) -> list[MeasuredGuard]:
    """Returns those of these guards that are not met."""
    return [guards[name] for name in names if not guards[name].met]


def span(seconds: float) -> str:
    """Returns a time for people: "40 s", "12 min", "3 h", "2 days"."""
    for size, word in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {word}"
    return f"{max(0.0, seconds):.0f} s"


def copied(state: MailboxState, synced_at: float) -> bool:
    """Tells whether a mailbox was copied to its end once, and does not stand still."""
    return state not in (MailboxState.PARKED, MailboxState.CANCELLED) and (
        synced_at > 0 or state is MailboxState.COMPLETE
    )


def _copied(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    # A mailbox that was copied once is looked at again and again; only one that stands still has to be told.
    behind = [one for one in facts.mailboxes if not copied(one.state, one.synced_at)]
    done = facts.total - len(behind)
    return MeasuredGuard(
        name="copied",
        met=not behind and facts.somebody,
        value=f"{done:,} of {facts.total:,} mailboxes are copied; {facts.given_up:,} cancelled ones count no more"
        if facts.given_up
        else f"{done:,} of {facts.total:,} mailboxes are copied",
        number=len(behind),
        waits_for=(
            "mailboxes that are stopped or were never copied: mend them (mailhaul errors), or give them up (mailhaul cancel)"
            if facts.switched
            else "mailboxes that are stopped or were never copied: mend them (mailhaul errors), or move them to another wave"
        )
        if behind
        else ""
        if facts.somebody
        else "a mailbox in the wave",
        who=tuple((one.login, str(one.state)) for one in behind),
    )


def _synced(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    ages = [(facts.at - one.synced_at if one.synced_at else float("inf"), one) for one in facts.mailboxes]
    behind = sorted((pair for pair in ages if pair[0] > options.synced_seconds), key=lambda pair: -pair[0])
    oldest = max((age for age, _ in ages), default=0.0)
    told = f"all mailboxes are as the source was at most {span(oldest)} ago"
    return MeasuredGuard(
        name="synced",
        met=not behind,
        value=f"{len(behind):,} of {facts.total:,} mailboxes are more than {span(options.synced_seconds)} behind the source"
        if behind
        else told,
        number=oldest if oldest != float("inf") else -1,
        waits_for="a look at each of them" if behind else "",
        who=tuple(
            (one.login, "never copied" if age == float("inf") else f"{span(age)} behind the source")
            for age, one in behind
        ),
    )


def _switch(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    name = options.switch or "none"
    if facts.no_switch:
        return MeasuredGuard(
            name="switch",
            met=False,
            value=f"the switch {name} cannot be asked: {facts.no_switch}",
            number=-1,
            waits_for="the settings of the coordinator",
        )
    # What was turned before, or is to be turned now, needs no rehearsal.
    asked = [one for one in facts.mailboxes if not one.known.to]
    refused = [one for one in asked if one.known.answer == "refused"]
    oldest = facts.at - FRESH_SECONDS["switch"]
    later = [one for one in asked if one.known.answer != "refused" and (not one.known.turned or one.known.at < oldest)]
    if refused:
        value = f"the switch {name} refuses {len(refused):,} of {facts.total:,} mailboxes"
    elif later:
        value = f"the switch {name} has not said yes for {len(later):,} of {facts.total:,} mailboxes"
    else:
        value = f"the switch {name} says yes for all {facts.total:,} mailboxes"
    return MeasuredGuard(
        name="switch",
        met=not (refused or later) and bool(facts.mailboxes),
        value=value,
        number=len(refused) + len(later),
        waits_for="a switch that would do it" if refused else "a rehearsal by the coordinator" if later else "",
        who=tuple((one.login, one.known.words or "not asked yet") for one in [*refused, *later]),
    )


def _ttl(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    most = options.ttl_seconds
    faults: list[tuple[str, str]] = []
    for one in facts.domains:
        faults += [(one.domain, fault) for fault in one.faults]
        if facts.at - one.at > FRESH_SECONDS["ttl"]:
            faults.append((one.domain, f"last asked {span(facts.at - one.at)} ago" if one.at else "not asked yet"))
        elif not one.servers:
            pass
        elif one.ttl > most:
            faults.append((one.domain, _records(one)))
        elif one.cached_until > facts.at:
            faults.append((one.domain, f"older answers may be kept for another {span(one.cached_until - facts.at)}"))
    longest = max((one.ttl for one in facts.domains), default=-1)
    told = "; ".join(f"{one.domain}: {_records(one)}" for one in facts.domains)
    return MeasuredGuard(
        name="ttl",
        met=not faults and bool(facts.domains),
        value=told or "no mail domain is known",
        number=longest,
        waits_for=f"at most {most} s at every authoritative server"
        if faults
        else ""
        if facts.domains
        else "the mail domains: --domain",
        who=tuple(faults),
    )


def _records(one: DomainFacts) -> str:
    """Says where the mail of a domain goes, and how long that may be kept."""
    if not one.servers:
        return "no answer"
    hosts = ", ".join(one.mx) or "no MX record"
    before = f", before: {', '.join(one.mx_before) or 'none'}" if one.mx_before != one.mx else ""
    spf = f"SPF {one.spf_ttl} s" if one.spf_ttl >= 0 else "no SPF record"
    differ = ", which differ" if one.differ else ""
    servers = f"{one.servers} server{'s' if one.servers != 1 else ''}{differ}"
    return f"MX {hosts} {one.mx_ttl} s{before}; {spf}; {servers}"


def _turned(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    left = [one for one in facts.mailboxes if one.known.to != "new" or not one.known.turned]
    return MeasuredGuard(
        name="turned",
        met=not left and facts.somebody,
        value=f"{facts.total - len(left):,} of {facts.total:,} mailboxes are turned to the new server",
        number=len(left),
        waits_for="the switch" if left else "",
        who=tuple((one.login, _answer(one)) for one in left),
    )


def _answer(one: MailboxFacts) -> str:
    if one.known.to != "new":
        return "not asked yet" if copied(one.state, one.synced_at) else "not asked while it is not copied"
    if one.known.answer == "refused":
        return f"the switch refused: {one.known.words}"
    return f"asked again later: {one.known.words}" if one.known.answer == "later" else "asked, and no answer yet"


def _quiet(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    loud = sorted(
        (one for one in facts.mailboxes if _silence(one, facts) < options.quiet_seconds),
        key=lambda one: -one.mail_at,
    )
    most = span(options.quiet_seconds)
    longest = min((_silence(one, facts) for one in facts.mailboxes), default=0.0)
    return MeasuredGuard(
        name="quiet",
        met=not loud and facts.somebody,
        value=f"{len(loud):,} of {facts.total:,} mailboxes may have got mail at the source within {most}"
        if loud
        else f"no new mail at the source for {span(longest)}",
        number=longest,
        waits_for=f"{most} without new mail at the source" if loud else "",
        who=tuple((one.login, _last_mail(one, facts)) for one in loud),
    )


def _silence(one: MailboxFacts, facts: CutoverFacts) -> float:
    """Returns for how long the source is known to have got no mail: from the last new mail, or the switch, to the last look."""
    since = max(one.mail_at, one.known.at if one.known.to == "new" else facts.at)
    return max(0.0, one.synced_at - since)


def _last_mail(one: MailboxFacts, facts: CutoverFacts) -> str:
    if one.known.to == "new" and one.mail_at >= one.known.at:
        return f"last new mail {span(facts.at - one.mail_at)} ago"
    return "none since the switch" if one.known.to == "new" else "not turned yet"


def _empty(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    left = [one for one in facts.mailboxes if one.known.empty < EMPTY_LOOKS]
    done = facts.total - len(left)
    return MeasuredGuard(
        name="empty",
        met=not left and facts.somebody,
        value=f"the last {EMPTY_LOOKS} looks found nothing new in {done:,} of {facts.total:,} mailboxes",
        number=len(left),
        waits_for="looks that find nothing" if left else "",
        who=tuple((one.login, f"{one.known.empty} of {EMPTY_LOOKS} looks") for one in left),
    )


_MEASURES: Final[Mapping[str, Callable[[CutoverOptions, CutoverFacts], MeasuredGuard]]] = {
    "copied": _copied,
    "synced": _synced,
    "switch": _switch,
    "ttl": _ttl,
    "turned": _turned,
    "quiet": _quiet,
    "empty": _empty,
}
