"""Rehearses a cutover: asks the switch and the DNS as the coordinator would, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from producer.cutover.acts import CutoverView, checked, may_cut_over, viewed
from producer.cutover.copy_back import no_way_back
from producer.cutover.dns_records import joined
from producer.cutover.facts import address_of, domains_of, encode_domains, members
from producer.cutover.measured import DomainFacts
from producer.cutover.turning import answered, switched
from shared.model import Import
from shared.model.cutover import DNS, NO_SWITCH, Cutover, CutoverOptions, MailboxCutover
from shared.model.lifecycle import CutoverState
from shared.model.sides import Side
from shared.nouns import dataclass
from shared.store import Store
from shared.store.records.cutovers import encode_mailbox
from shared.switching import Switch

#: The longest time that a request of the API or the page asks a switch for, seconds: it may be a program for each mailbox.
MOST_SECONDS: Final = 20.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoverPlan:
    """The result of a rehearsal."""

    #: The cutover as it would be, with its guards.
    view: CutoverView
    #: Domains that the switch turns as a whole → how many mailboxes of the import in them are not in the wave.
    taken_along: dict[str, int]
    #: Logins of mailboxes to which a rollback could bring nothing back.
    no_way_back: tuple[str, ...] = ()
    #: (login at the old server, login at the new one) where both are addresses and differ: the switch turns the first.
    renamed: tuple[tuple[str, str], ...] = ()


def plan(
    store: Store,
    import_: Import,
    wave: str,
    options: CutoverOptions,
    *,
    open_switch: Callable[[str], Switch],
    ask: Callable[[str, float], DomainFacts],
    at: float,
    most_seconds: float = float("inf"),
) -> CutoverPlan:
    """Rehearses the cutover of a wave. Raises `UsageError`.

    After `most_seconds` no further mailbox is asked for; the guard `switch` counts those as not asked yet.
    """
    may_cut_over(store, import_, wave)
    options = checked(options)
    cutover = Cutover(import_id=import_.import_id, wave=wave, state=CutoverState.DRAFTED, since=at, options=options)
    everyone = members(store, import_.import_id, wave, {})
    notes = {NO_SWITCH: ""}
    taken_along: dict[str, int] = {}
    switch = open_switch(options.switch)
    try:
        until = time.monotonic() + most_seconds
        for mailbox in everyone:
            if time.monotonic() >= until:
                break
            outcome = switch.rehearse(switched(cutover, mailbox, Side.DESTINATION), Side.DESTINATION)
            notes[mailbox.mailbox_id] = encode_mailbox(answered(MailboxCutover(), outcome, at))
        if switch.per_domain:
            taken_along = _taken_along(store, import_, {mailbox.mailbox_id for mailbox in everyone})
    finally:
        switch.close()
    domains = domains_of(options, everyone)
    notes[DNS] = encode_domains({one: joined(None, ask(one, at), options.ttl_seconds) for one in domains})
    return CutoverPlan(
        view=viewed(store, cutover, notes, at),
        taken_along=taken_along,
        no_way_back=tuple(one.source.login for one in everyone if no_way_back(one)),
        renamed=tuple((old, new) for one in everyone if _differ(old := one.source.login, new := one.destination.login)),
    )


def _differ(old: str, new: str) -> bool:
    return "@" in old and "@" in new and old.lower() != new.lower()


def _taken_along(store: Store, import_: Import, here: set[str]) -> dict[str, int]:
    everyone = [mailbox for mailbox, _ in store.mailboxes(import_.import_id)]
    domains = {address_of(one).rpartition("@")[2].lower() for one in everyone if one.mailbox_id in here}
    found: dict[str, int] = {}
    for one in everyone:
        domain = address_of(one).rpartition("@")[2].lower()
        if one.mailbox_id not in here and domain in domains:
            found[domain] = found.get(domain, 0) + 1
    return found
