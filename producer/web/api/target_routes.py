"""Routes for administrators: who is told without looking, and what could not be delivered."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request

from producer.notices import listing
from producer.notices.sending import reach_of_notices
from producer.notices.setup import TargetAsked, target_of
from producer.operations.finding import find_import
from producer.web.api import admin_answers, answers
from producer.web.api.request_bodies import LostNoticesBody, TargetBody
from producer.web.problems import Refused
from producer.web.security.access import Admin, Known, noted
from shared.wording.phrases import Phrase

THERE_IS_NO_TARGET_WITH_THIS_ID: Final = Phrase("there_is_no_target_with_this_id", "there is no target with this id")

routes = APIRouter(route_class=answers.AnswerRoute)
TargetId = Annotated[str, Path(max_length=40)]


@routes.get("/targets", tags=["notices"], response_model=admin_answers.TargetsAnswer)
def targets(known: Known, _: Admin) -> dict[str, Any]:
    """Lists who is told, without secrets; with what is on its way and what could not be delivered."""
    return {
        "targets": [listing.target_fields(target) for target in known.targets.all()],
        "waiting": [listing.delivery_fields(one) for one in known.store.deliveries()],
        "undelivered": [listing.delivery_fields(one) for one in known.store.undelivered()],
    }


@routes.post("/targets", tags=["notices"], status_code=201, response_model=admin_answers.TargetAnswer)
def add_target(known: Known, who: Admin, request: Request, body: TargetBody) -> dict[str, Any]:
    """Has somebody told. A signing secret that was made (`secret`) is in this answer and nowhere else."""
    given = body.secret.get_secret_value()
    wanted = target_of(
        TargetAsked(
            way=body.way,
            to=body.to,
            server=body.server,
            login=body.login,
            secret=given,
            sender=body.sender,
            kinds=body.kinds,
            imports=[find_import(known.store, one).import_id for one in body.imports],
            language=body.language,
            zone=body.zone,
            digest=body.digest,
            logins=body.logins,
            guarded=True,
        )
    )
    with noted(
        known,
        request,
        who,
        "target set",
        way=wanted.way,
        to=wanted.shown,
        kinds=list(wanted.kinds),
        logins=wanted.logins,
    ):
        made = known.targets.add(wanted)
        shown = listing.target_fields(made)
        return shown | ({"secret": made.secret["secret"]} if made.way == "webhook" and not given else {})


@routes.delete("/targets/{target_id}", tags=["notices"], status_code=204)
def remove_target(known: Known, who: Admin, request: Request, target_id: TargetId) -> None:
    """Removes a target; what is on its way to it is not sent."""
    with noted(known, request, who, "target removed", target=target_id):
        if not known.targets.remove(target_id):
            raise Refused(404, THERE_IS_NO_TARGET_WITH_THIS_ID.says())


@routes.post("/targets/{target_id}/test", tags=["notices"], response_model=admin_answers.SentAnswer)
def try_target(known: Known, who: Admin, request: Request, target_id: TargetId) -> dict[str, Any]:
    """Sends a test message now. `why` says why it was not sent; it is empty when it was."""
    with noted(known, request, who, "target tried", target=target_id):
        found = [target for target in known.targets.all() if target.target_id == target_id]
        if not found:
            raise Refused(404, THERE_IS_NO_TARGET_WITH_THIS_ID.says())
        settings = known.settings
        why = listing.tried(known.store, found[0], reach_of_notices(settings))
        return {"sent": not why, "why": why}


@routes.post("/targets/retry", tags=["notices"], response_model=admin_answers.NoticesAnswer)
def retry_undelivered(known: Known, who: Admin, request: Request, body: LostNoticesBody) -> dict[str, Any]:
    """Has what could not be delivered tried again for a day, or forgotten (`drop`)."""
    with noted(known, request, who, "notices dropped" if body.drop else "notices retried"):
        return {"notices": listing.sent_again(known.store, drop=body.drop)}
