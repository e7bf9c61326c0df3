"""The acts of a person on a cutover: begins it, looks, and sends its events. No function here prints, waits or asks a server."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from producer.cutover.copy_back import WaveBack, back_progress, wave_back
from producer.cutover.facts import domains_of, facts_of, members
from producer.cutover.guards import MeasuredGuard, measure, needed, unmet
from producer.cutover.telling import next_step
from producer.cutover.turning import to_bring_back
from producer.waves import wave_of
from shared.model import Import, Mailbox
from shared.model.cutover import (
    BEFORE_SWITCH,
    FORCIBLE,
    GUARDS,
    RULES,
    STANDING,
    STOOD,
    Cutover,
    CutoverOptions,
    CutoverStep,
    MailboxCutover,
    Overruled,
)
from shared.model.errors import UsageError
from shared.model.lifecycle import CUTOVER, NOT_BEGUN, CutoverState, IllegalTransition, advance
from shared.store import Store
from shared.store.records.cutovers import Cutovers, KeptCutover, decode_mailbox

#: The longest reason, characters.
_MOST_REASON: Final = 200
_HOUR: Final = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CutoverView:
    """A cutover with its guards, as it is shown."""

    #: The cutover.
    cutover: Cutover
    #: Every guard by its name, measured.
    guards: Mapping[str, MeasuredGuard]
    #: What is to be done next, and by whom, in a sentence.
    next: str
    #: Its mailboxes, each with what is known of it.
    mailboxes: Sequence[tuple[Mailbox, MailboxCutover]] = field(default=())
    #: After a rollback, once it is asked for by a person: how far the copies back are; None where there are none.
    back: WaveBack | None = None


def with_switch(options: CutoverOptions, known: Collection[str]) -> CutoverOptions:
    """Returns the options with their switch: the only one that there is where they name none. Raises `UsageError`."""
    if not options.switch and len(known) == 1:
        options = replace(options, switch=next(iter(known)))
    if known and options.switch and options.switch not in known:
        raise UsageError(
            f"--switch: MAILHAUL_SWITCHES names no {options.switch[:80]}; it names: {', '.join(sorted(known))}"
        )
    return checked(options)


def checked(options: CutoverOptions) -> CutoverOptions:
    """Returns the options. Raises `UsageError` for those that nobody may ask for."""
    if not options.switch:
        raise UsageError("--switch: say which switch of MAILHAUL_SWITCHES turns the mailboxes (docs/cutover.md)")
    if not 30 <= options.synced_seconds <= 86_400:
        raise UsageError("--synced-minutes: a number from 0.5 to 1440")
    if not 1 <= options.ttl_seconds <= 86_400:
        raise UsageError("--ttl: a whole number of seconds from 1 to 86400")
    if not 0 < options.quiet_seconds <= 90 * 24 * _HOUR:
        raise UsageError("--quiet-hours: a number above 0, at most 2160")
    for domain in options.domains:
        if not 0 < len(domain) <= 253 or "@" in domain or not domain.isprintable() or " " in domain:
            raise UsageError(f"--domain: {domain[:80]!r} is no mail domain")
    return replace(options, domains=tuple(sorted({domain.lower().rstrip(".") for domain in options.domains})))


def may_cut_over(store: Store, import_: Import, wave: str) -> None:
    """Raises `UsageError` unless the wave, or "" for the import as a whole, may have a cutover."""
    named = [one.name for one in store.waves(import_.import_id) if one.name]
    if wave:
        wave_of(store, import_, wave)
    elif named:
        raise UsageError(
            f"import {import_.name} has waves, and each is cut over by itself: say --wave; its waves are: {', '.join(named[:8])}"
        )


def start(cutovers: Cutovers, import_: Import, wave: str, options: CutoverOptions, *, who: str, at: float) -> Cutover:
    """Begins the cutover of a wave, or "" of the import as a whole. Raises `UsageError`."""
    may_cut_over(cutovers.store, import_, wave)
    kept = cutovers.one(import_.import_id, wave)
    before = kept.cutover
    if wave and (whole := cutovers.one(import_.import_id, "").cutover) and whole.state not in CUTOVER["start"]:
        raise UsageError(f"import {import_.name} is cut over as a whole ({whole.state}): close that first")
    if before is not None and before.state not in CUTOVER["start"]:
        raise UsageError(f"{named(import_, wave)} has a cutover ({before.state}): mailhaul cutover status")
    # A new mark would stand above the mail that is still to be brought back.
    if before and (number := _on_their_way_back(cutovers.store, before, cutovers.notes(import_.import_id, wave))):
        raise UsageError(
            f"{named(import_, wave)}: {number:,} of its mailboxes are still on their way back; begin anew when all is there"
        )
    state = CutoverState(advance("cutover", before.state if before else NOT_BEGUN, "start"))
    cutover = Cutover(
        import_id=import_.import_id,
        wave=wave,
        state=state,
        since=at,
        serial=before.serial + 1 if before else 1,
        options=checked(options),
        steps=(CutoverStep(state=state, at=at, who=who),),
    )
    # What an earlier cutover of the wave did is over, except that it may still have to let the wave stand as before.
    found = cutovers.notes(import_.import_id, wave)
    kept_note = STOOD if found.get(STANDING) not in (None, "off") else ""
    notes = {name: (text, "") for name, text in found.items() if name != kept_note}
    if not cutovers.put(kept, cutover, notes):
        raise changed(import_, wave)
    return cutover


def _on_their_way_back(store: Store, cutover: Cutover, notes: Mapping[str, str]) -> int:
    """Counts the mailboxes that a rollback has not turned back, or whose mail is not all brought back."""
    if cutover.state is not CutoverState.ROLLED_BACK:
        return 0
    number = 0
    for name, text in notes.items():
        mailbox = None if name.startswith("#") else store.mailbox(name)
        if mailbox is not None:
            known = decode_mailbox(text)
            turning = bool(known.to) and (known.to != "old" or not known.turned)
            number += (
                turning
                or to_bring_back(cutover, known)
                or (known.back == "begun" and not back_progress(store, mailbox).whole)
            )
    return number


def send(
    cutovers: Cutovers,
    import_: Import,
    wave: str,
    event: str,
    *,
    who: str,
    at: float,
    force: Sequence[str] = (),
    reason: str = "",
) -> Cutover:
    """Sends an event of a person. `force` names guards that are overruled, for a `reason`. Raises `UsageError`."""
    assert RULES[event].by == "person"
    kept = cutovers.one(import_.import_id, wave)
    cutover = there(kept, import_, wave)
    try:
        state = CutoverState(advance("cutover", cutover.state, event))
    except IllegalTransition:
        raise UsageError(
            f"the cutover of {named(import_, wave)} is {spoken(cutover.state)}: nobody can {event.replace('_', ' ')} it now"
        ) from None
    view = _looked(cutovers, kept, at)
    overruled = _overruled(view, event, force, reason, who, at)
    if failing := [
        one for one in unmet(view.guards, needed(cutover, event)) if one.name not in {o.guard for o in overruled}
    ]:
        raise UsageError("\n".join([f"{named(import_, wave)}: not yet. It waits for:", *map(_waits, failing)]))
    after = replace(
        cutover,
        state=state,
        since=at,
        serial=cutover.serial + 1,
        overruled=(*cutover.overruled, *overruled),
        steps=(*cutover.steps, CutoverStep(state=state, at=at, who=who)),
    )
    if not cutovers.put(kept, after):
        raise changed(import_, wave)
    return after


def _overruled(
    view: CutoverView, event: str, force: Sequence[str], reason: str, who: str, at: float
) -> tuple[Overruled, ...]:
    for name in force:
        if name not in GUARDS:
            raise UsageError(f"--force: {name[:40]!r} is no guard; guards are {', '.join(GUARDS)}")
        if name not in FORCIBLE:
            raise UsageError(
                f"--force: {name} cannot be overruled, since mail could be lost that nobody hears of; "
                f"these can be: {', '.join(sorted(FORCIBLE))}"
            )
    if force and not reason.strip():
        raise UsageError("--reason: say why the guard is overruled; the audit log keeps it")
    wanted = {one.name for one in unmet(view.guards, needed(view.cutover, event))}
    return tuple(
        Overruled(guard=name, event=event, reason=reason.strip()[:_MOST_REASON], who=who, at=at)
        for name in dict.fromkeys(force)
        if name in wanted
    )


def _waits(guard: MeasuredGuard) -> str:
    return f"{guard.name}: {guard.value}; waits for: {guard.waits_for}"


def end_of(state: CutoverState) -> str:
    """Returns the event by which a person ends a cutover in this state: "close", or before the switch "give_up"."""
    return "give_up" if state in BEFORE_SWITCH else "close"


def look(cutovers: Cutovers, import_: Import, wave: str, at: float) -> CutoverView:
    """Returns the wave's cutover with its guards. Raises `UsageError` where there is none."""
    kept = cutovers.one(import_.import_id, wave)
    there(kept, import_, wave)
    return _looked(cutovers, kept, at)


