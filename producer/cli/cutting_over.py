"""The verbs of cutover."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from producer.cli.acts import Acts
from producer.cli.asking import agreed
from producer.cli.command_context import CommandContext, open_context
from producer.cli.verb import COMPLETE, INCOMPLETE, say, show
from producer.cutover import acts, planning
from producer.cutover.dns_records import DnsRecords
from producer.operations.finding import find_import
from producer.show.cutover_lines import cutover_fields, cutover_lines, guard_lines, to_do_lines
from producer.show.lines import spoken_mailboxes
from shared.model import Import
from shared.model.cutover import CutoverOptions
from shared.runtime.logs import clean
from shared.switching.configured import open_switch, switches, turned_by_hand

#: Event → what is asked before it is sent.
_QUESTIONS: Final = {
    "switch": "turn {mailboxes} of {what} to the new server?",
    "rollback": "turn {mailboxes} of {what} back to the old server, and bring back what came to the new one?",
    "close": "end the cutover of {what}? What still comes to the old server is not copied any more",
    "give_up": "give up the cutover of {what}? Nothing was switched",
}


def options(switch: str, synced_minutes: float, ttl: int, quiet_hours: float, domains: Sequence[str]) -> CutoverOptions:
    """Returns the options of a cutover as the command line gives them."""
    return CutoverOptions(
        switch=switch,
        synced_seconds=synced_minutes * 60,
        ttl_seconds=ttl,
        quiet_seconds=quiet_hours * 3600,
        domains=tuple(domains),
    )


def run_plan(which: str, wave: str, wanted: CutoverOptions, *, as_json: bool, state_dir: Path | None) -> int:
    """Rehearses a cutover."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        wanted = acts.with_switch(wanted, switches(context.settings))
        settings, dns, at = context.settings, DnsRecords(context.settings.dns_resolver or ""), time.time()
        found = planning.plan(
            context.store,
            import_,
            wave,
            wanted,
            open_switch=lambda name: open_switch(settings, name),
            ask=dns.ask,
            at=at,
        )
    view = found.view
    if as_json:
        fields = cutover_fields(view, at) | {"taken_along": found.taken_along, "no_way_back": found.no_way_back}
        fields["renamed"] = found.renamed
        print(json.dumps(fields, ensure_ascii=False, indent=2), flush=True)
    else:
        show(
            f"{clean(acts.called(import_, wave))}: a cutover by the switch {clean(wanted.switch)}; nothing was changed"
        )
        for name in ("copied", "synced", "switch", "ttl"):
            for line in guard_lines(view.guards[name]):
                show(line)
        if turned_by_hand(settings, wanted.switch):
            for line in to_do_lines(view):
                show(line)
        for domain, others in found.taken_along.items():
            show(f"  the switch turns {clean(domain)} as a whole: {spoken_mailboxes(others)} outside of the wave too")
        if renamed := found.renamed:
            first = ", ".join(f"{clean(old)}, there {clean(new)}" for old, new in renamed[:3]) + (
                " …" if renamed[3:] else ""
            )
            show(
                f"  another address at the new server for {spoken_mailboxes(len(renamed))}: the switch turns the address at the "
                f"old one ({first})"
            )
        if some := found.no_way_back:
            first = ", ".join(map(clean, some[:3])) + (" …" if some[3:] else "")
            show(
                f"  no way back for {spoken_mailboxes(len(some))}: a source that speaks POP3 takes no mail, so what comes to "
                f"the new server stays there ({first})"
            )
    return COMPLETE if view.guards["switch"].met else INCOMPLETE


def run_start(which: str, wave: str, wanted: CutoverOptions, *, state_dir: Path | None) -> int:
    """Begins a cutover."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        wanted = acts.with_switch(wanted, switches(context.settings))
        Acts(context).start_cutover(import_, wave, wanted)
        say(f"{clean(acts.called(import_, wave))}: its cutover is begun; see: mailhaul cutover status")
        _nobody(context)
    return COMPLETE


def run_status(which: str, wave: str, *, as_json: bool, state_dir: Path | None) -> int:
    """Shows the cutovers of an import."""
    at = time.time()
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        cutovers = context.operations.cutovers
        found = [acts.look(cutovers, import_, wave, at)] if wave else acts.look_at_all(cutovers, import_, at)
        settings = context.settings
    if as_json:
        print(json.dumps([cutover_fields(view, at) for view in found], ensure_ascii=False, indent=2), flush=True)
    elif not found:
        say(f"import {clean(import_.name)}: it has no cutover; begin one with: mailhaul cutover start")
    for view in [] if as_json else found:
        by_hand = turned_by_hand(settings, view.cutover.options.switch)
        for line in cutover_lines(import_, view, at, by_hand=by_hand):
            show(line)
    return COMPLETE


def run_event(
    event: str, which: str, wave: str, force: Sequence[str], reason: str, *, sure: bool, state_dir: Path | None
) -> int:
    """Sends an event of a person, after a question unless `sure`. Raises `UsageError` where nobody can be asked."""
    with open_context(state_dir, make=False) as context:
        import_ = find_import(context.store, which)
        view = acts.look(context.operations.cutovers, import_, wave, time.time())
        sent = acts.end_of(view.cutover.state) if event == "close" else event
        if not sure and not agreed(_question(sent, import_, wave, len(view.mailboxes)), f"cutover {event}"):
            say("nothing was changed")
            return COMPLETE
        after = Acts(context).cutover_event(import_, wave, sent, force=force, reason=reason)
        say(f"{clean(acts.called(import_, wave))}: {acts.spoken(after.state)}; see: mailhaul cutover status")
        if event == "switch" and turned_by_hand(context.settings, after.options.switch):
            for line in to_do_lines(replace(view, cutover=after)):
                say(line.strip())
        _nobody(context)
    return COMPLETE


def _question(event: str, import_: Import, wave: str, mailboxes: int) -> str:
    return _QUESTIONS[event].format(mailboxes=spoken_mailboxes(mailboxes), what=clean(acts.called(import_, wave)))


def _nobody(context: CommandContext) -> None:
    if nobody := context.nobody_works():
        say(nobody)
