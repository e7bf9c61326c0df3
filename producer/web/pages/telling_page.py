"""The page of who is told without looking: a list, a form, a test message."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import SecretStr, ValidationError

from producer.notices.setup import CHOSEN
from producer.web.api import target_routes as counterpart
from producer.web.api.request_bodies import LostNoticesBody, TargetBody
from producer.web.pages.drawing import draw
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Chief
from producer.web.problems import Refused
from producer.web.security.access import Known
from shared.model.errors import UsageError
from shared.store.records.principals import Principal
from shared.store.records.targets import WAYS
from shared.wording.often_said import THERE_IS_NO_SUCH_THING_TO_DO
from shared.wording.phrases import Phrase

LOOK_AT_FIELDS_AGAIN: Final = Phrase("look_at_fields_again", "look at the fields again: one of them cannot be so")

routes = page_routes()
_NOTHING: Final = SecretStr("")
_Text = Annotated[str, Form(max_length=2000)]


@routes.get("/targets")
def all_targets(request: Request, known: Known, who: Chief) -> Response:
    """Shows who is told, and a form for one more."""
    return _drawn(request, known, who)


@routes.post("/targets")
def add(
    request: Request,
    known: Known,
    who: Chief,
    way: _Text = "",
    to: _Text = "",
    server: _Text = "",
    login: _Text = "",
    secret: Annotated[SecretStr, Form(max_length=2000)] = _NOTHING,
    sender: _Text = "",
    kinds: Annotated[list[str], Form(max_length=20)] = [],  # noqa: B006
    language: _Text = "en",
    zone: _Text = "UTC",
    digest: _Text = "",
    logins: Annotated[bool, Form()] = False,
) -> Response:
    """Sets up a target."""
    try:
        body = TargetBody.model_validate(
            {
                "way": way,
                "to": to,
                "server": server,
                "login": login,
                "secret": secret,
                "sender": sender,
                "kinds": kinds,
                "language": language,
                "zone": zone or "UTC",
                "digest": digest,
                "logins": logins,
            }
        )
        made = counterpart.add_target(known, who, request, body)
    except ValidationError:
        return _drawn(request, known, who, 422, fault=LOOK_AT_FIELDS_AGAIN.says())
    except UsageError as error:
        return _drawn(request, known, who, 422, fault=error)
    if "secret" in made:
        return _drawn(request, known, who, secret=made["secret"])
    return RedirectResponse("/targets", 303)


@routes.post("/targets/{target_id}/{action}")
def act(request: Request, known: Known, who: Chief, target_id: str, action: str) -> Response:
    """Tries or removes a target, or has what could not be delivered tried again."""
    match action:
        case "test":
            answer = counterpart.try_target(known, who, request, target_id[:40])
            return _drawn(request, known, who, tried=target_id, why=answer["why"])
        case "remove":
            counterpart.remove_target(known, who, request, target_id[:40])
        case "retry" | "drop":
            counterpart.retry_undelivered(known, who, request, LostNoticesBody(drop=action == "drop"))
        case _:
            raise Refused(404, THERE_IS_NO_SUCH_THING_TO_DO.says())
    return RedirectResponse("/targets", 303)


def _drawn(
    request: Request,
    known: Known,
    who: Principal,
    status: int = 200,
    *,
    fault: str | Exception = "",
    secret: str = "",
    tried: str = "",
    why: str = "",
) -> Response:
    return draw(
        request,
        "targets.html",
        who,
        status,
        targets=known.targets.all(),
        lost=known.store.undelivered(),
        waiting=known.store.deliveries(),
        ways=WAYS,
        kinds=CHOSEN,
        fault=fault,
        secret=secret,
        tried=tried,
        why=why,
    )
