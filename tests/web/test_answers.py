"""Tests that each answer of the API is described, field by field, in its OpenAPI document, and says times as ISO 8601."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from producer.web.api import admin_answers
from producer.web.api.answers import Answer, AnswerRoute, Moment
from producer.web.app import make_app
from producer.web.web_context import WebContext
from shared.runtime.config import load_settings
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed, ends

Servers = tuple[Dovecot, Dovecot]
#: Moments as numbers: seconds since the epoch of our times.
EPOCH = range(1_700_000_000, 4_000_000_000)


def _document() -> dict[str, Any]:
    return make_app(cast(WebContext, SimpleNamespace(settings=load_settings()))).openapi()


def _undescribed(found: object, place: str) -> Iterator[str]:
    """Yields the fields of a validated answer that its model does not have, and times that are numbers."""
    if isinstance(found, BaseModel):
        yield from (f"{place}.{name}" for name in found.model_extra or ())
        for name in type(found).model_fields:
            yield from _undescribed(getattr(found, name), f"{place}.{name}")
    elif isinstance(found, dict):
        for name, value in found.items():
            yield from _undescribed(value, f"{place}.{name}")
    elif isinstance(found, (list, tuple)):
        for one in found:
            yield from _undescribed(one, f"{place}[]")
    elif isinstance(found, float) and int(found) in EPOCH:
        yield f"{place} is a time"


def test_no_operation_answers_with_just_any_object() -> None:
    bare = [
        f"{method.upper()} {path}"
        for path, item in _document()["paths"].items()
        for method, operation in item.items()
        for code, answer in operation["responses"].items()
        for media, content in answer.get("content", {}).items()
        if code[0] == "2" and media == "application/json" and "$ref" not in content["schema"]
    ]
    assert bare == []


def test_an_undescribed_field_or_time_is_found() -> None:
    """The control."""
    found = admin_answers.FindingAnswer.model_validate({"verdict": "ok", "sentence": "x", "more": 1})
    assert list(_undescribed([found, {"at": 1_800_000_000.5}], "it")) == ["it[].more", "it[].at is a time"]


class _Seen(Answer):
    at: Moment


@pytest.mark.parametrize("odd", [float("inf"), float("nan"), 1e300, 1e17, -1e17])
def test_a_number_that_no_year_has_is_no_fault_of_the_asker(odd: float) -> None:
    routes = APIRouter(route_class=AnswerRoute)
    body = {"at": odd, "made_at": 1_800_000_000, "rows": [{"until": 1.5, "share": float("inf"), "run_at": True}]}
    routes.add_api_route("/odd", lambda: body, response_model=_Seen)
    routes.add_api_route("/usual", lambda: {"at": 1_800_000_000}, response_model=_Seen)
    app = FastAPI()
    app.include_router(routes)

    async def asked(path: str) -> httpx2.Response:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as client:
            return await client.get(path)

    rows = [{"until": "1970-01-01T00:00:01.500000Z", "share": None, "run_at": True}]
    found = asyncio.run(asked("/odd"))
    assert (found.status_code, found.json()) == (200, {"at": None, "made_at": "2027-01-15T08:00:00Z", "rows": rows})
    assert asyncio.run(asked("/usual")).json() == {"at": "2027-01-15T08:00:00Z"}  # the control


@pytest.fixture
def whole(web_server: WebServer, servers: Servers) -> tuple[WebServer, str]:
    """Runs an import with one mailbox that is copied and one whose password is wrong; returns its id."""
    source = servers[0]
    for server in servers:
        server.add_user("answers1", PASSWORD)
    mail.populate(source.host, source.port, "answers1", PASSWORD, mail.make_mailbox(1, {"INBOX": 2, "Sent": 1}))
    web_server.serve(**allowed(servers))
    api = web_server.client("admin")
    sheet = f"login,password,wave\nanswers1,{PASSWORD},pilot\nanswers2,wrong,rest\n"
    opened = api.post("/imports", json={"name": "answers", "manifest": sheet, **ends(servers)})
    there = opened.json()["import"]["id"]
    for kind in ("check", "plan"):
        begun = api.post(f"/imports/{there}/rehearsals", json={"kind": kind}).json()["id"]
        await_ready(lambda begun=begun: api.get(f"/rehearsals/{begun}").json()["state"] == "done", 180)
    web_server.crew()
    api.post(f"/imports/{there}/start")
    await_ready(lambda: api.get(f"/imports/{there}").json()["state"] == "finished", 180, "the end")
    return web_server, there


def test_every_answer_is_described_and_says_times_as_iso_8601(whole: tuple[WebServer, str], servers: Servers) -> None:
    web_server, there = whole
    api = web_server.client("admin")
    web_server.signed_in("admin")
    place = f"/imports/{there}"
    acts: list[tuple[str, str, Any]] = [
        ("POST", f"{place}/forecast", None),
        ("PUT", f"{place}/waves", {"wave": "pilot", "starts_at": "2999-01-01T00:00:00Z"}),
        ("PUT", f"{place}/standing", {"wave": "pilot", "least_seconds": 30}),
        ("PUT", f"{place}/standing", {"wave": "pilot", "off": True}),
        ("POST", f"{place}/retry", {}),
        ("POST", f"{place}/pause", {}),
        ("POST", f"{place}/resume", {}),
        ("POST", f"{place}/move", {"login": "answers2", "wave": "pilot"}),
        ("POST", f"{place}/credentials", {"manifest": f"login,password\nanswers2,{PASSWORD}\nnobody,x\n"}),
        ("POST", "/manifests", {"manifest": "login,password\na,b\nc,\n"}),
        ("POST", "/detect", {"address": "anna@gmail.com", "offline": True}),
        ("PUT", "/limits/source_host", {"most": 4}),
        ("PUT", "/users/answers", {"password": "a long password it is", "role": "viewer"}),
        ("POST", "/tokens", {"name": "answers", "role": "viewer", "expires": "90d"}),
        ("POST", "/targets", {"way": "webhook", "to": "https://hooks.example/x"}),
        ("PUT", "/reach/10.1.2.3", None),
    ]
    rehearsals = [one["id"] for one in api.get(f"{place}/rehearsals").json()["rehearsals"]]
    boxes = [box["id"] for box in api.get(f"{place}/mailboxes").json()["mailboxes"]]
    seen = ["imports", "limits", "providers", "providers/gmail", "doctor", "tokens", "users", "sessions", "audit"]
    seen += ["targets", "reach", "accounts", "account-services", "mailboxes?text=answers"]
    parts = ("", "/waves", "/standing", "/forecast", "/errors", "/cutovers", "/mailboxes", "/rehearsals")
    seen += [f"{place[1:]}{part}" for part in parts]
    seen += [f"{place[1:]}/mailboxes/{box}{part}" for box in boxes for part in ("", "/folders")]
    seen += [f"rehearsals/{one}" for one in rehearsals]
    routes = {
        (method, f"^{re.sub(r'{[^}]*}', '.+', route.path)}$"): route.response_model
        for router in _routers()
        for route in router.routes
        for method in route.methods
    }
    wrong = []
    for method, path, body in [*acts, *(("GET", f"/{one}", None) for one in seen)]:
        answer = api.request(method, path, json=body)
        assert answer.status_code < 300, (method, path, answer.text)
        fits = [
            (at, model) for (how, at), model in routes.items() if how == method and re.match(at, path.split("?")[0])
        ]
        (_, model) = max(fits, key=lambda one: len(one[0].replace(".+", "")))
        wrong += list(_undescribed(model.model_validate(answer.json()), f"{method} {path}"))
        wrong += [f"{method} {path} says {at}" for at in re.findall(r'_at":(1\d{9}\.?\d*)', answer.text)]
    assert wrong == []
    assert "answer_undescribed" not in (web_server.home / "producer.web.log").read_text()


def _routers() -> list[Any]:
    from producer.web import app

    names = (
        "imports",
        "steering_routes",
        "cutover_routes",
        "credential_routes",
        "mailboxes",
        "rehearsals",
        "general_routes",
    )
    names += ("account_services", "principals", "auditing", "target_routes", "reach_routes")
    return [getattr(app, name).routes for name in names]
