"""Acts on the waves that were ticked, each as it would be done alone."""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Form, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import StringConstraints

from producer.operations.acknowledged import together
from producer.web.api import steering_routes as counterpart
from producer.web.api.request_bodies import OneMailboxBody
from producer.web.pages import rehearsing
from producer.web.pages.changed import Changed, back, steered
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Actor
from producer.web.problems import Refused
from producer.web.security.access import Known
from shared.model.waves import MOST_NAME
from shared.wording.often_said import THERE_IS_NO_SUCH_THING_TO_DO

routes = page_routes()
#: The most waves that are acted on at once.
MOST_WAVES: Final = 500
WaveName = Annotated[str, StringConstraints(max_length=MOST_NAME)]
#: Act → what does it, on an import, a wave or a mailbox.
CONTROLS: Final = {"pause": counterpart.pause, "resume": counterpart.resume, "cancel": counterpart.cancel}


@routes.post("/imports/{import_id}/chosen-waves")
def chosen(
    request: Request,
    known: Known,
    who: Actor,
    import_id: str,
    act: Annotated[str, Form(max_length=10)] = "",
    wave: Annotated[list[WaveName], Form(max_length=MOST_WAVES)] = [],  # noqa: B006
    sure: Annotated[str, Form(max_length=5)] = "",
) -> Response:
    """Does an act on the waves that were ticked. A cancellation is asked about first."""
    there, waves = f"/imports/{import_id}", list(filter(None, wave))
    if act != "plan" and act not in CONTROLS:
        raise Refused(404, THERE_IS_NO_SUCH_THING_TO_DO.says())
    if not waves:
        return back(request, there, import_id, Changed(act="none"))
    if act == "cancel" and not sure:
        return RedirectResponse(f"{there}/cancel?{urlencode([('wave', one) for one in waves])}", 303)
    if act == "plan":
        begun = [rehearsing.begin(request, known, who, import_id, "plan", one) for one in waves]
        return begun[0] if len(begun) == 1 else RedirectResponse(there, 303)
    with together(known.operations):
        done = [CONTROLS[act](known, who, request, import_id, OneMailboxBody(wave=one)) for one in waves]
    request.app.state.glances.forget(import_id)
    return back(request, there, import_id, steered(act, *done))
