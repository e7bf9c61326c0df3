"""The page's part of cutovers: begins one, rehearses one, and asks before an event is sent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

from fastapi import Form, Query, Request
from fastapi.responses import Response

from producer.cutover import acts, planning
from producer.cutover.dns_records import DnsRecords
from producer.cutover.guards import needed, unmet
from producer.show.cutover_lines import shown_guards, to_do
from producer.translations.said import CUTOVER_ACTS
from producer.web.api import cutover_routes as counterpart
from producer.web.pages.changed import Changed, back
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Actor
from producer.web.problems import Refused
from producer.web.security.access import Known
from producer.web.web_context import WebContext
from shared.model.cutover import BEFORE_SWITCH, Cutover, CutoverOptions
from shared.model.errors import UsageError
from shared.model.lifecycle import CutoverState
from shared.model.waves import MOST_NAME
from shared.store.records.principals import Principal
from shared.switching.configured import open_switch, switches, turned_by_hand
from shared.wording.often_said import THERE_IS_NO_SUCH_THING_TO_DO

routes = page_routes()
_Wave = Annotated[str, Form(max_length=MOST_NAME)]


def acts_for(known: WebContext) -> Callable[[Cutover, Principal], list[tuple[str, str]]]:
    """Returns what tells the (event, label) pairs of the events that a reader may send to a cutover as it is."""

    def told(cutover: Cutover, who: Principal) -> list[tuple[str, str]]:
        may = counterpart.turns(known, who, cutover.options.switch)
        return [(event, label) for event, label in _acts(cutover.state) if may or event not in counterpart.TURNING]

    return told


def by_hand_of(known: WebContext) -> Callable[[acts.CutoverView], list[str]]:
    """Returns what tells what a person changes by hand for a cutover; nothing where a switch turns the mailboxes."""

    def told(view: acts.CutoverView) -> list[str]:
        return to_do(view) if turned_by_hand(known.settings, view.cutover.options.switch) else []

    return told


def _acts(state: CutoverState) -> list[tuple[str, str]]:
    found = {
        CutoverState.STAGING: ["announce"],
        CutoverState.SYNCED: ["announce"],
        CutoverState.ANNOUNCED: ["switch"],
        CutoverState.SWITCHED: ["switch", "rollback"],
        CutoverState.DRAINING: ["close", "switch", "rollback"],
        CutoverState.ROLLED_BACK: ["rollback"],
    }.get(state, [])
    return [(event, CUTOVER_ACTS[event]) for event in [*found, *(["give_up"] if state in BEFORE_SWITCH else [])]]


def known_switches(known: WebContext, who: Principal) -> tuple[list[str], bool]:
    """Returns the switches of the settings that the reader may choose, and whether they may begin a cutover with them.

    An operator begins those that a person turns by hand, where there are some; the others are rehearsed.
    """
    try:
        every = sorted(switches(known.settings))
    except UsageError:
        return [], False
    mine = [name for name in every if counterpart.turns(known, who, name)]
    return mine or every, bool(mine)


@routes.post("/imports/{import_id}/cutovers")
def begin(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    wave: _Wave = "",
    switch: Annotated[str, Form(max_length=80)] = "",
    synced_minutes: Annotated[float, Form()] = 30,
    ttl: Annotated[int, Form()] = 300,
    quiet_hours: Annotated[float, Form()] = 24,
    domains: Annotated[str, Form(max_length=1000)] = "",
    act: Annotated[str, Form(max_length=10)] = "plan",
) -> Response:
    """Begins a cutover, or shows what its rehearsal found."""
    options = CutoverOptions(
        switch=switch,
        synced_seconds=synced_minutes * 60,
        ttl_seconds=ttl,
        quiet_seconds=quiet_hours * 3600,
        domains=tuple(domains.replace(",", " ").split()),
    )
    found, wave = known.import_(import_id), wave.strip()
    if act == "start":
        counterpart.begun(known, who, request, import_id, wave, options)
        return _done(request, import_id)
    settings = known.settings
    rehearsed = planning.plan(
        known.store,
        found,
        wave,
        acts.with_switch(options, switches(settings)),
        open_switch=lambda name: open_switch(settings, name),
        ask=DnsRecords(settings.dns_resolver or "").ask,
        at=time.time(),
        most_seconds=planning.MOST_SECONDS,
    )
    return draw(
        request,
        "cutover_plan.html",
        who,
        import_=found,
        wave=wave,
        view=rehearsed.view,
        guards=shown_guards(rehearsed.view),
        by_hand=by_hand_of(known)(rehearsed.view),
        taken_along=rehearsed.taken_along,
        no_way_back=len(rehearsed.no_way_back),
        renamed=len(rehearsed.renamed),
    )


@routes.get("/imports/{import_id}/cutovers/{event}")
def ask(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    event: str,
    wave: Annotated[str, Query(max_length=MOST_NAME)] = "",
) -> Response:
    """Shows the question before an event, with the guards that are not met."""
    if event not in CUTOVER_ACTS:
        raise Refused(404, THERE_IS_NO_SUCH_THING_TO_DO.says())
    found = known.import_(import_id)
    view = acts.look(known.operations.cutovers, found, wave, time.time())
    if event in counterpart.TURNING:
        counterpart.may_turn(known, who, view.cutover.options.switch)
    missing = unmet(view.guards, needed(view.cutover, event))
    return draw(
        request,
        "cutover.html",
        who,
        import_=found,
        wave=wave,
        event=event,
        label=CUTOVER_ACTS[event],
        by_hand=by_hand_of(known)(view) if event == "switch" else [],
        view=view,
        missing=missing,
        may=all(one.forcible for one in missing),
        mailboxes=len(view.mailboxes),
    )


@routes.post("/imports/{import_id}/cutovers/{event}")
def act(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    event: str,
    wave: _Wave = "",
    force: Annotated[list[str] | None, Form()] = None,
    reason: Annotated[str, Form(max_length=200)] = "",
) -> Response:
    """Sends an event, once the question was answered."""
    if event not in CUTOVER_ACTS:
        raise Refused(404, THERE_IS_NO_SUCH_THING_TO_DO.says())
    counterpart.sent(known, who, request, import_id, wave, event, tuple(force or ()), reason)
    return _done(request, import_id)


def _done(request: Request, import_id: str) -> Response:
    request.app.state.glances.forget(import_id)
    return back(request, f"/imports/{import_id}", import_id, Changed(act="cutover"))
