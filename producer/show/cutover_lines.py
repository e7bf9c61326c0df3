"""Shows cutovers: lines for people, fields for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from producer.cutover.acts import CutoverView, called, spoken
from producer.cutover.guards import span
from producer.cutover.measured import MeasuredGuard
from producer.cutover.telling import MEANINGS, back_words, not_back
from shared.model import Import
from shared.model.cutover import BEFORE_SWITCH, FORCIBLE
from shared.model.lifecycle import CutoverState
from shared.runtime.logs import clean

#: Those whom a guard waits for that are named, at most.
_NAMED: Final = 10


def shown_guards(view: CutoverView) -> list[MeasuredGuard]:
    """Returns the guards that matter in the cutover's state."""
    before = view.cutover.state in BEFORE_SWITCH
    names = ("copied", "synced", "switch", "ttl") if before else ("copied", "turned", "ttl", "quiet", "empty")
    return [view.guards[name] for name in names if name in view.guards]


def overruled_words(view: CutoverView, name: str) -> tuple[str, str] | None:
    """Returns who overruled this guard last, and why; None when nobody did."""
    found = [one for one in view.cutover.overruled if one.guard == name]
    return (found[-1].who, found[-1].reason) if found else None


def to_do(view: CutoverView) -> list[str]:
    """Returns what the switch says of the mailboxes, each once: where a person turns them, it says what to change."""
    if view.cutover.state is CutoverState.CLOSED:
        return []
    return list(dict.fromkeys(known.words for _, known in view.mailboxes if known.turned and known.words))


def to_do_lines(view: CutoverView) -> Iterator[str]:
    """Yields what a person changes by hand."""
    when = "when it is switched" if view.cutover.state in BEFORE_SWITCH else "now"
    found = to_do(view)
    for words in found[:_NAMED]:
        yield f"  to do {when}: {clean(words)}"
    if more := found[_NAMED:]:
        yield f"  … and {len(more):,} more: mailhaul cutover status --json"


def under_way_line(view: CutoverView, at: float) -> str:
    """Returns a cutover in one line, "" for one that is over."""
    cutover = view.cutover
    if cutover.state is CutoverState.CLOSED:
        return ""
    what = f"cutover of wave {clean(cutover.wave)}" if cutover.wave else "cutover"
    return f"{what}: {spoken(cutover.state)} for {span(at - cutover.since)}; next: {clean(view.next)}"


def cutover_lines(import_: Import, view: CutoverView, at: float, *, by_hand: bool = False) -> Iterator[str]:
    """Yields a cutover with its guards, for a terminal. `by_hand` tells whether a person turns its mailboxes."""
    cutover = view.cutover
    since = span(at - cutover.since)
    what = called(import_, cutover.wave)
    yield f"{clean(what)}: {spoken(cutover.state)} for {since}: {MEANINGS[cutover.state]}"
    yield f"  next: {clean(view.next)}"
    if by_hand:
        yield from to_do_lines(view)
    if cutover.state is CutoverState.ROLLED_BACK:
        if view.back:
            yield f"  back: {back_words(view.back)}"
        for login, why in [*not_back(view.mailboxes), *(view.back.stopped if view.back else ())]:
            yield f"  not back: {clean(login)}: {clean(why)}"
    elif cutover.state is not CutoverState.CLOSED:
        for guard in shown_guards(view):
            yield from guard_lines(guard, overruled_words(view, guard.name))


def guard_lines(guard: MeasuredGuard, overruled: tuple[str, str] | None = None) -> Iterator[str]:
    """Yields a guard with its value, what it waits for, and for whom."""
    yield f"  {'ok ' if guard.met else 'not'} {guard.name:<7} {clean(guard.value)}"
    if not guard.met:
        force = f" (or --force {guard.name} --reason …)" if guard.name in FORCIBLE else ""
        yield f"              waits for: {clean(guard.waits_for)}{force}"
    for one, value in guard.who[:_NAMED]:
        yield f"              {clean(one)}: {clean(value)}"
    if more := guard.who[_NAMED:]:
        yield f"              … and {len(more):,} more: mailhaul cutover status --json"
    if overruled:
        yield f"              overruled by {clean(overruled[0])}: {clean(overruled[1])}"


def cutover_fields(view: CutoverView, at: float) -> dict[str, Any]:
    """Returns a cutover as the API and `--json` give it."""
    cutover, options = view.cutover, view.cutover.options
    return {
        "import_id": cutover.import_id,
        "wave": cutover.wave,
        "state": str(cutover.state),
        "since": cutover.since,
        "meaning": MEANINGS[cutover.state],
        "next": view.next,
        "options": {
            "switch": options.switch,
            "synced_minutes": options.synced_seconds / 60,
            "ttl": options.ttl_seconds,
            "quiet_hours": options.quiet_seconds / 3600,
            "domains": list(options.domains),
        },
        "guards": [
            {
                "guard": guard.name,
                "met": guard.met,
                "value": guard.value,
                "number": guard.number,
                "waits_for": guard.waits_for,
                "who": [{"name": one, "value": value} for one, value in guard.who],
                "forcible": guard.forcible,
            }
            for guard in view.guards.values()
        ],
        "overruled": [
            {"guard": one.guard, "event": one.event, "reason": one.reason, "who": one.who, "at": one.at}
            for one in cutover.overruled
        ],
        "back": None
        if view.back is None
        else {
            "mailboxes": view.back.mailboxes,
            "whole": view.back.whole,
            "messages": view.back.messages,
            "pending": view.back.pending,
            "failed": view.back.failed,
            "stopped": [{"name": one, "value": why} for one, why in view.back.stopped],
        },
        "steps": [{"state": str(step.state), "at": step.at, "who": step.who} for step in cutover.steps],
        "mailboxes": [
            {
                "login": mailbox.source.login,
                "to": known.to,
                "answer": known.answer,
                "words": known.words,
                "at": known.at,
                "brought_back": known.back,
                "synced_at": mailbox.synced_at,
                "mail_at": mailbox.mail_at,
            }
            for mailbox, known in view.mailboxes
        ],
    }
