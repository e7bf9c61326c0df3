"""The guards of a cutover: each is measured, and says its value and what it waits for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from producer.cutover.measured import CutoverFacts, DomainFacts, MailboxFacts, MeasuredGuard
from shared.model.cutover import (
    BEFORE_SWITCH,
    GUARDS,
    RULES,
    Cutover,
    CutoverOptions,
    TurnAnswer,
    TurnedTo,
)
from shared.model.lifecycle import CutoverState, MailboxState
from shared.wording.phrases import Phrase, several

ALL_MAILBOXES_ARE_AS_SOURCE_WAS: Final = Phrase(
    "all_mailboxes_are_as_source_was", "all mailboxes are as the source was at most {span} ago"
)
SWITCH_REFUSES_OF_MAILBOXES: Final = Phrase(
    "switch_refuses_of_mailboxes", "the switch {name} refuses {num} of {most_num} mailboxes"
)
SWITCH_REFUSED: Final = Phrase("switch_refused", "the switch refused: {said}")
ASKED_AGAIN_LATER: Final = Phrase("asked_again_later", "asked again later: {said}")
ASKED_AND_NO_ANSWER_YET: Final = Phrase("asked_and_no_answer_yet", "asked, and no answer yet")
LAST_NEW_MAIL_AGO: Final = Phrase("last_new_mail_ago", "last new mail {span} ago")
NONE_SINCE_SWITCH: Final = Phrase("none_since_switch", "none since the switch")
NOT_TURNED_YET: Final = Phrase("not_turned_yet", "not turned yet")
SWITCH_HAS_NOT_SAID_YES: Final = Phrase(
    "switch_has_not_said_yes", "the switch {name} has not said yes for {num} of {most_num} mailboxes"
)
SWITCH_SAYS_YES_FOR_ALL: Final = Phrase("switch_says_yes_for_all", "the switch {name} says yes for all {num} mailboxes")
MAILBOXES_TURNED_TO_NEW_SERVER: Final = Phrase(
    "mailboxes_turned_to_new_server", "{num} of {most_num} mailboxes are turned to the new server"
)
NOT_ASKED_YET: Final = Phrase("not_asked_yet", "not asked yet")
NOT_ASKED_WHILE_IT_IS_NOT_COPIED: Final = Phrase("not_asked_while_it_is_not_copied", "not asked while it is not copied")
LAST_LOOKS_FOUND_NOTHING: Final = Phrase(
    "last_looks_found_nothing", "the last {num} looks found nothing new in {part_num} of {most_num} mailboxes"
)
MAILBOXES_COPIED_OR_CANCELLED: Final = Phrase(
    "mailboxes_copied_or_cancelled",
    "{num} of {most_num} mailboxes are copied; {part_num} cancelled ones count no more",
)
OF_MAILBOXES_ARE_COPIED: Final = Phrase("of_mailboxes_are_copied", "{num} of {most_num} mailboxes are copied")
MAILBOXES_BEHIND_SOURCE: Final = Phrase(
    "mailboxes_behind_source", "{num} of {most_num} mailboxes are more than {span} behind the source"
)
LOOK_AT_EACH_OF_THEM: Final = Phrase("look_at_each_of_them", "a look at each of them")
IMPORT_IS_PAUSED: Final = Phrase("import_is_paused", "the import is paused: mailhaul resume {name}")
WAVE_IS_PAUSED: Final = Phrase("wave_is_paused", "the wave is paused: mailhaul resume {name} --wave {wave_name}")
SWITCH_CANNOT_BE_ASKED: Final = Phrase("switch_cannot_be_asked", "the switch {name} cannot be asked: {cause}")
SETTINGS_OF_COORDINATOR: Final = Phrase("settings_of_coordinator", "the settings of the coordinator")
SWITCH_THAT_WOULD_DO: Final = Phrase("switch_that_would_do", "a switch that would do it")
NO_MAIL_DOMAIN_IS_KNOWN: Final = Phrase("no_mail_domain_is_known", "no mail domain is known")
SHORT_TTL_EVERYWHERE: Final = Phrase("short_ttl_everywhere", "at most {num} s at every authoritative server")
SWITCH: Final = Phrase("switch", "the switch")
MAILBOXES_MAY_HAVE_GOT_MAIL: Final = Phrase(
    "mailboxes_may_have_got_mail", "{num} of {most_num} mailboxes may have got mail at the source within {span}"
)
NO_NEW_MAIL_AT_SOURCE: Final = Phrase("no_new_mail_at_source", "no new mail at the source for {span}")
TIME_WITHOUT_NEW_MAIL_AT_SOURCE: Final = Phrase(
    "time_without_new_mail_at_source", "{span} without new mail at the source"
)
LOOKS_THAT_FIND_NOTHING: Final = Phrase("looks_that_find_nothing", "looks that find nothing")
MEND_MAILBOXES_OR_CANCEL_THEM: Final = Phrase(
    "mend_mailboxes_or_cancel_them",
    "mailboxes that are stopped or were never copied: mend them (mailhaul errors), or give them up (mailhaul cancel)",
)
MEND_MAILBOXES_OR_MOVE_THEM: Final = Phrase(
    "mend_mailboxes_or_move_them",
    "mailboxes that are stopped or were never copied: mend them (mailhaul errors), or move them to another wave",
)
MAILBOX_IN_WAVE: Final = Phrase("mailbox_in_wave", "a mailbox in the wave")
REHEARSAL_BY_COORDINATOR: Final = Phrase("rehearsal_by_coordinator", "a rehearsal by the coordinator")
MAIL_DOMAINS_DOMAIN: Final = Phrase("mail_domains_domain", "the mail domains: --domain")
LAST_ASKED_AGO: Final = Phrase("last_asked_ago", "last asked {span} ago")
OF_LOOKS: Final = Phrase("of_looks", "{num} of {most_num} looks")
NEVER_COPIED: Final = Phrase("never_copied", "never copied")
BEHIND_SOURCE: Final = Phrase("behind_source", "{span} behind the source")
OLDER_ANSWERS_MAY_BE_KEPT: Final = Phrase("older_answers_may_be_kept", "older answers may be kept for another {span}")
NO_ANSWER: Final = Phrase("dns_no_answer", "no answer")
RECORDS: Final = Phrase("dns_records", "{mx_what}; {spf_what}; {servers_what}")
MX: Final = Phrase("dns_mx", "MX {hosts} {num} s")
MX_BEFORE: Final = Phrase("dns_mx_before", "MX {hosts} {num} s, before: {before}")
NO_MX: Final = Phrase("dns_no_mx", "no MX record {num} s")
NO_MX_BEFORE: Final = Phrase("dns_no_mx_before", "no MX record {num} s, before: {before}")
NO_HOST: Final = Phrase("dns_no_host", "none")
SPF: Final = Phrase("dns_spf", "SPF {num} s")
NO_SPF: Final = Phrase("dns_no_spf", "no SPF record")
ONE_SERVER: Final = Phrase("dns_server", "{num} server")
SERVERS: Final = Phrase("dns_servers", "{num} servers")
SERVERS_DIFFER: Final = Phrase("dns_servers_differ", "{num} servers, which differ")
OF_DOMAIN: Final = Phrase("of_domain", "{domain}: {what}")
MAILBOX_STATE: Final = Phrase("mailbox_state", "{state}")
#: A guard's name, and two of what several are.
GUARD: Final = Phrase("guard", "{guard}")
COMMA: Final = Phrase("comma", "{what}, {more_what}")

#: A rehearsal or an answer of the DNS counts for so long, seconds.
FRESH_SECONDS: Final = {"switch": 7200.0, "ttl": 300.0}
#: The number of looks in a row that must find nothing new.
EMPTY_LOOKS: Final = 2


def measure(options: CutoverOptions, facts: CutoverFacts) -> dict[str, MeasuredGuard]:
    """Returns every guard by its name, measured."""
    if facts.switched:
        some = [one for one in facts.mailboxes if one.state is not MailboxState.CANCELLED]
        facts = replace(facts, mailboxes=some, given_up=facts.total - len(some))
    return {name: _MEASURES[name](options, facts) for name in GUARDS}


def needed(cutover: Cutover, event: str) -> tuple[str, ...]:
    """Returns the guards that must be met for this event. To ask the switch again for what it refused, none has to be."""
    if event == "switch" and cutover.state not in BEFORE_SWITCH:
        return () if cutover.state is CutoverState.SWITCHED else ("copied", "synced")
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
        value=MAILBOXES_COPIED_OR_CANCELLED.says(
            num=f"{done:,}", most_num=f"{facts.total:,}", part_num=f"{facts.given_up:,}"
        )
        if facts.given_up
        else OF_MAILBOXES_ARE_COPIED.says(num=f"{done:,}", most_num=f"{facts.total:,}"),
        number=len(behind),
        waits_for=(MEND_MAILBOXES_OR_CANCEL_THEM.says() if facts.switched else MEND_MAILBOXES_OR_MOVE_THEM.says())
        if behind
        else ""
        if facts.somebody
        else MAILBOX_IN_WAVE.says(),
        who=tuple((one.login, MAILBOX_STATE.says(state=str(one.state))) for one in behind),
    )


def _synced(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    ages = [(facts.at - one.synced_at if one.synced_at else float("inf"), one) for one in facts.mailboxes]
    behind = sorted((pair for pair in ages if pair[0] > options.synced_seconds), key=lambda pair: -pair[0])
    oldest = max((age for age, _ in ages), default=0.0)
    told = ALL_MAILBOXES_ARE_AS_SOURCE_WAS.says(span=span(oldest))
    return MeasuredGuard(
        name="synced",
        met=not behind,
        value=MAILBOXES_BEHIND_SOURCE.says(
            num=f"{len(behind):,}", most_num=f"{facts.total:,}", span=span(options.synced_seconds)
        )
        if behind
        else told,
        number=oldest if oldest != float("inf") else -1,
        waits_for=(facts.paused or LOOK_AT_EACH_OF_THEM.says()) if behind else "",
        who=tuple(
            (one.login, NEVER_COPIED.says() if age == float("inf") else BEHIND_SOURCE.says(span=span(age)))
            for age, one in behind
        ),
    )


def _switch(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    name = options.switch or "none"
    if facts.no_switch:
        return MeasuredGuard(
            name="switch",
            met=False,
            value=SWITCH_CANNOT_BE_ASKED.says(name=name, cause=facts.no_switch),
            number=-1,
            waits_for=SETTINGS_OF_COORDINATOR.says(),
        )
    # What was turned before, or is to be turned now, needs no rehearsal.
    asked = [one for one in facts.mailboxes if not one.known.to]
    refused = [one for one in asked if one.known.answer == TurnAnswer.REFUSED]
    oldest = facts.at - FRESH_SECONDS["switch"]
    later = [
        one
        for one in asked
        if one.known.answer != TurnAnswer.REFUSED and (not one.known.turned or one.known.at < oldest)
    ]
    if refused:
        value = SWITCH_REFUSES_OF_MAILBOXES.says(name=name, num=f"{len(refused):,}", most_num=f"{facts.total:,}")
    elif later:
        value = SWITCH_HAS_NOT_SAID_YES.says(name=name, num=f"{len(later):,}", most_num=f"{facts.total:,}")
    else:
        value = SWITCH_SAYS_YES_FOR_ALL.says(name=name, num=f"{facts.total:,}")
    return MeasuredGuard(
        name="switch",
        met=not (refused or later) and bool(facts.mailboxes),
        value=value,
        number=len(refused) + len(later),
        waits_for=SWITCH_THAT_WOULD_DO.says() if refused else REHEARSAL_BY_COORDINATOR.says() if later else "",
        who=tuple((one.login, one.known.words or NOT_ASKED_YET.says()) for one in [*refused, *later]),
    )


def _ttl(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    most = options.ttl_seconds
    faults: list[tuple[str, str]] = []
    for one in facts.domains:
        faults += [(one.domain, fault) for fault in one.faults]
        if facts.at - one.at > FRESH_SECONDS["ttl"]:
            faults.append(
                (one.domain, LAST_ASKED_AGO.says(span=span(facts.at - one.at)) if one.at else NOT_ASKED_YET.says())
            )
        elif not one.servers:
            pass
        elif one.ttl > most:
            faults.append((one.domain, _records(one)))
        elif one.cached_until > facts.at:
            faults.append((one.domain, OLDER_ANSWERS_MAY_BE_KEPT.says(span=span(one.cached_until - facts.at))))
    longest = max((one.ttl for one in facts.domains), default=-1)
    told = several(OF_DOMAIN.says(domain=one.domain, what=_records(one)) for one in facts.domains)
    return MeasuredGuard(
        name="ttl",
        met=not faults and bool(facts.domains),
        value=told or NO_MAIL_DOMAIN_IS_KNOWN.says(),
        number=longest,
        waits_for=SHORT_TTL_EVERYWHERE.says(num=most)
        if faults
        else ""
        if facts.domains
        else MAIL_DOMAINS_DOMAIN.says(),
        who=tuple(faults),
    )


def _records(one: DomainFacts) -> str:
    """Says where the mail of a domain goes, and how long that may be kept."""
    if not one.servers:
        return NO_ANSWER.says()
    same, said = (
        one.mx_before == one.mx,
        {"hosts": ", ".join(one.mx), "before": ", ".join(one.mx_before) or NO_HOST.says()},
    )
    mx = (MX if same else MX_BEFORE) if one.mx else (NO_MX if same else NO_MX_BEFORE)
    servers = SERVERS_DIFFER if one.differ else ONE_SERVER if one.servers == 1 else SERVERS
    return RECORDS.says(
        mx_what=mx.says(num=one.mx_ttl, **said),
        spf_what=SPF.says(num=one.spf_ttl) if one.spf_ttl >= 0 else NO_SPF.says(),
        servers_what=servers.says(num=one.servers),
    )


def guard_names(names: Iterable[str]) -> str:
    """Returns the names of guards as one text."""
    return several((GUARD.says(guard=name) for name in names), COMMA)


def _turned(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    left = [one for one in facts.mailboxes if one.known.to != TurnedTo.NEW or not one.known.turned]
    return MeasuredGuard(
        name="turned",
        met=not left and facts.somebody,
        value=MAILBOXES_TURNED_TO_NEW_SERVER.says(num=f"{facts.total - len(left):,}", most_num=f"{facts.total:,}"),
        number=len(left),
        waits_for=SWITCH.says() if left else "",
        who=tuple((one.login, _answer(one)) for one in left),
    )


def _answer(one: MailboxFacts) -> str:
    if one.known.to != TurnedTo.NEW:
        return NOT_ASKED_YET.says() if copied(one.state, one.synced_at) else NOT_ASKED_WHILE_IT_IS_NOT_COPIED.says()
    if one.known.answer == TurnAnswer.REFUSED:
        return SWITCH_REFUSED.says(said=one.known.words)
    return (
        ASKED_AGAIN_LATER.says(said=one.known.words)
        if one.known.answer == TurnAnswer.LATER
        else ASKED_AND_NO_ANSWER_YET.says()
    )


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
        value=MAILBOXES_MAY_HAVE_GOT_MAIL.says(num=f"{len(loud):,}", most_num=f"{facts.total:,}", span=most)
        if loud
        else NO_NEW_MAIL_AT_SOURCE.says(span=span(longest)),
        number=longest,
        waits_for=TIME_WITHOUT_NEW_MAIL_AT_SOURCE.says(span=most) if loud else "",
        who=tuple((one.login, _last_mail(one, facts)) for one in loud),
    )


def _silence(one: MailboxFacts, facts: CutoverFacts) -> float:
    """Returns for how long the source is known to have got no mail: from the last new mail, or the switch, to the last look."""
    since = max(one.mail_at, one.known.at if one.known.to == TurnedTo.NEW else facts.at)
    return max(0.0, one.synced_at - since)


def _last_mail(one: MailboxFacts, facts: CutoverFacts) -> str:
    if one.known.to == TurnedTo.NEW and one.mail_at >= one.known.at:
        return LAST_NEW_MAIL_AGO.says(span=span(facts.at - one.mail_at))
    return NONE_SINCE_SWITCH.says() if one.known.to == TurnedTo.NEW else NOT_TURNED_YET.says()


def _empty(options: CutoverOptions, facts: CutoverFacts) -> MeasuredGuard:
    left = [one for one in facts.mailboxes if one.known.empty < EMPTY_LOOKS]
    done = facts.total - len(left)
    return MeasuredGuard(
        name="empty",
        met=not left and facts.somebody,
        value=LAST_LOOKS_FOUND_NOTHING.says(num=EMPTY_LOOKS, part_num=f"{done:,}", most_num=f"{facts.total:,}"),
        number=len(left),
        waits_for=(facts.paused or LOOKS_THAT_FIND_NOTHING.says()) if left else "",
        who=tuple((one.login, OF_LOOKS.says(num=one.known.empty, most_num=EMPTY_LOOKS)) for one in left),
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