def look_at_all(cutovers: Cutovers, import_: Import, at: float) -> list[CutoverView]:
    """Returns every cutover of the import with its guards; one that was written without the key is left out."""
    return [_looked(cutovers, kept, at) for kept in cutovers.all(import_.import_id).values() if kept.cutover]


def _looked(cutovers: Cutovers, kept: KeptCutover, at: float) -> CutoverView:
    assert kept.cutover is not None
    cutover, store = kept.cutover, cutovers.store
    view = viewed(store, cutover, cutovers.notes(cutover.import_id, cutover.wave), at)
    begun = [mailbox for mailbox, known in view.mailboxes if known.back == "begun"]
    origin = store.import_(cutover.import_id)
    if cutover.state is not CutoverState.ROLLED_BACK or not begun or origin is None:
        return view
    return replace(view, back=wave_back(store, origin, begun))


def viewed(store: Store, cutover: Cutover, notes: Mapping[str, str], at: float) -> CutoverView:
    """Returns the cutover with its guards, as they are with these notes."""
    everyone = members(store, cutover.import_id, cutover.wave, notes)
    domains, switched = domains_of(cutover.options, everyone), cutover.state not in BEFORE_SWITCH
    facts = facts_of(everyone, notes, domains, at, switched=switched)
    guards = measure(cutover.options, facts)
    known = [(one, decode_mailbox(notes.get(one.mailbox_id, ""))) for one in everyone]
    return CutoverView(
        cutover=cutover, guards=guards, next=next_step(cutover, guards, known, facts.domains), mailboxes=known
    )


