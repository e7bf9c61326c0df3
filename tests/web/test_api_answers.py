"""Tests what programs rely on: a valid document, kinds of problems, what is refused, and where things are."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import openapi_spec_validator
import pytest

from producer.web.problem_types import PROBLEMS, uri_of
from shared.store.records.principals import Role
from tests.servers.dovecot import Dovecot
from tests.web.conftest import PASSWORD, WebServer, allowed, ends

Servers = tuple[Dovecot, Dovecot]


def _opened(web_server: WebServer, servers: Servers, name: str = "office") -> Any:
    body = {"name": name, "manifest": f"anna@old.example,{PASSWORD}\n", "no_header": True, **ends(servers)}
    return web_server.client().post("/imports", json=body)


def test_the_document_is_valid(web_server: WebServer) -> None:
    web_server.serve()
    document = web_server.anybody().get("/openapi.json").json()
    openapi_spec_validator.validate(document)
    assert document["openapi"].startswith("3.1")
    # What a program needs of a problem is in it.
    kinds = document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert kinds == [uri_of(name) for name in PROBLEMS]
    # A negative control: as FastAPI writes it, it is not.
    events = document["paths"]["/api/v1/imports/{import_id}/events"]["get"]["responses"]["200"]
    events["content"] = {"text/event-stream": {"itemSchema": {}}}
    with pytest.raises(Exception, match="itemSchema"):
        openapi_spec_validator.validate(document)


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "kind"),
    [
        ("GET", "/imports/none", None, 404, "not-found"),
        ("GET", "/nowhere", None, 404, "not-found"),
        ("GET", "/imports?state=finished", None, 422, "unknown-parameter"),
        ("POST", "/imports", b"{", 400, "malformed"),
        ("POST", "/imports", b"{}", 422, "invalid"),
        ("POST", "/imports", json.dumps({"name": "x", "manifest": "login,password\na,\n"}).encode(), 422, "invalid"),
        ("PUT", "/limits/source_host", b'{"most": "2GB"}', 422, "invalid"),
        ("PATCH", "/imports", b"{}", 405, "method-not-allowed"),
    ],
)
def test_each_problem_has_its_kind(
    web_server: WebServer, method: str, path: str, content: bytes | None, status: int, kind: str
) -> None:
    web_server.serve()
    api = web_server.client("admin", **{"Content-Type": "application/json"})
    answer = api.request(method, path, content=content)
    assert (answer.status_code, answer.json()["type"]) == (status, uri_of(kind)), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if status == 405:
        assert answer.headers["allow"] == "GET, POST"
    assert web_server.client("viewer").get("/users").json()["type"] == uri_of("forbidden")
    assert web_server.anybody().get("/users").json()["type"] == uri_of("unauthenticated")


def test_what_is_made_says_where_it_is(web_server: WebServer, servers: Servers) -> None:
    web_server.serve(**allowed(servers))
    answer = _opened(web_server, servers)
    assert answer.status_code == 201, answer.text
    import_id = answer.json()["import"]["id"]
    assert answer.headers["location"] == f"/api/v1/imports/{import_id}"
    again = _opened(web_server, servers)
    assert (again.status_code, again.json()["type"]) == (409, uri_of("import-exists"))
    assert again.json()["import_id"] == import_id
    there = web_server.client()
    assert there.get(f"/imports/{import_id}/mailboxes?text=anna&order=login").status_code == 200
    assert there.get(f"/imports/{import_id}/mailboxes?sort=login").json()["type"] == uri_of("unknown-parameter")
    assert web_server.client("admin").put("/limits/source_host", json={"most": "12"}).json()["set"] == {
        "source_host": 12
    }
    answer = web_server.client("admin").put("/limits/source_account.bytes_per_day", json={"most": "2GB"})
    assert answer.json()["set"]["source_account.bytes_per_day"] == 2_000_000_000


def test_events_have_ids_and_go_on_where_they_broke_off(web_server: WebServer, servers: Servers) -> None:
    web_server.serve(**allowed(servers))
    import_id = _opened(web_server, servers).json()["import"]["id"]
    api = web_server.client()

    def first(**headers: str) -> dict[str, str]:
        with api.stream("GET", f"/imports/{import_id}/events", headers=headers) as answer:
            found: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line == "" and "data" in found:
                    return found
                found[name] = value
            return found

    begun = first()
    assert begun["event"] == "progress"
    # Whoever comes back with the id gets what has changed since, and not the same once more.
    web_server.client().post(f"/imports/{import_id}/pause", json={})
    web_server.client().post(f"/imports/{import_id}/cancel", json={})
    later = first(**{"Last-Event-ID": begun["id"]})
    assert later["id"] != begun["id"]
    assert json.loads(later["data"])["control"] != json.loads(begun["data"])["control"]


def test_a_token_ends_when_it_was_said(web_server: WebServer) -> None:
    web_server.serve()
    chief = web_server.client("admin")
    answer = chief.post("/tokens", json={"name": "cron", "role": "viewer", "expires": "1h"})
    assert answer.status_code == 201, answer.text
    made, ends = (datetime.fromisoformat(answer.json()[name]) for name in ("created_at", "expires_at"))
    assert 3000 < (ends - made).total_seconds() <= 3600
    api = web_server.anybody(Authorization=f"Bearer {answer.json()['token']}")
    assert api.get("/imports").status_code == 200
    wrong = chief.post("/tokens", json={"name": "cron", "role": "viewer", "expires": "2001-01-01"})
    assert (wrong.status_code, wrong.json()["type"]) == (422, uri_of("invalid"))
    # One whose time is over lets nobody in, over the API and on the page.
    made, text = web_server.principals.make_token("old", Role.VIEWER, 1.0)
    assert made.over
    assert web_server.anybody(Authorization=f"Bearer {text}").get("/imports").status_code == 401
    assert "over since" in web_server.command("token", "list")
    web_server.command("token", "add", "soon", "--expires", "90d")
    assert "  soon  until 20" in web_server.command("token", "list")
