"""Routes of cutovers: rehearse, begin, look, and send the events of a person."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from producer.cutover import acts, planning
from producer.cutover.dns_records import DnsRecords
from producer.show.cutover_lines import cutover_fields
from producer.web.api import answers, cutover_answers
from producer.web.api.body import Body
from producer.web.problems import Refused
from producer.web.security.access import Known, Operator, Viewer, noted
from producer.web.web_context import WebContext
from shared.model.cutover import CutoverOptions
from shared.model.waves import MOST_NAME
from shared.store.records.principals import Principal, Role
from shared.switching.configured import open_switch, switches, turned_by_hand
from shared.wording.often_said import NEEDS_ROLE

routes = APIRouter(route_class=answers.AnswerRoute, prefix="/imports/{import_id}/cutovers", tags=["cutovers"])

_Wave = Annotated[str, Field(max_length=MOST_NAME, description='The wave; "" for the import as a whole.')]


class CutoverBody(Body):
    """The cutover that is to be begun or rehearsed."""

    wave: _Wave = ""
    switch: str = Field(
        default="", max_length=80, description="A switch of MAILHAUL_SWITCHES; not needed where there is one."
    )
    synced_minutes: float = Field(default=30, ge=0.5, le=1440, description="A mailbox further behind is not in sync.")
    ttl: int = Field(default=300, ge=1, le=86_400, description="The longest TTL of MX and SPF, seconds.")
    quiet_hours: float = Field(default=24, gt=0, le=2160, description="So long without new mail at the source.")
    domains: list[Annotated[str, Field(max_length=253)]] = Field(
        default=[], max_length=50, description="The mail domains; without them those of the logins."
    )

    @property
    def options(self) -> CutoverOptions:
        """The options of the cutover."""
        return CutoverOptions(
            switch=self.switch,
            synced_seconds=self.synced_minutes * 60,
            ttl_seconds=self.ttl,
            quiet_seconds=self.quiet_hours * 3600,
            domains=tuple(self.domains),
        )


class CutoverEventBody(Body):
    """An event of a person, and the guards that are overruled for it."""

    wave: _Wave = ""
    force: list[Literal["synced", "ttl", "quiet"]] = Field(default=[], description="Guards that are overruled.")
    reason: str = Field(default="", max_length=200, description="Why; stands in the audit log.")


class CutoverRollbackBody(Body):
    """A cutover that is to be rolled back."""

    wave: _Wave = ""


@routes.get("", response_model=cutover_answers.CutoversAnswer)
def cutovers(
    known: Known,
    _: Viewer,
    import_id: str,
    wave: Annotated[str, Query(max_length=MOST_NAME, description="Only the cutover of this wave.")] = "",
) -> dict[str, Any]:
    """Lists the cutovers, each with its guards and their values."""
    found, at = known.import_(import_id), time.time()
    if wave:
        views = [acts.look(known.operations.cutovers, found, wave, at)]
    else:
        views = acts.look_at_all(known.operations.cutovers, found, at)
    return {"cutovers": [cutover_fields(view, at) for view in views]}


@routes.post("/plan", response_model=cutover_answers.CutoverPlanAnswer)
def plan(known: Known, _: Operator, import_id: str, body: CutoverBody) -> dict[str, Any]:
    """Asks the switch and the DNS as a cutover would. Changes nothing."""
    found, at, settings = known.import_(import_id), time.time(), known.settings
    wanted = acts.with_switch(body.options, switches(settings))
    rehearsed = planning.plan(
        known.store,
        found,
        body.wave,
        wanted,
        open_switch=lambda name: open_switch(settings, name),
        ask=DnsRecords(settings.dns_resolver or "").ask,
        at=at,
        most_seconds=planning.MOST_SECONDS,
    )
    more = {"taken_along": rehearsed.taken_along, "no_way_back": rehearsed.no_way_back, "renamed": rehearsed.renamed}
    return cutover_fields(rehearsed.view, at) | more


@routes.post("", status_code=201, response_model=cutover_answers.CutoverAnswer)
def start(known: Known, who: Operator, request: Request, import_id: str, body: CutoverBody) -> dict[str, Any]:
    """Begins a cutover: the coordinator rehearses, and keeps the mailboxes in sync."""
    begun(known, who, request, import_id, body.wave, body.options)
    return _one(known, import_id, body.wave)


#: The events of a person by which people are turned, or no longer turned; they need what `may_turn` says.
TURNING: Final = frozenset({"switch", "rollback", "close", "give_up"})


def turns(known: WebContext, who: Principal, switch: str) -> bool:
    """Tells whether this principal may turn people with the switch.

    An operator may only where a person turns them by hand. An operator names the servers and the logins of an import,
    and to turn people is to decide where others' mail and passwords go.
    """
    if who.role >= Role.ADMIN:
        return True
    return turned_by_hand(known.settings, switch)


def may_turn(known: WebContext, who: Principal, switch: str) -> None:
    """Raises `Refused` for a principal that may not turn people with the switch."""
    if not turns(known, who, switch):
        raise Refused(403, NEEDS_ROLE.says(role=Role.ADMIN.word, own_role=who.role.word))


def begun(
    known: WebContext, who: Principal, request: Request, import_id: str, wave: str, options: CutoverOptions
) -> None:
    """Begins a cutover. Raises `UsageError`."""
    found = known.import_(import_id)
    with noted(known, request, who, "cutover begun", import_id=import_id, wave=wave, switch=options.switch):
        wanted = acts.with_switch(options, switches(known.settings))
        may_turn(known, who, wanted.switch)
        known.operations.start_cutover(found, wave, wanted, who=who.name, at=time.time())


def sent(
    known: WebContext,
    who: Principal,
    request: Request,
    import_id: str,
    wave: str,
    event: str,
    force: tuple[str, ...] = (),
    reason: str = "",
) -> None:
    """Sends an event of a person. Raises `UsageError`."""
    found, at = known.import_(import_id), time.time()
    cutover = acts.there(known.operations.cutovers.one(import_id, wave), found, wave)
    if event == "close":
        event = acts.end_of(cutover.state)
    asked = {"forced": list(force), "reason": reason} if force else {}
    with noted(known, request, who, f"cutover {event.replace('_', ' ')}", import_id=import_id, wave=wave, **asked):
        if event in TURNING:
            may_turn(known, who, cutover.options.switch)
        known.operations.send_to_cutover(found, wave, event, who=who.name, at=at, force=force, reason=reason)


@routes.post("/announce", response_model=cutover_answers.CutoverAnswer)
def announce(known: Known, who: Operator, request: Request, import_id: str, body: CutoverEventBody) -> dict[str, Any]:
    """Says that the people of the wave know of the switch."""
    sent(known, who, request, import_id, body.wave, "announce", tuple(body.force), body.reason)
    return _one(known, import_id, body.wave)


@routes.post("/switch", response_model=cutover_answers.CutoverAnswer)
def switch(known: Known, who: Operator, request: Request, import_id: str, body: CutoverEventBody) -> dict[str, Any]:
    """Turns every mailbox to the new server; again: what the switch refused before."""
    sent(known, who, request, import_id, body.wave, "switch", tuple(body.force), body.reason)
    return _one(known, import_id, body.wave)


@routes.post("/rollback", response_model=cutover_answers.CutoverAnswer)
def rollback(
    known: Known, who: Operator, request: Request, import_id: str, body: CutoverRollbackBody
) -> dict[str, Any]:
    """Turns every mailbox back to the old server, and brings back the mail that came to the new one."""
    sent(known, who, request, import_id, body.wave, "rollback")
    return _one(known, import_id, body.wave)


@routes.post("/close", response_model=cutover_answers.CutoverAnswer)
def close(known: Known, who: Operator, request: Request, import_id: str, body: CutoverEventBody) -> dict[str, Any]:
    """Ends a cutover: nothing is copied any more. Before the switch it is given up."""
    sent(known, who, request, import_id, body.wave, "close", tuple(body.force), body.reason)
    return _one(known, import_id, body.wave)


def _one(known: WebContext, import_id: str, wave: str) -> dict[str, Any]:
    at = time.time()
    return cutover_fields(acts.look(known.operations.cutovers, known.import_(import_id), wave, at), at)