def refused(view: CutoverView) -> int:
    """Counts the mailboxes that were not turned, or whose mail was not brought back, until a person acts."""
    return sum(bool(one.to) and "refused" in (one.answer, one.back) for _, one in view.mailboxes)


def there(kept: KeptCutover, import_: Import, wave: str) -> Cutover:
    """Returns the cutover. Raises `UsageError` where there is none, or it was written without the key."""
    if kept.cutover is not None:
        return kept.cutover
    if kept.row:
        raise UsageError(
            f"the cutover of {named(import_, wave)} was written without the key of this installation, so it counts for "
            "nothing: find out who can write to Redis, then begin it again (mailhaul cutover start)"
        )
    raise UsageError(f"{named(import_, wave)} has no cutover; begin one with: mailhaul cutover start")


def changed(import_: Import, wave: str) -> UsageError:
    """Returns the error for an act that came while somebody else changed the cutover."""
    return UsageError(f"the cutover of {named(import_, wave)} was changed meanwhile: look at it, and try again")


def named(import_: Import, wave: str) -> str:
    """Returns the name of what is cut over in any language: "people/pilot"."""
    return f"{import_.name}/{wave}" if wave else import_.name


def called(import_: Import, wave: str) -> str:
    """Returns the name of what is cut over: "wave pilot of import people"."""
    return f"wave {wave} of import {import_.name}" if wave else f"import {import_.name}"


def spoken(state: CutoverState) -> str:
    """Returns a state for people."""
    return state.replace("_", " ")
