"""Tests what holds for every form of the page: post, redirect, get; two clicks do it once; the end of a session loses nothing."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import httpx2
import pytest
from fastapi import Request, Response

from producer.web.pages import page_routes
from producer.web.problems import Refused
from shared.store.records.principals import Role, role_of
from shared.store.redis import keys
from shared.store.redis.redis_store import connect
from tests.web.conftest import PASSWORD, WebServer
from tests.web.doors import doors
from tests.web.test_signing_in import GOOD, Browser, _user

ALLOWED = {"MAILHAUL_WEB_ALLOW": "127.0.0.0/8", "MAILHAUL_WEB_PORTS": "1430,1431"}
BODY = {
    "name": "office",
    "manifest": f"login,password\nanna,{PASSWORD}\n",
    "source": {"server": "imap://127.0.0.1:1430"},
    "destination": {"server": "imap://127.0.0.1:1431"},
}
#: Forms that begin a session or end it: who sends them is nobody yet.
_AT_THE_DOOR = ("/sign-in", "/sign-out")
#: What a form may hold; each route takes what it knows.
_FILLED = (
    {
        "kind": "check",
        "act": "plan",
        "name": "x",
        "role": "viewer",
        "scope": "moon",
        "most": "-1",
        "place": "?",
        "login": "a",
    },
    {
        "kind": "dance",
        "act": "dance",
        "do": "start",
        "synced_minutes": "many",
        "weight": "ü",
        "way": "pigeon",
        "password": "short",
    },
)


@contextmanager
def _raw(web_server: WebServer, role: str = "admin") -> Iterator[httpx2.Client]:
    """Yields a client of the page that follows nothing."""
    _, token = web_server.principals.make_token("a person", role_of(role))
    base = f"http://127.0.0.1:{web_server.port}"
    with httpx2.Client(base_url=base, timeout=60, headers={"Accept-Language": "en", "Origin": base}) as client:
        assert client.post("/sign-in", data={"token": token}).status_code == 303
        yield client


def _posts() -> list[str]:
    return [path for method, path in doors() if method == "POST" and not path.startswith("/api/")]


def test_every_post_leads_to_a_page_with_an_address_of_its_own(web_server: WebServer) -> None:
    web_server.serve(**ALLOWED)
    import_id = web_server.client().post("/imports", json=BODY).json()["import"]["id"]
    box = web_server.store.mailboxes(import_id)[0][0].mailbox_id
    known = {"import_id": import_id, "mailbox_id": box, "form_id": "a" * 24}
    assert len(_posts()) > 30
    with (
        _raw(web_server) as admin,
        _raw(web_server, "viewer") as viewer,
        httpx2.Client(base_url=admin.base_url) as nobody,
    ):
        for room in _posts():
            if room in _AT_THE_DOOR:
                continue
            there = re.sub(r"\{(\w+)\}", lambda name: known.get(name[1], "nothing"), room)
            missing = re.sub(r"\{[^}]*\}", "0" * 24, room)
            sent = [(admin, there, filled) for filled in _FILLED] + [(admin, missing, {}), (viewer, there, {})]
            for client, path, filled in sent:
                answer = client.post(path, data=filled)
                kept = answer.status_code == 204 and path.endswith("/keep")
                file = "attachment" in answer.headers.get("content-disposition", "")
                assert answer.status_code == 303 or kept or file or (path.endswith("/keep") and not answer.text), (
                    path,
                    filled,
                    answer.status_code,
                )
                if answer.status_code == 303 and filled is _FILLED[1]:
                    page = client.get(answer.headers["location"], follow_redirects=True)
                    assert page.status_code < 500, (path, filled, page.text)
            out = nobody.post(there, headers={"Origin": str(admin.base_url).rstrip("/")})
            assert (out.status_code, out.headers["location"][:8]) == (303, "/sign-in"), there
        for wrong in ({"token": "x"}, {"name": "anna", "password": "wrong"}):
            answer = nobody.post("/sign-in", data=wrong, headers={"Origin": str(admin.base_url).rstrip("/")})
            assert answer.status_code == 303
            assert nobody.get(answer.headers["location"]).status_code == 401


def test_a_result_is_its_receivers_in_both_languages_and_a_secret_is_shown_once(web_server: WebServer) -> None:
    web_server.serve()
    with _raw(web_server) as one, _raw(web_server) as other:
        there = one.post("/admin/users", data={"name": "anna", "password": "short", "role": "viewer"}).headers[
            "location"
        ]
        assert one.get(there).status_code == 422
        assert "a password has 10 to 200 characters" in one.get(there).text
        assert "пароль" in one.get(f"{there}?lang=ru").text.lower()
        assert other.get(there).headers["location"] == "/", "it is nobody else's"
        made = one.post("/admin/tokens", data={"name": "cron", "role": "viewer", "expires": "1d"}).headers["location"]
        assert "The token is shown this once" in one.get(f"{made}?lang=en").text
        assert other.get(made).headers["location"] == "/"
        # A second click and another language still find it, for a minute; then it says so.
        assert one.get(f"{made}?lang=ru").status_code == 200
        kept = connect(web_server.state_url)
        assert 0 < kept.ttl(keys.draft(made.rpartition("/")[2])) <= 60
        kept.delete(keys.draft(made.rpartition("/")[2]))
        over = one.get(f"{made}?lang=en")
        assert (over.status_code, "this was shown once" in over.text) == (410, True)
        assert other.get(made).headers["location"] == "/"


@pytest.mark.parametrize("clicks", [1, 4])
def test_clicks_on_one_button_do_it_once(web_server: WebServer, clicks: int) -> None:
    web_server.serve()
    with _raw(web_server) as client:
        form = re.search(r'action="/admin/tokens">.*?name="once" value="(\w+)"', client.get("/admin").text, re.DOTALL)
        assert form is not None
        data = {"name": "cron", "role": "viewer", "expires": "1d", "once": form[1]}
        before = len(web_server.principals.tokens())
        with ThreadPoolExecutor(clicks) as hands:
            answers = list(hands.map(lambda _: client.post("/admin/tokens", data=data), range(clicks)))
        assert len(web_server.principals.tokens()) == before + 1
        assert len({answer.headers["location"] for answer in answers}) == 1
        # The control: without the text each click is a token.
        for _ in range(2):
            client.post("/admin/tokens", data={**data, "once": ""})
        assert len(web_server.principals.tokens()) == before + 3


def test_a_second_click_that_waited_in_vain_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_routes, "_LOOKS", 2)
    dropped: list[str] = []
    records = SimpleNamespace(begin=lambda *_: {"digest": ""}, drop=dropped.append)
    settings = SimpleNamespace(web_upload_bytes=1000)
    state = SimpleNamespace(web_context=SimpleNamespace(records=records, settings=settings))
    body = b"once=" + b"a" * 16
    headers = [(b"content-type", b"application/x-www-form-urlencoded")]
    scope = {"type": "http", "method": "POST", "path": "/x", "query_string": b"", "headers": headers}
    scope |= {"client": ("127.0.0.1", 1), "app": SimpleNamespace(state=state)}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def handle(_: Request) -> Response:
        raise AssertionError("it was done again")

    with pytest.raises(Refused, match="being worked on") as refused:
        asyncio.run(page_routes._once(Request(scope, receive), handle))
    assert refused.value.status == 409
    assert not dropped, "the first one's claim stands"


def test_a_check_that_its_process_left_is_begun_again_once(web_server: WebServer) -> None:
    # A server that never greets keeps the check that is begun under way until the last click is answered.
    with socket.create_server(("127.0.0.1", 0)) as never_greets:
        port = never_greets.getsockname()[1]
        web_server.serve(**{**ALLOWED, "MAILHAUL_WEB_PORTS": f"{port},1431"})
        source = {"server": f"imap://127.0.0.1:{port}"}
        import_id = web_server.client().post("/imports", json={**BODY, "source": source}).json()["import"]["id"]
        lost = {"id": "lost", "import_id": import_id, "kind": "check", "state": "running", "done": 0, "total": 1}
        web_server.records.keep_rehearsal("lost", {**lost, "beat_at": 0})
        web_server.records.answer(f"rehearse:{import_id}:check:", "", "lost")
        with _raw(web_server) as client, ThreadPoolExecutor(4) as hands:
            sent = [(f"/imports/{import_id}/rehearsals", {"kind": "check"})] * 4
            answers = list(hands.map(lambda one: client.post(one[0], data=one[1]), sent))
    assert {answer.status_code for answer in answers} == {303}
    (begun,) = web_server.records.rehearsals_of(import_id)
    assert {answer.headers["location"] for answer in answers} == {f"/rehearsals/{begun['id']}"}
    # The control: one that still runs is led to.
    web_server.records.keep_rehearsal("lost", {**lost, "beat_at": time.time()})
    web_server.records.answer(f"rehearse:{import_id}:check:", "", "lost")
    with _raw(web_server) as client:
        assert client.post(sent[0][0], data=sent[0][1]).headers["location"] == "/rehearsals/lost"


def test_a_form_that_is_sent_after_the_session_ended_is_kept_for_its_sender(web_server: WebServer) -> None:
    web_server.serve(**ALLOWED)
    import_id = web_server.client().post("/imports", json=BODY).json()["import"]["id"]
    for name in ("anna", "bert"):
        _user(web_server, name, Role.OPERATOR)
    person = Browser(web_server)
    person.signs_in("anna", GOOD)

    def sends(path: str, **data: str) -> str:
        """Sends a form signed out. Returns where the page leads after the next sign-in."""
        web_server.command("session", "end", "anna")
        door = person.post(path, data=data).headers["location"]
        to = re.search(r"to=(/sent/\w{24})$", door.replace("%2F", "/"))
        assert to is not None, door
        return to[1]

    # Into the form itself, with all that was filled in.
    kept = sends(f"/new/{'b' * 24}", name="yard", row_login="carl", row_password="carls", do="start")
    other = Browser(web_server)
    other.signs_in("bert", GOOD)
    assert other.get(kept).headers["location"] == "/", "nobody else gets it"
    assert person.signs_in("anna", GOOD, to=kept).headers["location"] == kept
    there = person.get(kept).headers["location"]
    assert there == f"/new/{'b' * 24}"
    assert person.get(kept).headers["location"] == "/", "it was taken over"
    page = person.get(there).text
    assert 'value="yard"' in page
    assert 'value="carl"' in page
    assert "carls" not in page, "no password goes back"
    assert len(web_server.store.imports()) == 1, "and nothing was started"
    # Another act is asked about.
    kept = sends(f"/imports/{import_id}/archive")
    person.signs_in("anna", GOOD, to=kept)
    page = person.get(kept).text
    assert "Send it now?" in page
    for said in ("put into the archive", "office"):
        assert f"<dd>{said}</dd>" in page
    assert not web_server.store.imports()[0].archived
    # Two clicks send it once, and lead to the same page.
    text = re.search(r'name="once" value="(\w+)"', page)
    assert text is not None
    for _ in range(2):
        assert person.post(kept, data={"once": text[1]}).headers["location"] == f"/imports/{import_id}"
    assert person.post(kept).headers["location"] == "/", "it is over"
    assert web_server.store.imports()[0].archived
    # A secret is not shown, and what is left is over.
    kept = sends(f"/imports/{import_id}/retry", code="source_tls", password="canary-7")
    person.signs_in("anna", GOOD, to=kept)
    page = person.get(kept).text
    assert ("<dd>source_tls</dd>" in page, "canary-7" in page) == (True, False)
    assert person.post(f"{kept}/leave").headers["location"] == "/"
    assert person.get(kept).headers["location"] == "/"
    # A form of the administration is not kept: it may be another's.
    web_server.command("session", "end", "anna")
    for path, empty in (
        ("/admin/users/remove", "/admin"),
        ("/admin/limits", "/admin/limits"),
        ("/targets/x/drop", "/targets"),
    ):
        assert person.post(path, data={}).headers["location"].replace("%2F", "/") == f"/sign-in?to={empty}"
    person.signs_in("anna", GOOD)
    # Who was never signed in here has nothing kept, nor who signed out.
    person.post("/sign-out")
    for one in (person, Browser(web_server)):
        assert one.post(f"/imports/{import_id}/unarchive").headers["location"] == "/sign-in"
