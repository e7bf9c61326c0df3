"""The acts of a person on a cutover: begins it, looks, and sends its events. No function here prints, waits or asks a server."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from producer.cutover.copy_back import WaveBack, back_progress, wave_back
from producer.cutover.facts import domains_of, facts_of, members, paused_of
from producer.cutover.guards import guard_names, measure, needed, unmet
from producer.cutover.measured import MeasuredGuard
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
    CopyBackState,
    Cutover,
    CutoverOptions,
    CutoverStep,
    MailboxCutover,
    Overruled,
    TurnAnswer,
    TurnedTo,
)
from shared.model.lifecycle import CUTOVER, NOT_BEGUN, CutoverState, IllegalTransition, advance
from shared.nouns import dataclass
from shared.store import Store
from shared.store.records.cutovers import Cutovers, KeptCutover, decode_mailbox
from shared.wording.phrases import Fault, FaultsFound, FieldName, Phrase

NO_CUTOVER: Final = Phrase("cutover_missing", "{name} has no cutover; begin one with: mailhaul cutover start")
SWITCH_UNKNOWN: Final = Phrase("switch_unknown", "MAILHAUL_SWITCHES names no {name}; it names: {names}")
SWITCH_MISSING: Final = Phrase(
    "switch_missing",
    "say which switch of MAILHAUL_SWITCHES turns the mailboxes (docs/cutover.md)",
)
SYNCED_MINUTES: Final = Phrase("synced_minutes", "a number from 0.5 to 1440")
TTL: Final = Phrase("ttl", "a whole number of seconds from 1 to 86400")
QUIET_HOURS: Final = Phrase("quiet_hours", "a number above 0, at most 2160")
WHOLE_CUT_OVER: Final = Phrase("cutover_of_whole", "import {name} is cut over as a whole ({state}): close that first")
HAS_CUTOVER: Final = Phrase("cutover_there", "{name} has a cutover ({state}): mailhaul cutover status")
ON_THEIR_WAY_BACK: Final = Phrase(
    "cutover_mail_still_on_its_way_back",
    "{name}: {num} of its mailboxes are still on their way back; begin anew when all is there",
)
REASON_MISSING: Final = Phrase("reason_missing", "say why the guard is overruled; the audit log keeps it")
FOREIGN_CUTOVER: Final = Phrase(
    "cutover_unsigned",
    "the cutover of {name} was written without the key of this installation, so it counts for nothing: find out "
    "who can write to Redis, then begin it again (mailhaul cutover start)",
)
NO_DOMAIN: Final = Phrase("no_mail_domain", "{name} is no mail domain")
SAY_WAVE: Final = Phrase(
    "cutover_of_which_wave",
    "import {name} has waves, and each is cut over by itself: say {wave}; its waves are: {names}",
)
NOT_NOW: Final = Phrase(
    "cutover_event_impossible", "the cutover of {name} is {state}: nobody can {act} it now; next: {what}"
)
CHANGED: Final = Phrase("cutover_changed", "the cutover of {name} was changed meanwhile: look at it, and try again")
NOT_YET: Final = Phrase("cutover_not_yet", "{name}: not yet. It waits for:")
WAITS: Final = Phrase("cutover_waits", "{guard}: {value_cause}; waits for: {waits_cause}")
NO_GUARD: Final = Phrase("guard_unknown", "{guard} is no guard; guards are {names}")
NOT_FORCIBLE: Final = Phrase(
    "guard_not_forcible",
    "{guard} cannot be overruled, since mail could be lost that nobody hears of; these can be: {names}",
)

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
    #: The next step, and who takes it, in a sentence.
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
        raise SWITCH_UNKNOWN.error("switch", name=options.switch[:80], names=", ".join(sorted(known)))
    return checked(options)


def checked(options: CutoverOptions) -> CutoverOptions:
    """Returns the options. Raises `UsageError` for those that nobody may ask for."""
    if not options.switch:
        raise SWITCH_MISSING.error("switch")
    if not 30 <= options.synced_seconds <= 86_400:
        raise SYNCED_MINUTES.error("synced_minutes")
    if not 1 <= options.ttl_seconds <= 86_400:
        raise TTL.error("ttl")
    if not 0 < options.quiet_seconds <= 90 * 24 * _HOUR:
        raise QUIET_HOURS.error("quiet_hours")
    for domain in options.domains:
        if not 0 < len(domain) <= 253 or "@" in domain or not domain.isprintable() or " " in domain:
            raise NO_DOMAIN.error("domains", name=f"{domain[:80]!r}")
    return replace(options, domains=tuple(sorted({domain.lower().rstrip(".") for domain in options.domains})))


def may_cut_over(store: Store, import_: Import, wave: str) -> None:
    """Raises `UsageError` unless the wave, or "" for the import as a whole, may have a cutover."""
    named = [one.name for one in store.waves(import_.import_id) if one.name]
    if wave:
        wave_of(store, import_, wave)
    elif named:
        raise SAY_WAVE.error(name=import_.name, names=", ".join(named[:8]), wave=FieldName("wave"))


def start(cutovers: Cutovers, import_: Import, wave: str, options: CutoverOptions, *, who: str, at: float) -> Cutover:
    """Begins the cutover of a wave, or "" of the import as a whole. Raises `UsageError`."""
    may_cut_over(cutovers.store, import_, wave)
    kept = cutovers.one(import_.import_id, wave)
    before = kept.cutover
    if wave and (whole := cutovers.one(import_.import_id, "").cutover) and whole.state not in CUTOVER["start"]:
        raise WHOLE_CUT_OVER.error(name=import_.name, state=spoken(whole.state))
    if before is not None and before.state not in CUTOVER["start"]:
        raise HAS_CUTOVER.error(name=named(import_, wave), state=spoken(before.state))
    # A new mark would stand above the mail that is still to be brought back.
    if before and (number := _on_their_way_back(cutovers.store, before, cutovers.notes(import_.import_id, wave))):
        raise ON_THEIR_WAY_BACK.error(name=named(import_, wave), num=f"{number:,}")
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
            turning = bool(known.to) and (known.to != TurnedTo.OLD or not known.turned)
            number += (
                turning
                or to_bring_back(cutover, known)
                or (known.back == CopyBackState.BEGUN and not back_progress(store, mailbox).whole)
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
    view = _looked(cutovers, kept, at)
    try:
        state = CutoverState(advance("cutover", cutover.state, event))
    except IllegalTransition:
        raise NOT_NOW.error(
            name=named(import_, wave),
            state=spoken(cutover.state),
            act=event.replace("_", " "),
            what=view.next,
        ) from None
    overruled = _overruled(view, event, force, reason, who, at)
    if failing := [
        one for one in unmet(view.guards, needed(cutover, event)) if one.name not in {o.guard for o in overruled}
    ]:
        raise FaultsFound([NOT_YET.at(name=named(import_, wave)), *map(_waits, failing)])
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
            raise NO_GUARD.error("force", guard=f"{name[:40]!r}", names=guard_names(GUARDS))
        if name not in FORCIBLE:
            raise NOT_FORCIBLE.error("force", guard=name, names=guard_names(sorted(FORCIBLE)))
    if force and not reason.strip():
        raise REASON_MISSING.error("reason")
    wanted = {one.name for one in unmet(view.guards, needed(view.cutover, event))}
    return tuple(
        Overruled(guard=name, event=event, reason=reason.strip()[:_MOST_REASON], who=who, at=at)
        for name in dict.fromkeys(force)
        if name in wanted
    )


def _waits(guard: MeasuredGuard) -> Fault:
    return WAITS.at(guard=guard.name, value_cause=guard.value, waits_cause=guard.waits_for)


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
    begun = [mailbox for mailbox, known in view.mailboxes if known.back == CopyBackState.BEGUN]
    origin = store.import_(cutover.import_id)
    if cutover.state is not CutoverState.ROLLED_BACK or not begun or origin is None:
        return view
    return replace(view, back=wave_back(store, origin, begun))


def viewed(store: Store, cutover: Cutover, notes: Mapping[str, str], at: float) -> CutoverView:
    """Returns the cutover with its guards, as they are with these notes."""
    everyone = members(store, cutover.import_id, cutover.wave, notes)
    domains, switched = domains_of(cutover.options, everyone), cutover.state not in BEFORE_SWITCH
    paused = paused_of(store, cutover.import_id, cutover.wave)
    facts = facts_of(everyone, notes, domains, at, switched=switched, paused=paused)
    guards = measure(cutover.options, facts)
    known = [(one, decode_mailbox(notes.get(one.mailbox_id, ""))) for one in everyone]
    return CutoverView(
        cutover=cutover, guards=guards, next=next_step(cutover, guards, known, facts.domains), mailboxes=known
    )


def refused(view: CutoverView) -> int:
    """Counts the mailboxes that were not turned, or whose mail was not brought back, until a person acts."""
    turned = [one for _, one in view.mailboxes if one.to]
    return sum(one.answer == TurnAnswer.REFUSED or one.back == CopyBackState.REFUSED for one in turned)


def there(kept: KeptCutover, import_: Import, wave: str) -> Cutover:
    """Returns the cutover. Raises `UsageError` where there is none, or it was written without the key."""
    if kept.cutover is not None:
        return kept.cutover
    if kept.row:
        raise FOREIGN_CUTOVER.error(name=named(import_, wave))
    raise NO_CUTOVER.error(name=named(import_, wave))


def changed(import_: Import, wave: str) -> FaultsFound:
    """Returns the error for an act that came while somebody else changed the cutover."""
    return CHANGED.error(name=named(import_, wave))


def named(import_: Import, wave: str) -> str:
    """Returns the name of what is cut over in any language: "people/pilot"."""
    return f"{import_.name}/{wave}" if wave else import_.name


def called(import_: Import, wave: str) -> str:
    """Returns the name of what is cut over: "wave pilot of import people"."""
    return f"wave {wave} of import {import_.name}" if wave else f"import {import_.name}"


def spoken(state: CutoverState) -> str:
    """Returns a state for people."""
    return state.replace("_", " ")
